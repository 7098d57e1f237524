"""The shell in which kubeadm is run: beginning and end are marked, so that what was cut off is seen."""

from __future__ import annotations

from kubexms.step.kinds._kubeadm.aftermath import PUT_BACK, REMEMBER
from kubexms.step.kinds._kubeadm.kubelets import kubelet_is
from kubexms.step.kinds._kubeadm.survey import ADMIN, OWN, PATHS
from kubexms.step.shell import quote

_CHECK = r"""
own=OWN
[ "$(id -u)" = 0 ] || { echo 'kubeadm needs root' >&2; exit 1; }
for tool in kubeadm kubelet kubectl; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed on this host" >&2; exit 1; }
done
have=$(kubeadm version -o short)
[ "$have" = "$want" ] || { echo "kubeadm here is $have, and the cluster is to be $want" >&2; exit 1; }
"""

_MARK = r"""
mkdir -p -m 0700 "$own"
printf '%s\n' "$what" >"$own/unfinished"
sync "$own/unfinished" 2>/dev/null || sync
# refused before it touched anything: nothing is half done then
untouched() {
  for f in kubelet.conf bootstrap-kubelet.conf admin.conf pki/ca.crt manifests/kube-apiserver.yaml; do
    [ ! -e "/etc/kubernetes/$f" ] || return 1
  done
}
made=
ended() {
  status=$?
  # authorities that were made for kubeadm, and that it has not signed anything with
  if [ "$status" -ne 0 ] && [ -n "$made" ] && [ ! -e /etc/kubernetes/pki/apiserver.crt ]; then
    rm -f $made
    rmdir /etc/kubernetes/pki/etcd /etc/kubernetes/pki 2>/dev/null || :
  fi
  if [ "$status" -ne 0 ] && untouched; then rm -f "$own/unfinished"; fi
  exit "$status"
}
trap ended EXIT
"""

_MEMBER = r"""
mkdir -p -m 0700 "$own"
printf 'cluster=%s\nnode=%s\nrole=%s\nversion=%s\n' "$cluster" "$node" "$role" "$version" >"$own/node.new"
mv -f "$own/node.new" "$own/node"
sync "$own/node" 2>/dev/null || sync
rm -f "$own/unfinished"
"""

API_READY = r"""
n=0
until [ "$(admin --request-timeout=5s get --raw /readyz 2>/dev/null)" = ok ]; do
  n=$((n + 1))
  if [ "$n" -ge 180 ]; then
    echo 'the API server of this host has not become ready within 180 tries' >&2
    admin --request-timeout=5s get --raw '/readyz?verbose' >&2 || :
    exit 1
  fi
  sleep 1
done
"""
"""Waits for the API server of this very host; `admin` (ADMIN) must be there."""

_FORGET = r"""
kubeadm token list -o 'jsonpath={.description}|{.token}{"\n"}' 2>/dev/null |
while IFS='|' read -r what token; do
  [ "$what" != "$description" ] || kubeadm token delete "${token%%.*}" >/dev/null || :
done
"""

_NOBODY = (
    ADMIN
    + r"""
# the API sees within a minute that the machine that had this name before is gone; kubeadm waits for nothing
ready='jsonpath={.status.conditions[?(@.type=="Ready")].status}'
n=0
while [ "$(admin --request-timeout=10s get node "$node" -o "$ready" 2>/dev/null)" = True ]; do
  n=$((n + 1))
  if [ "$n" -gt 60 ]; then
    echo "a node $node works in this cluster, and it is not the host that joins: give one of them" \
      "another name, or let the other one leave first" >&2
    exit 1
  fi
  sleep 2
done
"""
)

_RESET = r"""
own=OWN
command -v kubeadm >/dev/null || { echo 'kubeadm is not installed on this host' >&2; exit 1; }
data=$(sed -n 's/.*--data-dir=\([^ ]*\).*/\1/p' /etc/kubernetes/manifests/etcd.yaml 2>/dev/null | head -n 1)
if [ -z "$data" ] && [ -e "$own/unfinished" ]; then data=/var/lib/etcd; fi
mkdir -p -m 0700 "$own"
echo reset >"$own/unfinished"
# the member is out of etcd already, or it is the last one; the phase would try to reach the others again
kubeadm reset --force --skip-phases remove-etcd-member SOCKET
[ -z "$data" ] || rm -rf -- "$data/member" "$data"/before-restore-*
# kubeadm leaves the network as it is
"""

_BRIDGE = r"""
conf=/etc/cni/net.d/10-kubexms.conflist
bridge=$(sed -n 's/.*"bridge": *"\([^"]*\)".*/\1/p' "$conf" 2>/dev/null | head -n 1)
"""

