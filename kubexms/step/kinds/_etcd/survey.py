"""What a host tells of its member of etcd, to its own step and to those of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kubexms.runtime.protocol import Answer, Fragment
from kubexms.step.kinds._kubeadm.survey import PATHS
from kubexms.step.shell import quote, words

OWN = "/var/lib/kubexms/etcd"
"""Where a host keeps whose member it is (`member`), what has begun and not ended (`unfinished`), and what
etcd reads when its data is made (`bootstrap.env`)."""
BOOTSTRAP = f"{OWN}/bootstrap.env"

Status: TypeAlias = Literal[
    "absent", "partial", "lost", "foreign", "unrecorded", "removed", "learner", "member"
]
"""`partial`: joining was cut off. `lost`: the host was a member, and its data is gone. `foreign`: data that
is not this etcd's. `unrecorded`: a member of this etcd, of which the host keeps no record. `removed`: the
others have taken it out. `learner`: it has no vote yet."""


@dataclass(frozen=True)
class Place:
    """Where a member is, and what it shows to others."""

    cluster: str
    name: str
    members: Mapping[str, str]
    """All of them, in their order: name to address."""
    unit: str
    data: str
    authority: str
    certificate: str
    adopts: bool = False
    """Data without a record is this etcd's, if etcd says so."""

    @property
    def url(self) -> str:
        """Where the others reach it."""
        return peer_url(self.members[self.name]) if self.name in self.members else ""

    def head(self, name: str | None = None) -> str:
        """What scripts on a host of this etcd need to know; of this member, or of another one."""
        which = name or self.name
        url = peer_url(self.members[which]) if which in self.members else ""
        pairs = {
            "own": OWN, "data": self.data, "unit": self.unit, "ca": self.authority, "cert": self.certificate,
            "cluster": self.cluster, "name": which, "url": url,
        }  # fmt: skip
        return PATHS + "".join(f"{key}={quote(value)}\n" for key, value in pairs.items()) + CLIENT


def peer_url(address: str) -> str:
    """What members reach each other by."""
    return f"https://{_host(address)}:2380"


def client_url(address: str) -> str:
    """What clients reach a member by."""
    return f"https://{_host(address)}:2379"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


CLIENT = r"""
at=https://127.0.0.1:2379
# e ARGUMENTS: etcdctl, asking the member at $at
e() {
  ETCDCTL_API=3 etcdctl --endpoints "$at" --cacert "$ca.crt" --cert "$cert.crt" --key "$cert.key" \
    --dial-timeout 3s --command-timeout "${limit:-5s}" "$@"
}
"""

_SAY = 'printf %s "$t"\n'

_SURVEY = r"""
t= nl='
'
say() { t="$t$*$nl"; }
if [ -d "$data" ] && [ ! -r "$data" ]; then
  echo "permission denied: $data cannot be read"
  exit 1
fi
[ ! -d "$data/member" ] || say data
if [ -r "$own/member" ]; then t="$t$(sed -n 's/^\([a-z]*\)=/\1 /p' "$own/member")$nl"; fi
if [ -r "$own/unfinished" ]; then say "unfinished $(head -n 1 "$own/unfinished")"; fi
case $(systemctl is-active "$unit" 2>/dev/null) in active | reloading) say running ;; esac
case $(systemctl is-enabled "$unit" 2>/dev/null) in enabled) say enabled ;; esac
"""

_LISTED = r"""
# who is a member is what etcd says, here or where it answers
case $t in
*"data$nl"*)
  limit=3s begun=$(date +%s)
  for at in ENDPOINTS; do
    # where nobody answers, a plan does not wait for all of them
    [ $(($(date +%s) - begun)) -lt 7 ] || break
    l=$(e member list 2>/dev/null) || continue
    t="$t$(printf '%s\n' "$l" | awk -F', ' -v n="$name" -v u="$url" '
      $3 == n || index("," $4 ",", "," u ",") {
        found = 1
        print "listed " ($2 == "unstarted" ? $2 : $6 == "true" ? "learner" : "voter")
        print "peer " $4
        exit
      }
      END { if (!found) print "listed no" }')$nl"
    break
  done ;;
esac
"""

_WORKS = r"""
there=$(printf '%s\n' "${l:-}" | awk -F', ' -v n="$name" '$3 == n { print $5; exit }')
if [ -n "$there" ] && (at=$there; e endpoint health) >/dev/null 2>&1; then say works; fi
"""

_HEALTHY = r"""
case $t in *"data$nl"*) if e endpoint health >/dev/null 2>&1; then say healthy; fi ;; esac
"""


@dataclass(frozen=True)
class Survey:
    """What one host told."""

    data: bool = False
    cluster: str = ""
    name: str = ""
    unfinished: str = ""
    running: bool = False
    enabled: bool = False
    listed: str = ""
    """`voter`, `learner`, `unstarted` or `no`; nothing where no member of etcd answers."""
    peer: str = ""
    """Where the others reach it, as they have it."""
    healthy: bool = False
    works: bool = False
    """The member that was asked about answers, from where the others have it."""

    def status(self, cluster: str, *, adopts: bool = False) -> Status:
        """See `Status`; of the etcd of this cluster."""
        if self.cluster and self.cluster != cluster:
            return "foreign"
        if self.unfinished:
            return "partial"
        if not self.data:
            return "lost" if self.cluster else "absent"
        if not self.cluster:
            known = self.listed == "voter" or self.healthy
            return "unrecorded" if adopts and known else "foreign"
        if self.listed == "no":
            return "removed"
        return "learner" if self.listed == "learner" else "member"


def question(place: Place) -> str:
    """Read-only sh that prints what the host tells of its own member. 1: it may not look."""
    others = [client_url(address) for name, address in place.members.items() if name != place.name]
    endpoints = words(["https://127.0.0.1:2379", *others])
    return place.head() + _SURVEY + _LISTED.replace("ENDPOINTS", endpoints) + _SAY


def question_about(place: Place) -> str:
    """Read-only sh that prints what a host tells, and whether etcd has a member of this name and it works."""
    return question(place).removesuffix(_SAY) + _WORKS + _SAY


def peer_question(place: Place, name: str) -> Fragment:
    """Asked of another member by one that joins or leaves."""
    script = place.head(name) + _SURVEY + _HEALTHY + _SAY
    return Fragment(f'a=$(\n{script}\n)\nemit "$?" "$a"\n', timeout=40.0)


def read_answer(answer: Answer) -> Survey | str:
    """What a host told, or why it told nothing."""
    if answer.failure is not None or not answer.records:
        return answer.detail or (answer.failure.value if answer.failure else "no answer")
    record = answer.records[0]
    text = record.text.decode("utf-8", "replace")
    return read(text) if record.status == 0 else text.strip()


def read(text: str) -> Survey:
    """A survey from the text of its record; never raises."""
    said: dict[str, str] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        said.setdefault(word, rest.strip())
    return Survey(
        data="data" in said,
        cluster=said.get("cluster", ""),
        name=said.get("name", ""),
        unfinished=said.get("unfinished", ""),
        running="running" in said,
        enabled="enabled" in said,
        listed=said.get("listed", ""),
        peer=said.get("peer", ""),
        healthy="healthy" in said,
        works="works" in said,
    )
