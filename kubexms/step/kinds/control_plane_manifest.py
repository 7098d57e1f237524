"""The kind `controlPlaneManifest`: a control plane's static pods, as kubeadm makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import JsonValue, PrivateAttr

from kubexms.runtime.protocol import Action, Outcome, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, Source, StepArgs, StepContext
from kubexms.step.kinds._kubeadm.basis import BASIS, AsksKubeadm, basis_of
from kubexms.step.kinds._kubeadm.documents import KubeadmArgs, documents, node_name
from kubexms.step.kinds._kubeadm.etcd import CHANGE
from kubexms.step.kinds._kubeadm.rendering import TOOLS
from kubexms.step.kinds._kubeadm.scripts import API_READY, PID
from kubexms.step.kinds._kubeadm.staticpods import ASK, ETCD, OF_ETCD, PHASES, SERVERS, SINCE, START
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

NO_CLUSTER = 3
COMPONENTS = (ETCD, *SERVERS)
"""In the order in which they are started anew."""


class ControlPlaneManifestSpec(KubeadmArgs):
    """API server, controller manager, scheduler and etcd of a control plane run as its configuration says.

    What their manifests are to be comes from kubeadm on the host itself, which writes them into a private
    mount; so a flag that somebody added, and one that the configuration has changed, are shown line by
    line. Putting it right restarts what differs, waits until the API server is ready, and uploads the
    configuration for those who join later. One control plane at a time does so.

    etcd is restarted only while all its other members work, and with flags that it does not run with it gets
    those of before back. The members that its manifest names (`--initial-cluster`) stay as they are: they
    count when a member is made. Where the configuration has etcd elsewhere, this is not about it.
    """

    config: str
    """kubeadm's configuration, as in `kubeadmNode`: InitConfiguration and ClusterConfiguration."""
    restart_on: tuple[str, ...] = ()
    """Steps of this module (`step` or `task/step`) whose change restarts the API server: files that it reads
    when it starts."""

    _watched: tuple[Source, ...] = PrivateAttr(default=())


