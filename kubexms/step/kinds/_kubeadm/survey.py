"""What a host tells of its membership in a cluster, to its own step and to others' steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kubexms.runtime.protocol import Answer, Fragment
from kubexms.step.kinds._kubeadm.asking import API_GET
from kubexms.step.shell import quote

Status: TypeAlias = Literal["absent", "partial", "member", "broken", "leftover"]
"""`partial`: kubeadm was cut off, or half of a worker is there: nothing is lost by a reset. `broken`: a
control plane that lacks files, which only a person may reset. `leftover`: nothing but etcd's data. A member
that lost the manifest of its API server is still a member."""

OWN = "/var/lib/kubexms/kubeadm"
"""Where a host keeps whose member it is (`node`), and that kubeadm has begun and not ended (`unfinished`)."""

PATHS = "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin\nexport PATH\n"
"""Shells of services and of sudo may not know where kubeadm is put."""

ADMIN = r"""
# admin ARGUMENTS: kubectl, asking the API server of this very host, and keeping nothing in root's home. Where
# it is no static pod, admin.conf names it.
admin() {
  server=$(sed -n 's/.*kube-apiserver\.advertise-address\.endpoint: *//p' \
    /etc/kubernetes/manifests/kube-apiserver.yaml 2>/dev/null) || server=
  kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/admin.conf \
    ${server:+--server "https://$server"} "$@"
}
"""

_SURVEY = (
    PATHS
    + r"""
own=OWN
t= nl='
'
say() { t="$t$*$nl"; }
if [ ! -r /etc/kubernetes ] && [ -d /etc/kubernetes ]; then
  echo 'permission denied: /etc/kubernetes cannot be read'
  exit 1
fi
for f in kubelet.conf bootstrap-kubelet.conf admin.conf pki/ca.crt manifests/kube-apiserver.yaml \
    manifests/kube-controller-manager.yaml manifests/kube-scheduler.yaml manifests/etcd.yaml; do
  [ ! -e "/etc/kubernetes/$f" ] || say "has $f"
done
[ ! -d /var/lib/etcd/member ] || say 'has etcd data'
# kubeadm's files have what these name by paths
if grep -qs 'client-certificate: /etc/kubernetes/pki/' /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf
then say units; fi
[ ! -e /var/lib/kubelet/config.yaml ] || say 'has kubelet configuration'
if [ -e "$own/unfinished" ]; then say "unfinished $(head -n 1 "$own/unfinished")"; fi
if [ -r "$own/node" ]; then t="$t$(sed -n 's/^\([a-z]*\)=/\1 /p' "$own/node")$nl"; fi
m=/etc/kubernetes/manifests/kube-apiserver.yaml
if [ -r "$m" ]; then say "image $(sed -n 's/^ *image: .*:v\([^:]*\)$/\1/p' "$m" | head -n 1)"; fi
if [ -r /etc/kubernetes/kubelet.conf ]; then
  say "server $(sed -n 's/^ *server: *//p' /etc/kubernetes/kubelet.conf | head -n 1)"
fi
if [ -r /etc/kubernetes/pki/ca.crt ]; then
  set -- $(sha256sum </etc/kubernetes/pki/ca.crt)
  say "ca $1"
fi
"""
)

_REGISTERED = (
    API_GET
    + r"""
case $t in
*'has kubelet.conf'*)
  # by its path: to find out what a kind is called takes kubectl thirty questions
  if a=$(api_get /api/v1/nodes/NODE 5); then
    # a node that was made by hand has no record of its version: its kubelet tells
    case $a in
    *'"kubeletVersion":"v'[0-9]*) a=${a##*'"kubeletVersion":"v'} && say "kubelet ${a%%'"'*}" ;;
    esac
  else
    # an API that does not answer says nothing: it must not change what this host tells of itself
    case $a in *NotFound*) say 'registered no' ;; *'unknown authority'*) say 'registered stranger' ;; esac
  fi ;;
esac
"""
)

_READY = (
    ADMIN
    + r"""
