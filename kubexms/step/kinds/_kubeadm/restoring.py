"""Back to a snapshot of etcd: what each phase does on a host, and how far a host is.

The order is that of etcd's and Kubernetes' own documentation on disaster recovery: nobody serves while
data is replaced, all members restore from the same file as a new cluster, and what holds an older view of the
API is started anew, since revisions have gone back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubexms.step.kinds._etcd.survey import OWN as ETCD
from kubexms.step.kinds._etcd.survey import client_url, peer_url
from kubexms.step.kinds._kubeadm.scripts import API_READY
from kubexms.step.kinds._kubeadm.survey import ADMIN, OWN, PATHS
from kubexms.step.shell import quote

PHASES = ("none yet", "stop", "restore", "etcd", "serve")
"""In their order; a host's record holds the number of the last one that it reached."""
BEFORE: Mapping[str, str | None] = {"stop": None, "restore": "stop", "etcd": "restore", "serve": "etcd"}
"""What every member must have reached before one may begin a phase."""
KEY = "kubexms/etcd-restore"
"""Where etcd itself has which restore has happened, for members that have no API server beside them."""

_STATE = r"""
own=OWN id=ID manifests=/etc/kubernetes/manifests units=/etc/systemd/system
# a host whose etcd is a step of its own keeps what is known of it apart from the nodes
[ ! -e MEMBERS/member ] || own=MEMBERS
held=$own/held
reached=0
if [ -r "$own/restore" ]; then
  read -r was rank <"$own/restore"
  [ "$was" != "$id" ] || reached=$rank
fi
# made NAME: by what the host runs it, a static pod (which may be held back) or a unit
made() {
  for f in "$manifests/$1.yaml" "$held/$1.yaml" "$units/$1.service"; do
    [ ! -e "$f" ] || { printf '%s\n' "$f"; return; }
  done
}
# flag NAME: of etcd's
flag() { sed -n "s/.*--$1=\([^ ]*\).*/\1/p" "$(made etcd)" | head -n 1; }
server() { [ -n "$(made kube-apiserver)" ]; }
# a unit may be there before the host is a member
member() {
  case $(made etcd) in
  *.yaml) ;;
  ?*) [ -e "$own/restore" ] || [ -e MEMBERS/member ] || [ -d "$(flag data-dir)/member" ] ;;
  *) return 1 ;;
  esac
}
# e ARGUMENTS: etcdctl, as the member shows itself
e() {
  ETCDCTL_API=3 etcdctl --endpoints "${at:-https://127.0.0.1:2379}" --dial-timeout 3s --command-timeout 5s \
    --cacert "$(flag trusted-ca-file)" --cert "$(flag cert-file)" --key "$(flag key-file)" "$@"
}
"""

_ASK = r"""
if [ -d /etc/kubernetes ] && [ ! -r /etc/kubernetes ]; then
  echo 'permission denied: /etc/kubernetes cannot be read'
  exit 1
fi
PART || { echo none; exit 0; }
if [ "$reached" -ge RANK ]; then echo done; exit 0; fi
# a member that joined after the restore has no record of it, and the cluster has
told=
if [ "$reached" -gt 0 ]; then :
elif server; then
  told=$(admin --request-timeout=5s -n kube-system get configmap kubexms-etcd-restore \
    -o 'jsonpath={.data.restored}' 2>/dev/null)
else
  told=$(at=ENDPOINTS; e get --print-value-only KEY 2>/dev/null)
fi
if [ "$told" = "$id" ]; then echo done; exit 0; fi
data=
! member || data=$(flag data-dir)
if [ -d "$data/member" ]; then echo "todo $data"; else echo todo; fi
"""

_PEER = r"""
if ! member && ! server; then a=none
else
  case $reached in 1) a=stop ;; 2) a=restore ;; 3) a=etcd ;; 4) a=serve ;; *) a='none yet' ;; esac
fi
emit 0 "$a"
"""

_REACHED = r"""
mkdir -p -m 0700 "$own"
printf '%s %s\n' "$id" RANK >"$own/restore.new"
mv -f "$own/restore.new" "$own/restore"
sync "$own/restore" "$own" 2>/dev/null || sync
"""

_SWITCH = r"""
# hold NAME, release NAME: also when the host starts anew before the end
hold() {
  case $(made "$1") in
  "$manifests"/*) mv -f "$manifests/$1.yaml" "$held/$1.yaml" ;;
  *.service) systemctl disable --quiet --now "$1" ;;
  esac
}
release() {
  case $(made "$1") in
  "$held"/*) mv -f "$held/$1.yaml" "$manifests/$1.yaml" ;;
  *.service)
    systemctl daemon-reload
    systemctl enable --quiet "$1"
    if ! systemctl start "$1"; then
      journalctl -u "$1" -n 20 --no-pager -o cat >&2 || :
      exit 1
    fi ;;
  esac
  sync "$held" "$manifests" 2>/dev/null || sync
}
"""

_STOP = r"""
member || server || { echo 'this host has neither etcd nor an API server' >&2; exit 1; }
if member; then
  command -v etcdctl >/dev/null || { echo 'etcdctl is not installed on this host' >&2; exit 1; }
fi
mkdir -p -m 0700 "$own" "$held"
# the API first: nothing is written to etcd from then on
for f in kube-apiserver etcd; do hold "$f"; done
sync "$held" "$manifests" 2>/dev/null || sync
n=0
while pgrep -x kube-apiserver >/dev/null || pgrep -x etcd >/dev/null; do
  n=$((n + 1))
  if [ "$n" -ge 180 ]; then
    echo 'API server and etcd have not stopped within 180 s: does the kubelet run?' >&2
    exit 1
  fi
  sleep 1
done
# what an earlier restore of the same name put aside stays: this one puts its own aside under that name
data=
! member || data=$(flag data-dir)
kept=${data:+$data/before-restore-$id} n=1
if [ -n "$kept" ] && [ -e "$kept" ]; then
  while [ -e "$kept.$n" ]; do n=$((n + 1)); done
  mv "$kept" "$kept.$n"
fi
"""

