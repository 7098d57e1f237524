"""Back to a snapshot of etcd: what each phase does on a host, and how far a host is.

The order is that of etcd's and Kubernetes' own documentation on disaster recovery: nobody serves while
data is replaced, all members restore from the same file as a new cluster, and what holds an older view of the
API is started anew, since revisions have gone back.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubexms.step.kinds._kubeadm.scripts import API_READY
from kubexms.step.kinds._kubeadm.survey import ADMIN, OWN, PATHS
from kubexms.step.shell import quote

PHASES = ("none yet", "stop", "restore", "etcd", "serve")
"""In their order; a host's record holds the number of the last one that it reached."""
BEFORE: Mapping[str, str | None] = {"stop": None, "restore": "stop", "etcd": "restore", "serve": "etcd"}
"""What every member must have reached before one may begin a phase."""

_STATE = r"""
own=OWN id=ID manifests=/etc/kubernetes/manifests
held=$own/held
reached=0
if [ -r "$own/restore" ]; then
  read -r was rank <"$own/restore"
  [ "$was" != "$id" ] || reached=$rank
fi
directory() { sed -n 's/.*--data-dir=\([^ ]*\).*/\1/p' "$held/etcd.yaml" | head -n 1; }
member() { [ -e "$manifests/etcd.yaml" ] || [ -e "$held/etcd.yaml" ]; }
"""

_ASK = r"""
if [ -d /etc/kubernetes ] && [ ! -r /etc/kubernetes ]; then
  echo 'permission denied: /etc/kubernetes cannot be read'
  exit 1
fi
member || { echo none; exit 0; }
if [ "$reached" -ge RANK ]; then echo done; exit 0; fi
# a member that joined after the restore has no record of it, and the cluster has
told=
[ "$reached" -gt 0 ] || told=$(admin --request-timeout=5s -n kube-system get configmap kubexms-etcd-restore \
  -o 'jsonpath={.data.restored}' 2>/dev/null)
if [ "$told" = "$id" ]; then echo done; else echo todo; fi
"""

_PEER = r"""
if ! member; then a=none
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

_STOP = r"""
member || { echo 'this host has no etcd of its own' >&2; exit 1; }
command -v etcdctl >/dev/null || { echo 'etcdctl is not installed on this host' >&2; exit 1; }
mkdir -p -m 0700 "$own" "$held"
# the API first: nothing is written to etcd from then on
for f in kube-apiserver etcd; do
  [ ! -e "$manifests/$f.yaml" ] || mv -f "$manifests/$f.yaml" "$held/$f.yaml"
done
sync "$held" "$manifests" 2>/dev/null || sync
n=0
while pgrep -x kube-apiserver >/dev/null || pgrep -x etcd >/dev/null; do
  n=$((n + 1))
  if [ "$n" -ge 180 ]; then
    echo 'the kubelet has not stopped the API server and etcd within 180 s: does it run?' >&2
    exit 1
  fi
  sleep 1
done
# what an earlier restore of the same name put aside stays: this one puts its own aside under that name
data=$(directory)
kept=${data:+$data/before-restore-$id} n=1
if [ -n "$kept" ] && [ -e "$kept" ]; then
  while [ -e "$kept.$n" ]; do n=$((n + 1)); done
  mv "$kept" "$kept.$n"
fi
"""

_RESTORE = r"""
! pgrep -x etcd >/dev/null || { echo 'etcd runs on this host' >&2; exit 1; }
data=$(directory)
case $data in /?*) ;; *) echo 'the manifest of etcd names no directory of data' >&2; exit 1 ;; esac
sum=$(sha256sum <"$snapshot")
[ "${sum%% *}" = "$sha256" ] || { echo "$snapshot has another digest than that of the plan" >&2; exit 1; }
old=$data/before-restore-$id new=$data/kubexms-restore
mkdir -p -m 0700 "$data"
rm -rf -- "$new"
if command -v etcdutl >/dev/null; then tool=etcdutl; else tool=etcdctl; fi
ETCDCTL_API=3 "$tool" snapshot restore "$snapshot" --data-dir "$new" --name "$name" \
  --initial-advertise-peer-urls "$url" --initial-cluster "$cluster" --initial-cluster-token "kubexms-$id"
# the data of before is renamed once; what stands in its place later is from a restore that was cut off
if [ -e "$old" ]; then rm -rf -- "$data/member"; elif [ -e "$data/member" ]; then mv "$data/member" "$old"; fi
mv "$new/member" "$data/member"
rm -rf -- "$new"
sync "$data" 2>/dev/null || sync
"""

_ETCD = r"""
[ ! -e "$held/etcd.yaml" ] || mv -f "$held/etcd.yaml" "$manifests/etcd.yaml"
sync "$held" "$manifests" 2>/dev/null || sync
"""

# What watches the API from a revision that is yet to come again hears nothing until then.
# Linux keeps 15 letters of a program's name.
_ANEW = r"""
systemctl restart kubelet
for c in kube-controller kube-scheduler kube-proxy coredns; do
  pkill -TERM -x "$c" || :
done
"""

_SERVE = r"""
pki=/etc/kubernetes/pki/etcd
n=0
until ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --command-timeout 5s --cacert "$pki/ca.crt" \
    --cert "$pki/server.crt" --key "$pki/server.key" endpoint health >/dev/null 2>&1; do
  n=$((n + 1))
  if [ "$n" -ge 180 ]; then
    echo 'etcd is not healthy after the restore: see the logs of its container' >&2
    exit 1
  fi
  sleep 1
done
[ ! -e "$held/kube-apiserver.yaml" ] || mv -f "$held/kube-apiserver.yaml" "$manifests/kube-apiserver.yaml"
sync "$held" "$manifests" 2>/dev/null || sync
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

REFRESH = PATHS + _ANEW
"""On a node: what has an older view of the API is started anew."""


def question(restore: str, phase: str) -> str:
    """Read-only sh that prints `none`, `todo` or `done`."""
    return _state(restore) + ADMIN + _ASK.replace("RANK", str(PHASES.index(phase)))


def peer_question(restore: str) -> str:
    """A fragment with one record: the phase that the host has reached, or `none` without a member there."""
    return _state(restore) + _PEER


def reached(restore: str, phase: str) -> str:
    """The host's record that it got so far."""
    return _state(restore) + _REACHED.replace("RANK", str(PHASES.index(phase)))


def script(
    phase: str, restore: str, *, snapshot: str, sha256: str, name: str, members: Mapping[str, str]
) -> str:
    """What the host does in this phase; each part may have been done before."""
    address = members[name]
    cluster = ",".join(f"{node}={_url(where)}" for node, where in members.items())
    head = f"snapshot={quote(snapshot)}\nsha256={sha256}\nname={quote(name)}\n"
    head += f"url={quote(_url(address))}\ncluster={quote(cluster)}\n"
    body = {
        "stop": _STOP,
        "restore": _RESTORE,
        "etcd": _ETCD,
        "serve": ADMIN + _SERVE + API_READY + _ANEW + _TOLD,
    }[phase]
    return _state(restore) + head + body + _REACHED.replace("RANK", str(PHASES.index(phase)))


def _state(restore: str) -> str:
    return PATHS + _STATE.replace("OWN", OWN).replace("ID", quote(restore))


def _url(address: str) -> str:
    return f"https://[{address}]:2380" if ":" in address else f"https://{address}:2380"