case $t in
*'has admin.conf'*)
  if [ "$(admin --request-timeout=10s get --raw /readyz 2>/dev/null)" = ok ]; then say ready; fi ;;
esac
"""
)


@dataclass(frozen=True)
class Survey:
    """What one host told."""

    files: frozenset[str] = frozenset()
    unfinished: str = ""
    """What kubeadm was doing when it was last begun, if it has not ended."""
    cluster: str = ""
    node: str = ""
    role: str = ""
    server: str = ""
    """The API endpoint that the kubelet uses, as a URL."""
    ca: str = ""
    """Digest of the cluster's CA certificate: which cluster it is."""
    version: str = ""
    """What the node was made or brought to; without such a record what its kubelet or API server is."""
    kubelet: str = ""
    """The version of the kubelet that runs, as the API knows it."""
    lost: bool = False
    """The API says that it does not know the node."""
    ready: bool = False
    """A control plane whose own API server is ready."""
    units: bool = False
    """Files of a node without kubeadm, which alone make no member."""
    stranger: bool = False
    """The API has another CA than the one that the kubelet trusts."""

    @property
    def plane(self) -> bool:
        """Whether there is anything of a control plane, so that a reset could lose a cluster's data."""
        return self.role == "control-plane" or any(
            name in ("admin.conf", "etcd data") or name.startswith("manifests/") for name in self.files
        )

    @property
    def found_role(self) -> str:
        """What the host was made, or what its files make of it."""
        return self.role or ("control-plane" if "manifests/kube-apiserver.yaml" in self.files else "worker")

    @property
    def bare(self) -> bool:
        """No member, whatever it is on its way to: nothing but an authority's certificate is there."""
        return not self.node and not self.unfinished and self.files <= {"pki/ca.crt"}

    @property
    def status(self) -> Status:
        """See `Status`."""
        if self.unfinished:
            return "partial"
        present = self.files - {"kubelet configuration"}
        if not self.node and (self.units or not present):
            return "absent"
        if present == {"etcd data"} and not self.node:
            return "leftover"
        needed = {"kubelet.conf", "pki/ca.crt"}
        if not self.node and self.plane:
            needed |= {
                f"manifests/kube-{name}.yaml" for name in ("apiserver", "controller-manager", "scheduler")
            }
            needed |= {"admin.conf"}
        if needed <= present and "bootstrap-kubelet.conf" not in present and self.server:
            return "member"
        return "broken" if self.plane else "partial"


def question(node: str | None = None, *, ready: bool = False) -> str:
    """Read-only sh that prints what the host tells: of its own node, or as a peer. 1: it may not look."""
    script = _SURVEY.replace("OWN", OWN)
    if node is not None:
        script += _REGISTERED.replace("NODE", quote(node))
    if ready:
        script += _READY
    return script + 'printf %s "$t"\n'


PEER = Fragment(f'a=$(\n{question(ready=True)})\nemit "$?" "$a"\n', timeout=40.0)
"""Asked of control planes by those who want to join or leave."""


def read_peer(answer: Answer) -> Survey | str:
    """What a peer told, or why it told nothing."""
    if answer.failure is not None or not answer.records:
        return answer.detail or (answer.failure.value if answer.failure else "no answer")
    record = answer.records[0]
    text = record.text.decode("utf-8", "replace")
    return read(text) if record.status == 0 else text.strip()


def read(text: str) -> Survey:
    """A survey from the text of its record; never raises."""
    files, words = set(), dict[str, str]()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "has":
            files.add(rest)
        elif word:
            words[word] = rest.strip()
    return Survey(
        files=frozenset(files),
        unfinished=words.get("unfinished", ""),
        cluster=words.get("cluster", ""),
        node=words.get("node", ""),
        role=words.get("role", ""),
        server=words.get("server", ""),
        ca=words.get("ca", ""),
        version=words.get("version", "") or words.get("kubelet", "") or words.get("image", ""),
        kubelet=words.get("kubelet", ""),
        lost=words.get("registered") == "no",
        ready="ready" in words,
        units="units" in words,
        stranger=words.get("registered") == "stranger",
    )