_RESTORE = r"""
! pgrep -x etcd >/dev/null || { echo 'etcd runs on this host' >&2; exit 1; }
data=$(flag data-dir)
case $data in /?*) ;; *) echo 'what runs etcd names no directory of data' >&2; exit 1 ;; esac
sum=$(sha256sum <"$snapshot")
[ "${sum%% *}" = "$sha256" ] || { echo "$snapshot has another digest than that of the plan" >&2; exit 1; }
old=$data/before-restore-$id new=$data/kubexms-restore
mkdir -p -m 0700 "$data"
rm -rf -- "$new"
if command -v etcdutl >/dev/null; then tool=etcdutl; else tool=etcdctl; fi
# newer ones need not go back in revisions: who asks for an older one is told that it is gone, and looks anew
set --
ETCDCTL_API=3 "$tool" snapshot restore --help 2>&1 | grep -q -e --bump-revision && \
  set -- --bump-revision 1000000000 --mark-compacted
ETCDCTL_API=3 "$tool" snapshot restore "$snapshot" --data-dir "$new" --name "$name" \
  --initial-advertise-peer-urls "$url" --initial-cluster "$cluster" --initial-cluster-token "kubexms-$id" "$@"
# as whom etcd runs, the directory is
chown -R "$(stat -c %u:%g "$data")" "$new/member"
# the data of before is renamed once; what stands in its place later is from a restore that was cut off
if [ -e "$old" ]; then rm -rf -- "$data/member"; elif [ -e "$data/member" ]; then mv "$data/member" "$old"; fi
mv "$new/member" "$data/member"
rm -rf -- "$new"
sync "$data" 2>/dev/null || sync
"""

_ETCD = r"""
release etcd
rmdir "$held" 2>/dev/null || :
"""

# What watches the API from a revision that is yet to come again hears nothing until then.
# Linux keeps 15 letters of a program's name.
_ANEW = r"""
systemctl restart kubelet
for c in kube-controller-manager kube-scheduler kube-proxy coredns; do
  if [ -e "/etc/systemd/system/$c.service" ]; then systemctl try-restart "$c"
  else pkill -TERM -x "$(printf %.15s "$c")" || :
  fi
done
"""

_SERVE = r"""
n=0
until ! member || e endpoint health >/dev/null 2>&1; do
  n=$((n + 1))
  if [ "$n" -ge 180 ]; then
    echo 'etcd is not healthy after the restore: see its log' >&2
    exit 1
  fi
  sleep 1
done
release kube-apiserver
"""

_TOLD = r"""
tell() {
  admin --request-timeout=30s -n kube-system create configmap kubexms-etcd-restore \
    --from-literal "restored=$id" --dry-run=client -o yaml | admin --request-timeout=30s apply -f -
}
# all members tell at once, and one of them makes what the others then find there
tell 2>/dev/null || tell
rmdir "$held" 2>/dev/null || :
"""

_TOLD_ETCD = r"""
n=0
until said=$(e put KEY "$id" 2>&1); do
  n=$((n + 1))
  [ "$n" -lt 30 ] || { printf '%s\n' "$said" >&2; exit 1; }
  sleep 1
done
"""

REFRESH = PATHS + _ANEW
"""On a node: what has an older view of the API is started anew."""


def question(restore: str, phase: str, members: Iterable[str] = ()) -> str:
    """Read-only sh that prints `none`, `done`, or `todo` and where data is that is there; `members` are
    addresses, where etcd is apart from the API servers."""
    part = {"stop": "member || server", "serve": "server"}.get(phase, "member")
    ask = _ASK.replace("PART", f"{{ {part}; }}").replace("RANK", str(PHASES.index(phase)))
    asked = ",".join(["https://127.0.0.1:2379", *map(client_url, members)])
    return _state(restore) + ADMIN + ask.replace("ENDPOINTS", quote(asked)).replace("KEY", KEY)


def peer_question(restore: str) -> str:
    """A fragment with one record: the phase that the host has reached, or `none` without a part in it."""
    return _state(restore) + _PEER


def reached(restore: str, phase: str) -> str:
    """The host's record that it got so far."""
    return _state(restore) + _REACHED.replace("RANK", str(PHASES.index(phase)))


def tell_etcd(restore: str) -> str:
    """On a member of an etcd apart from the API servers: it is known there that this restore has happened."""
    return _state(restore) + _TOLD_ETCD.replace("KEY", KEY)


def script(
    phase: str, restore: str, *, snapshot: str, sha256: str, name: str, members: Mapping[str, str]
) -> str:
    """What the host does in this phase; each part may have been done before."""
    cluster = ",".join(f"{node}={peer_url(where)}" for node, where in members.items())
    head = f"snapshot={quote(snapshot)}\nsha256={sha256}\nname={quote(name)}\n"
    head += f"url={quote(peer_url(members[name]) if name in members else '')}\ncluster={quote(cluster)}\n"
    body = {
        "stop": _SWITCH + _STOP,
        "restore": _RESTORE,
        "etcd": _SWITCH + _ETCD,
        "serve": ADMIN + _SWITCH + _SERVE + API_READY + _ANEW + _TOLD,
    }[phase]
    return _state(restore) + head + body + _REACHED.replace("RANK", str(PHASES.index(phase)))


def _state(restore: str) -> str:
    return PATHS + _STATE.replace("OWN", OWN).replace("MEMBERS", ETCD).replace("ID", quote(restore))