_NETWORK_GONE = r"""
# of the network only what Kubernetes and this tool have made goes
rm -f "$conf"
if [ -n "$bridge" ]; then
  ip link delete "$bridge" 2>/dev/null || :
  rm -rf /var/lib/cni/networks/kubexms /var/lib/cni/results /var/lib/cni/cache
fi
ip route flush proto ROUTES 2>/dev/null || :
for v in iptables ip6tables; do
  command -v "$v-save" >/dev/null && command -v "$v-restore" >/dev/null || continue
  rules=$("$v-save" 2>/dev/null) || continue
  case $rules in *KUBE-* | *CNI-* | *kubexms-pod-network*)
    printf '%s\n' "$rules" | grep -v -e KUBE- -e CNI- -e kubexms-pod-network | "$v-restore" ;;
  esac
done
"""

_GONE = r"""
rm -rf /etc/kubernetes/tmp
AFTERMATH
for d in /etc/kubernetes/pki/etcd /etc/kubernetes/pki /etc/kubernetes/manifests /etc/kubernetes \
    /var/lib/cni/networks /var/lib/cni /var/lib/kubelet /var/lib/etcd; do
  rmdir "$d" 2>/dev/null || :
done
rm -rf "$own"
"""

PID = r"""
pid() { pgrep -xo "$(printf %.15s "$1")" || :; }
"""
"""The oldest process of a name, of which the kernel keeps fifteen characters (proc(5), comm)."""

ROUTE_PROTOCOL = "75"
"""The mark (`proto`) of routes that this tool has made."""


def check(version: str) -> str:
    """The programs are of this version; for the kubelet see `kubelet_is`, which goes on from here."""
    wanted = "v" + version.removeprefix("v")
    return f"{PATHS}want={quote(wanted)}\n" + _CHECK.replace("OWN", OWN)


def begin(what: str, version: str, package: str) -> str:
    """Check what is needed, and mark that `what` has begun. `package`: see `kubelet_is`."""
    return check(version) + kubelet_is(package) + f"what={quote(what)}\n" + REMEMBER + _MARK


def member(cluster: str, node: str, role: str, version: str) -> str:
    """The host is a member: say whose, and that nothing is unfinished."""
    head = f"cluster={quote(cluster)}\nnode={quote(node)}\nrole={quote(role)}\n"
    head += f"version={quote(version.removeprefix('v'))}\n"
    return head + _MEMBER + (ADMIN + API_READY if role == "control-plane" else "")


def init(skip: tuple[str, ...]) -> str:
    """The first control plane. What is printed is recorded, so no token may be."""
    phases = f" --skip-phases {quote(','.join(skip))}" if skip else ""
    return f"payload config | kubeadm init --config /dev/stdin --skip-token-print{phases}\n"


POD = """\
mkdir -p /etc/kubernetes/manifests
(umask 077; payload pod >/etc/kubernetes/manifests/kube-vip.yaml)
"""
"""The static pod that has the endpoint's address (payload `pod`)."""

JOIN = "payload config | kubeadm join --config /dev/stdin\n"
"""The configuration holds secrets: it never lies in a file, and is no argument."""


def mint(node: str, *, plane: bool) -> str:
    """On a member: a token that lives for minutes; for a control plane the certificates too.

    One that an earlier join of this node has left, because it was cut off, is of no more use. Fails where a
    node of this name works: it is another machine's.
    """
    description = quote(f"kubexms {node}")
    script = f"{PATHS}node={quote(node)}\n{_NOBODY}description={description}\n{_FORGET}"
    script += f"kubeadm token create --ttl 15m0s --print-join-command --description {description}\n"
    if plane:
        script += "payload config | kubeadm init phase upload-certs --upload-certs --config /dev/stdin\n"
    return script


def revoke(token: str) -> str:
    """On a member: the token is of no more use. Its first half is no secret."""
    return f"{PATHS}kubeadm token delete {quote(token.partition('.')[0])}\n"


def reset(socket: str | None) -> str:
    """The host is no member any more, and nothing of the cluster is left on it."""
    flag = f"--cri-socket {quote(socket)}" if socket else ""
    return cleared(_RESET.replace("SOCKET", flag))


def cleared(ending: str) -> str:
    """Sh that ends what runs (`ending`; `$own` is where the host keeps whose it is), then clears the host."""
    script = _BRIDGE + ending + _NETWORK_GONE + _GONE
    return PATHS + script.replace("AFTERMATH", PUT_BACK.strip()).replace("OWN", OWN).replace(
        "ROUTES", ROUTE_PROTOCOL
    )
