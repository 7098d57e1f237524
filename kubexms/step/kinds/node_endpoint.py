"""The kind `nodeEndpoint`: where the kubeconfigs of a node reach the API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, JsonValue

from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.spec.cluster.values import NodeName
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, StepArgs
from kubexms.step.kinds._kubeadm.scripts import PID
from kubexms.step.kinds._kubeadm.survey import OWN, PATHS
from kubexms.step.kinds.hosts_entry import HostName, as_address
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

NO_NODE = 3
PLACE = r"^(\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+):\d{1,5}$"
BY_THE_ENDPOINT = ("kubelet.conf", "admin.conf", "super-admin.conf")
BESIDE = {"controller-manager.conf": "kube-controller-manager", "scheduler.conf": "kube-scheduler"}
"""Files of parts that go by the API server beside them, and the part's process."""


class NodeEndpointSpec(StepArgs):
    """The kubeconfigs of a node in `/etc/kubernetes` lead to the cluster's endpoint.

    Where one leads elsewhere, the endpoint is tried first, with the node's own credentials: if the API
    does not answer there, nothing is changed. Then the files are, and the kubelet is restarted; pods go on.
    On a control plane the files of the administrator count too, and the controller manager and the
    scheduler may use the API server beside them, as kubeadm has it.

    Without kubeadm the step keeps the whole text of `kubeconfigs`, which steps before it write first.
    """

    node_name: NodeName
    """The name of the node."""
    endpoint: str = Field(pattern=PLACE)
    """Host and port of the API: "k8s.example:6443"."""
    beside: str | None = Field(default=None, pattern=PLACE)
    """On a control plane: host and port of its own API server."""
    kubelet_beside: bool = False
    """The kubelet of a control plane may use the API server beside it too (kubeadm from 1.31 on)."""
    kubeconfigs: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]+\.conf$")], str] = Field(default_factory=dict)
    """Without kubeadm: the files by their names, and the text of each, which leads to the endpoint."""
    proxy_unit: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$")
    """The unit of kube-proxy, where it is one: it is restarted with the kubelet."""
    hosts_file: dict[Annotated[str, AfterValidator(as_address)], tuple[HostName, ...]] = Field(
        default_factory=dict
    )
    """Addresses and their names in `/etc/hosts`, as `hostsEntry` steps with `keepNamedIn` have them: the name
    of the former endpoint leaves their lines when nothing here goes by it any more."""


