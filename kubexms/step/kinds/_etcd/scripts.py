"""What is done to a member of etcd, on its own host and through another member.

The order of a join is etcd's own (https://etcd.io/docs, "Runtime reconfiguration" and "Learner"): a new
member is told to the others as a learner, which takes no part in any quorum, gets the data, and then a vote.
"""

from __future__ import annotations

from kubexms.step.kinds._etcd.survey import BOOTSTRAP, Place
from kubexms.step.shell import quote

_TOOLS = r"""
for tool in etcd etcdctl systemctl; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed on this host" >&2; exit 1; }
done
"""

_BEGUN = r"""
mkdir -p -m 0700 "$own"
printf '%s\n' "$what" >"$own/unfinished"
sync "$own/unfinished" 2>/dev/null || sync
"""

_BOOTSTRAP = r"""
printf '%s=%s\n' ETCD_INITIAL_CLUSTER "$initial" ETCD_INITIAL_CLUSTER_STATE "$state" \
  ETCD_INITIAL_CLUSTER_TOKEN "$cluster" >BOOTSTRAP
""".replace("BOOTSTRAP", BOOTSTRAP)

_START = r"""
why() {
  echo "$1" >&2
  journalctl -u "$unit" -n 20 --no-pager -o cat >&2 || :
  exit 1
}
systemctl daemon-reload
systemctl enable --quiet "$unit"
systemctl VERB "$unit" || why "systemctl VERB $unit failed"
case $(systemctl is-active "$unit") in
active | reloading) ;;
*) why "$unit does not run after a VERB" ;;
esac
"""

_ANSWERS = r"""
n=0
until e endpoint status >/dev/null 2>&1; do
  n=$((n + 1))
  [ "$n" -lt 60 ] || why 'etcd does not answer within 60 tries'
  sleep 1
done
"""

_HEALTHY = r"""
n=0
until e endpoint health >/dev/null 2>&1; do
  n=$((n + 1))
  if [ "$n" -ge 60 ]; then
    echo 'this member of etcd is not healthy within 60 tries' >&2
    journalctl -u "$unit" -n 20 --no-pager -o cat >&2 || :
    exit 1
  fi
  sleep 1
done
"""

_MEMBER = (
    r"""
printf 'cluster=%s\nname=%s\n' "$cluster" "$name" >"$own/member.new"
mv -f "$own/member.new" "$own/member"
sync "$own/member" 2>/dev/null || sync
rm -f "$own/unfinished" """
    + BOOTSTRAP
    + "\n"
)

_FIND = r"""
limit=20s
members=$(e member list) || exit 1
id=$(printf '%s\n' "$members" | awk -F', ' -v n="$name" -v u="$url" \
  '$3 == n || index("," $4 ",", "," u ",") { print $1; exit }')
# changed ARGUMENTS: a change of the members, which etcd allows once they have been connected for some seconds
changed() {
  n=0
  until said=$(e member "$@" 2>&1); do
    case $said in
    *'unhealthy cluster'* | *'not enough started members'* | *'in sync with leader'*) ;;
    *) n=1000 ;;
    esac
    n=$((n + 1))
    if [ "$n" -ge 120 ]; then
      printf '%s\n' "$said" >&2
      exit 1
    fi
    sleep 1
  done
}
"""

_ADD = r"""
if [ -n "$id" ]; then
  # the host that joins has no data: what is called so is a member that is gone, unless it works
  there=$(printf '%s\n' "$members" | awk -F', ' -v i="$id" '$1 == i { print $5 }')
  if [ -n "$there" ] && (at=$there; e endpoint health) >/dev/null 2>&1; then
    echo "a member of etcd that is called $name works at $there, and this host has none" >&2
    exit 1
  fi
  changed remove "$id"
fi
changed add "$name" --learner --peer-urls "$url"
printf '%s\n' "$said" | sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/initial \1/p'
"""

_PROMOTE = r"""
[ -n "$id" ] || { echo "etcd has no member $name" >&2; exit 1; }
learns=$(printf '%s\n' "$members" | awk -F', ' -v i="$id" '$1 == i { print $6 }')
[ "$learns" != true ] || changed promote "$id"
"""

_REMOVE = r"""
[ -z "$id" ] || changed remove "$id"
"""

_RESET = r"""
systemctl disable --quiet --now "$unit" 2>/dev/null || :
case $(systemctl is-active "$unit") in active | reloading | deactivating)
  echo "$unit cannot be stopped" >&2
  exit 1 ;;
esac
rm -rf -- "$data/member" "$data"/before-restore-* "$own"
"""


def begin(place: Place) -> str:
    """This host is the first member of a new etcd, alone for now."""
    initial = f"{place.name}={place.url}"
    head = f"what=begin\nstate=new\ninitial={quote(initial)}\n"
    return place.head() + _TOOLS + head + _BEGUN + _BOOTSTRAP + _started("restart") + _HEALTHY + _MEMBER


def join(place: Place, initial: str) -> str:
    """This host gets the data of the others, who know it as a learner already."""
    head = f"what=join\nstate=existing\ninitial={quote(initial)}\n"
    # what is here is of a member that the others do not have any more
    gone = 'systemctl stop "$unit" 2>/dev/null || :\nrm -rf -- "$data/member"\n'
    return place.head() + _TOOLS + head + _BEGUN + gone + _BOOTSTRAP + _started("start") + _ANSWERS


def go_on(place: Place) -> str:
    """A join that was cut off after the data had come."""
    return place.head() + _TOOLS + _started("start") + _ANSWERS


def finish(place: Place) -> str:
    """The member has its vote: wait until it is healthy, and keep whose it is."""
    return place.head() + 'mkdir -p -m 0700 "$own"\n' + _HEALTHY + _MEMBER


def adopt(place: Place) -> str:
    """A member without a record of it, which is not restarted."""
    return place.head() + _started("start") + 'mkdir -p -m 0700 "$own"\n' + _HEALTHY + _MEMBER


def start(place: Place) -> str:
    """A member whose unit does not run, or not at boot. Its health may need others, who follow."""
    return place.head() + _started("start") + _ANSWERS


def add(place: Place) -> str:
    """On another member: this one is told as a learner; prints what it must be started with."""
    return place.head() + _FIND + _ADD


def promote(place: Place) -> str:
    """On another member: this one gets its vote, as soon as it has the data."""
    return place.head() + _FIND + _PROMOTE


def remove(place: Place) -> str:
    """On another member: this one is out of etcd."""
    return place.head() + _FIND + _REMOVE


def reset(place: Place) -> str:
    """The host is no member any more."""
    return place.head() + _RESET


def _started(verb: str) -> str:
    return _START.replace("VERB", verb)
