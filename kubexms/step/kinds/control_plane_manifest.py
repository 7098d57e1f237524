"""The kind `controlPlaneManifest`: a control plane's static pods, as kubeadm makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import JsonValue, model_validator

from kubexms.runtime.protocol import Action, Outcome, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, StepArgs, StepContext
from kubexms.step.kinds._kubeadm.documents import holds
from kubexms.step.kinds._kubeadm.scripts import API_READY, PID
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

NO_CLUSTER = 3
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


class ControlPlaneManifestSpec(StepArgs):
    """API server, controller manager and scheduler of a control plane run as its configuration says.

    What their manifests are to be comes from kubeadm on the host itself, which writes them into a private
    mount; so a flag that somebody added, and one that the configuration has changed, are shown line by
    line. Putting it right restarts what differs, waits until the API server is ready, and uploads the
    configuration for those who join later. One control plane at a time does so.
    """

    config: str
    """kubeadm's configuration, as in `kubeadmNode`: InitConfiguration and ClusterConfiguration."""

    @model_validator(mode="after")
    def _configured(self) -> Self:
        holds(self.config, "ClusterConfiguration")
        return self


class ControlPlaneManifestExecutor(OneByOne[ControlPlaneManifestSpec]):
    """See `ControlPlaneManifestSpec`."""

    kind: ClassVar[str] = "controlPlaneManifest"
    spec: ClassVar[type[StepArgs]] = ControlPlaneManifestSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"config": (*COMPONENTS, "content")}
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: static-pods
  kind: controlPlaneManifest
  config: |
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: ClusterConfiguration
    kubernetesVersion: v1.20.2
    apiServer: {extraArgs: {audit-log-path: /var/log/kubernetes/audit.log}}
"""

    def ask(self, spec: ControlPlaneManifestSpec) -> str:
        return f"{PATHS}config={quote(spec.config)}\n{_ASK}"

    def observe(self, spec: ControlPlaneManifestSpec, record: Record) -> Observation:
        """Absent before the host is a control plane."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "kubeadm does not say what is to be")
        attributes: dict[str, JsonValue] = {}
        before, after = list[str](), list[str]()
        for line in text.splitlines():
            if line.startswith("= "):
                name, _, state = line[2:].partition(" ")
                attributes[name] = state
                if state != "as specified":
                    before.append(f"# {name}")
                    after.append(f"# {name}")
            elif line.startswith("-"):
                before.append(line[1:])
            elif line.startswith("+"):
                after.append(line[1:])
        extra: dict[str, JsonValue] = {}
        if before:
            extra = {"content": "\n".join(before) + "\n", "wanted": "\n".join(after) + "\n"}
        return Observation.present(attributes, extra)

    def desired(self, spec: ControlPlaneManifestSpec) -> Attributes | None:
        return dict.fromkeys(COMPONENTS, "as specified")

    def disruption(self, spec: ControlPlaneManifestSpec, request: ChangeRequest) -> Disruption:
        running = request.before.presence is Presence.PRESENT
        return Disruption.RESTART if running and request.changed else Disruption.NONE

    def action(self, spec: ControlPlaneManifestSpec, request: ChangeRequest) -> Action:
        wrong = [name for name in COMPONENTS if name in request.changed] or list(COMPONENTS)
        script = f"{PATHS}{ADMIN}{PID}{_ACT}"
        for name in wrong:
            script += f"component {name} {_PHASES[name]}\n"
        payload = Payload(data=spec.config.encode())
        return Action(script + _END, {"config": payload}, timeout=900.0)

    def run(self, context: StepContext, spec: ControlPlaneManifestSpec, request: ChangeRequest) -> Outcome:
        """One control plane at a time: the others serve meanwhile."""
        with context.alone("control plane"):
            return context.exchange(self.action(spec, request))

    def summary(self, spec: ControlPlaneManifestSpec) -> str:
        return "static pods"

    def object_id(self, spec: ControlPlaneManifestSpec) -> str:
        """A host has one set of them."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


_PHASES = {
    "kube-apiserver": "apiserver",
    "kube-controller-manager": "controller-manager",
    "kube-scheduler": "scheduler",
}

_ASK = r"""
[ -r /etc/kubernetes/admin.conf ] || exit 3
for tool in kubeadm unshare; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed on this host"; exit 1; }
done
a= s= c=
for n in NAMES; do
  f=/etc/kubernetes/manifests/$n.yaml
  [ -e "$f" ] || continue
  case $n in *apiserver) a=$(cat "$f") ;; *scheduler) s=$(cat "$f") ;; *) c=$(cat "$f") ;; esac
done
export a s c
# in a mount of its own nothing of what kubeadm writes reaches the host
printf %s "$config" | unshare -m sh -c '
  mount --make-rprivate / && mount -t tmpfs -o mode=0700 none /etc/kubernetes/manifests || exit 1
  said=$(kubeadm init phase control-plane all --config /dev/stdin 2>&1) || {
    printf "%s\n" "$said" | tail -n 1
    exit 1
  }
  for n in NAMES; do
    case $n in *apiserver) was=$a ;; *scheduler) was=$s ;; *) was=$c ;; esac
    is=$(cat "/etc/kubernetes/manifests/$n.yaml") || exit 1
    if [ "$was" = "$is" ]; then
      echo "= $n as specified"
      continue
    fi
    if [ -n "$was" ]; then echo "= $n differs"; else echo "= $n missing"; fi
    [ -z "$was" ] || printf "%s\n" "$was" | sed "s/^/-/"
    printf "%s\n" "$is" | sed "s/^/+/"
  done
'
""".replace("NAMES", " ".join(COMPONENTS))

_ACT = r"""
# component NAME PHASE: its manifest anew; the kubelet then starts it anew, unless only the text differed
component() {
  was=$(pid "$1")
  payload config | kubeadm init phase control-plane "$2" --config /dev/stdin
  n=0
  until now=$(pid "$1"); [ -n "$now" ] && [ "$now" != "$was" ]; do
    n=$((n + 1))
    if [ "$n" -gt 45 ] && [ -n "$now" ]; then break; fi
    [ "$n" -lt 180 ] || { echo "the kubelet has not started $1 within 180 s" >&2; exit 1; }
    sleep 1
  done
}
"""

_END = (
    API_READY
    + r"""
payload config | kubeadm init phase upload-config kubeadm --config /dev/stdin
"""
)


__all__ = ["ControlPlaneManifestExecutor", "ControlPlaneManifestSpec"]