class NodeEndpointExecutor(OneByOne[NodeEndpointSpec]):
    """See `NodeEndpointSpec`."""

    kind: ClassVar[str] = "nodeEndpoint"
    spec: ClassVar[type[StepArgs]] = NodeEndpointSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "node_name": (),
        "endpoint": BY_THE_ENDPOINT,
        "beside": tuple(BESIDE),
        "kubelet_beside": ("kubelet.conf",),
        "kubeconfigs": ("content",),
        "proxy_unit": (),
        "hosts_file": (),
    }
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- {name: endpoint, kind: nodeEndpoint, nodeName: w1, endpoint: "k8s.example:6443"}
"""

    def ask(self, spec: NodeEndpointSpec) -> str:
        asked = _ASK.replace("FILES", words(_files(spec))).replace("OWN", OWN)
        return asked.replace("WHOLE", words([*spec.kubeconfigs]) or "''")

    def observe(self, spec: NodeEndpointSpec, record: Record) -> Observation:
        """Absent before the host is a node."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_NODE:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not show its kubeconfigs")
        lines = text.splitlines()
        found: dict[str, JsonValue] = dict.fromkeys(_files(spec))
        wanted = self.desired(spec) or {}
        # one that is not there is the business of the step that writes it
        content = {name: _rest(text) for name, text in spec.kubeconfigs.items()}
        for line in lines:
            name, _, server = line.partition(" ")
            if name.startswith("rest:"):
                content[name.removeprefix("rest:")] = server
            if name in found:
                server = server.rstrip("/")
                # what leads to where it may is as good as what is wanted
                found[name] = wanted.get(name) if server in _may(spec, name) else server
        if spec.kubeconfigs:
            found["content"] = {**content}
        return Observation.present({**found, "inUse": "unserved" not in lines})

    def desired(self, spec: NodeEndpointSpec) -> Attributes | None:
        url = f"https://{spec.endpoint}"
        wanted: dict[str, JsonValue] = {"kubelet.conf": url, "inUse": True}
        if spec.kubeconfigs:
            wanted |= dict.fromkeys(spec.kubeconfigs, url)
            wanted["content"] = {name: _rest(text) for name, text in spec.kubeconfigs.items()}
        if spec.beside is not None:
            wanted |= dict.fromkeys(BY_THE_ENDPOINT, url) | dict.fromkeys(BESIDE, f"https://{spec.beside}")
        return wanted

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """Equal. A file that is not there leads nowhere."""
        return desired == observed or (observed is None and name != "kubelet.conf")

    def disruption(self, spec: NodeEndpointSpec, request: ChangeRequest) -> Disruption:
        return Disruption.RESTART if request.before.presence is Presence.PRESENT else Disruption.NONE

    def action(self, spec: NodeEndpointSpec, request: ChangeRequest) -> Action:
        wanted = self.desired(spec) or {}
        if spec.kubeconfigs:
            return self._whole(spec, request)
        files = [name for name in (*BY_THE_ENDPOINT, *BESIDE) if name in request.changed]
        again = [name for name in BESIDE if name in files or (spec.beside and "inUse" in request.changed)]
        head = _head(spec)
        moves = "".join(f"leads {name} {quote(str(wanted[name]))}\n" for name in files)
        parts = "".join(f"again {BESIDE[name]}\n" for name in again)
        return Action(head + _TRY + moves + _KUBELET + parts + _END, timeout=900.0)

    def _whole(self, spec: NodeEndpointSpec, request: ChangeRequest) -> Action:
        """Files that are written anew."""
        files = [name for name in spec.kubeconfigs if name in request.changed or "content" in request.changed]
        moves = "".join(f"written {name}\n" for name in files)
        proxy = f"systemctl restart {quote(spec.proxy_unit)}\n" if spec.proxy_unit else ""
        sent = dict.fromkeys(["kubelet.conf", *files])
        payloads = {
            name: Payload(data=text.encode()) for name, text in spec.kubeconfigs.items() if name in sent
        }
        script = _head(spec) + _WITH_NEW + _TRY + _WRITTEN + moves + _KUBELET + proxy + _END
        return Action(script, payloads, timeout=900.0)

    def summary(self, spec: NodeEndpointSpec) -> str:
        return spec.node_name

    def object_id(self, spec: NodeEndpointSpec) -> str:
        """A host is one node."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


def _files(spec: NodeEndpointSpec) -> list[str]:
    return [*spec.kubeconfigs] if spec.kubeconfigs else [*BY_THE_ENDPOINT, *BESIDE]


def _rest(text: str) -> str:
    """The digest of a kubeconfig without the lines that say where it leads."""
    lines = [line for line in text.splitlines(keepends=True) if not line.lstrip(" ").startswith("server: ")]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _head(spec: NodeEndpointSpec) -> str:
    lines = " ".join(f"{ip}={','.join(names)}," for ip, names in spec.hosts_file.items())
    return (
        f"{PATHS}{PID}own={OWN}\nnode={quote(spec.node_name)}\nurl={quote(f'https://{spec.endpoint}')}\n"
        f"lines={quote(lines)}\n"
    )


def _may(spec: NodeEndpointSpec, name: str) -> list[str]:
    """Where a file may lead."""
    places = [spec.endpoint]
    if spec.beside is not None and (name in BESIDE or (name == "kubelet.conf" and spec.kubelet_beside)):
        places.append(spec.beside)
    return [f"https://{place}" for place in places]


_ASK = r"""
cd /etc/kubernetes 2>/dev/null && [ -e kubelet.conf ] || exit 3
[ -r kubelet.conf ] || { echo 'permission denied: /etc/kubernetes/kubelet.conf cannot be read'; exit 1; }
for f in FILES; do
  [ ! -r "$f" ] || echo "$f $(sed -n 's/^ *server: *//p' "$f" | head -n 1)"
done
for f in WHOLE; do
  [ ! -r "$f" ] || echo "rest:$f $(sed '/^ *server: /d' "$f" | sha256sum | cut -d ' ' -f 1)"
done
[ ! -e OWN/unserved ] || echo unserved
"""

_TRY = r"""
api() {
  kubectl --cache-dir /dev/null/no --kubeconfig "${conf:-/etc/kubernetes/kubelet.conf}" --server "$url" \
    --request-timeout=5s "$@"
}
n=0
until said=$(api get --raw /readyz 2>&1); do
  n=$((n + 1))
  if [ "$n" -ge 30 ]; then
    echo "$said" >&2
    echo "the API does not answer this host at $url; nothing was changed here" >&2
    exit 1
  fi
  sleep 2