class ControlPlaneManifestExecutor(AsksKubeadm[ControlPlaneManifestSpec]):
    """See `ControlPlaneManifestSpec`."""

    kind: ClassVar[str] = "controlPlaneManifest"
    spec: ClassVar[type[StepArgs]] = ControlPlaneManifestSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"config": (*COMPONENTS, "content"), "restart_on": ()}
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
        names = f"names={quote(' '.join(_components(spec)))}\ndata={quote(_directory(spec))}\n"
        head = f"{PATHS}config={quote(spec.config)}\nknown={quote(spec._basis)}\n{names}"
        return f"{head}{_CLUSTER}{TOOLS}{_since(spec)}{BASIS}{ASK}"

    def observe(self, spec: ControlPlaneManifestSpec, record: Record) -> Observation:
        """Absent before the host is a control plane."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "kubeadm does not say what is to be")
        attributes: dict[str, JsonValue] = {}
        before, after = list[str](), list[str]()
        later, told = list[JsonValue](), dict[str, JsonValue]()
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if word in ("process", "basis"):
                told[word] = rest
            elif word == "later":
                later.append(rest)
            elif line.startswith("= "):
                name, _, state = line[2:].partition(" ")
                attributes[name] = state
                if state != "as specified":
                    before.append(f"# {name}")
                    after.append(f"# {name}")
            elif line.startswith("-"):
                before.append(line[1:])
            elif line.startswith("+"):
                after.append(line[1:])
        extra: dict[str, JsonValue] = {"basis": told["basis"]} if "basis" in told else {}
        if before:
            extra |= {"content": "\n".join(before) + "\n", "wanted": "\n".join(after) + "\n"}
        if spec._watched:
            extra |= {"process": told.get("process", ""), "changed": later}
        return Observation.present(attributes, extra)

    def desired(self, spec: ControlPlaneManifestSpec) -> Attributes | None:
        return dict.fromkeys(_components(spec), "as specified")

    def disruption(self, spec: ControlPlaneManifestSpec, request: ChangeRequest) -> Disruption:
        running = request.before.presence is Presence.PRESENT
        restarts = request.changed or request.triggered_by
        return Disruption.RESTART if running and restarts else Disruption.NONE

    def action(self, spec: ControlPlaneManifestSpec, request: ChangeRequest) -> Action:
        names = _components(spec)
        wrong = [name for name in names if name in request.changed]
        if not wrong and not request.triggered_by:
            wrong = list(names)
        script = f"{PATHS}{ADMIN}{PID}{START}"
        if ETCD in wrong:
            own = f"own={quote(node_name(spec.config) or '')}\ndata={quote(_directory(spec))}\n"
            own += '[ -n "$own" ] || own=$(hostname)\n'
            script += f"{own}{OF_ETCD}{CHANGE}change_etcd\n"
        for name in wrong:
            if name in PHASES:
                script += f"component {name} {PHASES[name]}\n"
        if request.triggered_by and "kube-apiserver" not in wrong:
            script += "again kube-apiserver\n"
        payload = Payload(data=spec.config.encode())
        return Action(script + _END, {"config": payload}, timeout=900.0)

    def run(self, context: StepContext, spec: ControlPlaneManifestSpec, request: ChangeRequest) -> Outcome:
        """One control plane at a time: the others serve meanwhile."""
        with context.alone("control plane"):
            return context.exchange(self.action(spec, request))

    # watching -----------------------------------------------------------------------------
    def watches(self, spec: ControlPlaneManifestSpec) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spec.restart_on))

    def bind(self, spec: ControlPlaneManifestSpec, sources: Sequence[Source]) -> ControlPlaneManifestSpec:
        """A copy that knows the paths; they are no field, so no document can set them."""
        bound = spec.model_copy()
        bound._watched = tuple(sources)
        return bound

    def stale(
        self,
        spec: ControlPlaneManifestSpec,
        observation: Observation,
        recorded: JsonValue,
        digests: Mapping[str, str],
    ) -> tuple[str, ...]:
        """What changed since the API server that runs now began; as for a `service`.

        The same process as recorded: digests tell. Another one: change times against its start.
        """
        process, changed = observation.extra.get("process"), observation.extra.get("changed")
        if not process:
            return ()  # it does not run: when it starts, it reads them
        later = set(changed) if isinstance(changed, list) else set()
        taken: Mapping[str, JsonValue] = {}
        if isinstance(recorded, dict) and recorded.get("process") == process:
            known = recorded.get("digests")
            taken = known if isinstance(known, dict) else {}
        return tuple(
            name
            for name in self.watches(spec)
            if (name in digests and digests[name] != taken[name] if name in taken else name in later)
        )

    def remember(
        self, spec: ControlPlaneManifestSpec, observation: Observation, digests: Mapping[str, str]
    ) -> JsonValue:
        """The process, and the sources as it took them in; what kubeadm was asked with, and its manifests."""
        basis = basis_of(observation)
        if not spec.restart_on:
            return basis or None
        watched = {name: digests[name] for name in self.watches(spec) if name in digests}
        return {
            "process": observation.extra.get("process", ""),
            "digests": dict[str, JsonValue](watched),
            **basis,
        }

    # naming -------------------------------------------------------------------------------
    def summary(self, spec: ControlPlaneManifestSpec) -> str:
        return "static pods"

    def object_id(self, spec: ControlPlaneManifestSpec) -> str:
        """A host has one set of them."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


def _since(spec: ControlPlaneManifestSpec) -> str:
    """Sh that tells which process serves, and which sources have changed after its start."""
    lines = [f"later {quote(source.name)} {quote(path)}" for source in spec._watched for path in source.paths]
    return PID + SINCE + "\n".join([*lines, ""]) if lines else ""


def _components(spec: ControlPlaneManifestSpec) -> tuple[str, ...]:
    return SERVERS if "external" in _etcd(spec) else COMPONENTS


def _directory(spec: ControlPlaneManifestSpec) -> str:
    local = _etcd(spec).get("local")
    given = local.get("dataDir") if isinstance(local, dict) else None
    return given if isinstance(given, str) and given.startswith("/") else "/var/lib/etcd"


def _etcd(spec: ControlPlaneManifestSpec) -> dict[str, Any]:
    found = documents(spec.config)
    etcd = next(one.get("etcd") for one in found if one["kind"] == "ClusterConfiguration")
    return etcd if isinstance(etcd, dict) else {}


_CLUSTER = "[ -r /etc/kubernetes/admin.conf ] || exit 3\n"

_END = (
    API_READY
    + r"""
payload config | kubeadm init phase upload-config kubeadm --config /dev/stdin
"""
)


__all__ = ["ControlPlaneManifestExecutor", "ControlPlaneManifestSpec"]
