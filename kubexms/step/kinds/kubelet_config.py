"""The kind `kubeletConfig`: the kubelet of a node that kubeadm has made has the cluster's configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue

from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, StepArgs
from kubexms.step.kinds._kubeadm.basis import BASIS, AsksKubeadm
from kubexms.step.kinds._kubeadm.documents import KubeadmArgs, node_name
from kubexms.step.kinds._kubeadm.rendering import KUBELET, TOOLS
from kubexms.step.kinds._kubeadm.survey import OWN, PATHS
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

NO_NODE = 3


class KubeletConfigSpec(KubeadmArgs):
    """The kubelet of a node runs with the configuration that its cluster is to have.

    What `/var/lib/kubelet/config.yaml` is to be comes from kubeadm on the host itself, which writes it into
    a private mount; so a field that somebody changed, and one that the document has changed, are shown line
    by line. Putting it right restarts the kubelet and waits until the node has told its state anew; pods go
    on. With a configuration that the kubelet does not run with the one of before is put back, and the step
    fails with what the kubelet said.
    """

    needs: ClassVar[tuple[str, ...]] = ("InitConfiguration", "ClusterConfiguration", "KubeletConfiguration")

    config: str
    """kubeadm's configuration, as in `kubeadmNode`: InitConfiguration (with the node's name and address),
    ClusterConfiguration and KubeletConfiguration."""


class KubeletConfigExecutor(AsksKubeadm[KubeletConfigSpec]):
    """See `KubeletConfigSpec`."""

    kind: ClassVar[str] = "kubeletConfig"
    spec: ClassVar[type[StepArgs]] = KubeletConfigSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"config": ("configuration", "loaded", "content")}
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: kubelet
  kind: kubeletConfig
  config: |
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: InitConfiguration
    nodeRegistration: {name: w1}
    localAPIEndpoint: {advertiseAddress: 192.0.2.21}
    ---
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: ClusterConfiguration
    kubernetesVersion: v1.20.2
    ---
    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    maxPods: 60
"""

    def ask(self, spec: KubeletConfigSpec) -> str:
        head = f"{PATHS}config={quote(spec.config)}\nknown={quote(spec._basis)}\nown={OWN}\n"
        return f"{head}{_NODE}{TOOLS}{KUBELET}{BASIS}{_ASK}"

    def observe(self, spec: KubeletConfigSpec, record: Record) -> Observation:
        """Absent before the host is a node."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_NODE:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "kubeadm does not say what is to be")
        state, _, rest = text.partition("\n")
        lines = rest.splitlines()
        due = "due" in lines[:1]
        attributes: dict[str, JsonValue] = {"configuration": state, "loaded": not due}
        extra: dict[str, JsonValue] = {}
        if state == "as specified":
            if lines and lines[-1].startswith("basis "):
                extra["basis"] = lines[-1].removeprefix("basis ")
        else:
            before = [line[1:] for line in lines if line.startswith("-")]
            after = [line[1:] for line in lines if line.startswith("+")]
            extra = {"content": "".join(f"{x}\n" for x in before), "wanted": "".join(f"{x}\n" for x in after)}
        return Observation.present(attributes, extra)

    def desired(self, spec: KubeletConfigSpec) -> Attributes | None:
        return {"configuration": "as specified", "loaded": True}

    def disruption(self, spec: KubeletConfigSpec, request: ChangeRequest) -> Disruption:
        running = request.before.presence is Presence.PRESENT
        return Disruption.RESTART if running and request.changed else Disruption.NONE

    def action(self, spec: KubeletConfigSpec, request: ChangeRequest) -> Action:
        head = f"{PATHS}own={OWN}\nnode={quote(node_name(spec.config) or '')}\n"
        payload = Payload(data=spec.config.encode())
        return Action(head + TOOLS + KUBELET + _ACT, {"config": payload}, timeout=600.0)

    def summary(self, spec: KubeletConfigSpec) -> str:
        return "kubelet"

    def object_id(self, spec: KubeletConfigSpec) -> str:
        """A host has one kubelet."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


_NODE = r"""
if [ -d /etc/kubernetes ] && [ ! -r /etc/kubernetes ]; then
  echo 'permission denied: /etc/kubernetes cannot be read'
  exit 1
fi
[ -e /etc/kubernetes/kubelet.conf ] || exit 3
"""

_ASK = r"""
f=/var/lib/kubelet/config.yaml
# right BASIS: it is as specified
right() {
  echo 'as specified'
  [ ! -e "$own/kubelet-restart" ] || echo due
  [ -z "$1" ] || echo "basis $1"
  exit 0
}
now=$(basis "$f")
if [ -n "$now" ] && [ "$now" = "$known" ]; then right "$now"; fi
is=$(printf %s "$config" | kubelet_file) || { printf '%s\n' "$is"; exit 1; }
was=$(cat "$f" 2>/dev/null) || was=
if [ "$was" = "$is" ]; then
  # whoever wrote meanwhile
  [ "$(basis "$f")" = "$now" ] || now=
  right "$now"
fi
if [ -e "$f" ]; then echo differs; else echo missing; fi
[ ! -e "$own/kubelet-restart" ] || echo due
[ -z "$was" ] || printf '%s\n' "$was" | sed 's/^/-/'
printf '%s\n' "$is" | sed 's/^/+/'
"""

_ACT = r"""
f=/var/lib/kubelet/config.yaml
is=$(payload config | kubelet_file) || { printf '%s\n' "$is" >&2; exit 1; }
ready='jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}'
state() {
  kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout=5s \
    get node "$node" -o "$ready" 2>/dev/null
}
restarts() { systemctl show -p NRestarts kubelet | sed 's/.*=//'; }
was=$(state) || was=
# that a restart is due is kept until it is done: the file alone would not tell
mkdir -p -m 0700 "$own"
: >"$own/kubelet-restart"
if [ "$(cat "$f" 2>/dev/null)" != "$is" ]; then
  if [ -e "$f" ]; then cp -p "$f" "$own/kubelet-before"; fi
  printf '%s\n' "$is" >"$f.new"
  chmod 0644 "$f.new"
  mv -f "$f.new" "$f"
  sync "$f" 2>/dev/null || sync
fi
since=$(date '+%Y-%m-%d %H:%M:%S')
systemctl restart kubelet || :
first=$(restarts) n=0
# a kubelet that has begun tells the API so at once
until now=$(state) && [ -n "$now" ] && [ "$now" != "$was" ] &&
    { [ "${now%% *}" = True ] || [ "${was%% *}" != True ]; }; do
  n=$((n + 1))
  if [ "$n" -ge 180 ] || [ "$(restarts)" != "$first" ] || systemctl is-failed --quiet kubelet; then
    echo 'the kubelet does not run with this configuration; the one of before is back:' >&2
    journalctl -u kubelet --since "$since" -o cat --no-pager 2>/dev/null |
      grep -E '^[EF][0-9]{4} |[Ff]ailed to|[Ee]rror' | grep -v -i systemd | tail -n 3 >&2 || :
    if [ -e "$own/kubelet-before" ]; then
      mv -f "$own/kubelet-before" "$f"
      systemctl restart kubelet || :
    fi
    rm -f "$own/kubelet-restart"
    exit 1
  fi
  sleep 1
done
rm -f "$own/kubelet-restart" "$own/kubelet-before"
"""


__all__ = ["KubeletConfigExecutor", "KubeletConfigSpec"]