done
former=$(sed -n 's|^ *server: *https://||p' /etc/kubernetes/kubelet.conf | head -n 1)
former=${former%:*}
mkdir -p -m 0700 "$own"
: >"$own/unserved"
sync "$own" 2>/dev/null || sync
# leads FILE URL
leads() {
  f=/etc/kubernetes/$1
  [ -e "$f" ] || return 0
  cp -p "$f" "$f.kubexms"
  sed "s|^\( *server: \).*|\1$2|" "$f" >"$f.kubexms"
  sync "$f.kubexms" 2>/dev/null || sync
  mv -f "$f.kubexms" "$f"
}
# again PROCESS: it is ended, and the kubelet starts it again
again() {
  was=$(pid "$1")
  [ -n "$was" ] || return 0
  kill -TERM "$was"
  n=0
  until now=$(pid "$1"); [ -n "$now" ] && [ "$now" != "$was" ]; do
    n=$((n + 1))
    [ "$n" -lt 180 ] || { echo "the kubelet has not started $1 again within 180 s" >&2; exit 1; }
    sleep 1
  done
}
"""

_WITH_NEW = r"""
# what is there may be good for nothing
conf=$(mktemp)
trap 'rm -f "$conf"' EXIT
payload kubelet.conf >"$conf"
"""

_WRITTEN = r"""
# written FILE: its whole text, with the owner and mode that it has
written() {
  f=/etc/kubernetes/$1
  [ -e "$f" ] || return 0
  cp -p "$f" "$f.kubexms"
  payload "$1" >"$f.kubexms"
  sync "$f.kubexms" 2>/dev/null || sync
  mv -f "$f.kubexms" "$f"
}
"""

# The kubelet renews its lease every ten seconds: one that is renewed after the start shows that it reaches
# the API. Just started it may say that the node is not ready: who comes next waits until it says that it is.
_KUBELET = r"""
lease() { api -n kube-node-lease get lease "$node" -o 'jsonpath={.spec.renewTime}' 2>/dev/null; }
state() {
  api get node "$node" 2>/dev/null \
    -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}'
}
# tried WHAT: once more a second later, 180 times in all
tried() {
  n=$((n + 1))
  [ "$n" -lt 180 ] || { echo "$1 within 180 tries" >&2; exit 1; }
  sleep 1
}
before=$(state) || before=
systemctl restart kubelet
was=$(lease) || was=
n=0
until now=$(lease) && [ -n "$now" ] && [ "$now" != "$was" ]; do
  tried "the kubelet has not reached the API at $url"
done
case $before in
"True "*)
  n=0
  until now=$(state) && [ "${now%% *}" = True ] && [ "$now" != "$before" ]; do
    tried "the node has not become ready again"
  done ;;
esac
"""

_END = r"""
rm -f "$own/unserved"
rmdir "$own" 2>/dev/null || :
host=${url#https://}
case $former in
"" | "${host%:*}" | "["*) exit 0 ;;
*[!0-9.]*) ;;
*) exit 0 ;;
esac
[ -n "$lines" ] || exit 0
new=/etc/hosts.kubexms
cp -p /etc/hosts "$new"
awk -v former="$former" -v lines="$lines" '
  BEGIN {
    n = split(lines, line, " ")
    for (i = 1; i <= n; i++) {
      at = index(line[i], "=")
      if (!index("," substr(line[i], at + 1), "," former ",")) ours[substr(line[i], 1, at - 1)] = 1
    }
  }
  {
    text = $0; comment = ""
    if (at = index(text, "#")) { comment = substr(text, at); text = substr(text, 1, at - 1) }
    n = split(text, word, " "); there = 0
    for (i = 2; i <= n; i++) if (word[i] == former) there = 1
    if (!(word[1] in ours) || !there) { print; next }
    kept = word[1]; left = 0
    for (i = 2; i <= n; i++) if (word[i] != former) kept = kept (left++ ? " " : "\t") word[i]
    if (left) print kept (comment != "" ? " " comment : "")
    else if (comment != "") print comment
  }' /etc/hosts >"$new"
if cmp -s "$new" /etc/hosts; then rm -f "$new"; else mv -f "$new" /etc/hosts; fi
"""


__all__ = ["NodeEndpointExecutor", "NodeEndpointSpec"]
