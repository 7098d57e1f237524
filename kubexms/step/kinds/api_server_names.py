"""The kind `apiServerNames`: the names that a control plane's API server has a certificate for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import JsonValue

from kubexms.runtime.protocol import Action, Fragment, Outcome, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, Probe, StepArgs, StepContext, StepExecutor
from kubexms.step.kinds._kubeadm.callers import unused
from kubexms.step.kinds._kubeadm.documents import KubeadmArgs
from kubexms.step.kinds._kubeadm.serving import ISSUE, LOOK, TAKE_IN, certified, names_wanted, plain
from kubexms.step.kinds._pki.x509 import parse
from kubexms.step.observation import Attributes, Observation

NO_CLUSTER = 3


class ApiServerNamesSpec(KubeadmArgs):
    """The API server of a control plane is reached by the names that its configuration gives.

    The certificate on the disk is looked at, and the one that is served. Where a name is missing kubeadm
    makes the certificate anew, for what it was valid before too, on one control plane at a time. The API
    server takes it in within a minute, and goes on serving meanwhile; where it does not, it is restarted. If
    it is not ready then, the certificate before comes back.

    With `retire` what the configuration does not name goes instead, once nobody uses it.
    """

    config: str
    """kubeadm's configuration, as in `kubeadmNode`: InitConfiguration and ClusterConfiguration."""
    retire: bool = False
    """Take names out that the configuration does not have, rather than put in those that it has."""
    clients: tuple[str, ...] = ()
    """With `retire`: hosts of the inventory whose kubeconfigs are asked first. A name that one of them uses
    stays, and the step fails; so it does when one does not answer."""


class ApiServerNamesExecutor(StepExecutor[ApiServerNamesSpec]):
    """See `ApiServerNamesSpec`. The host needs openssl."""

    kind: ClassVar[str] = "apiServerNames"
    spec: ClassVar[type[StepArgs]] = ApiServerNamesSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "config": ("missing", "unserved", "unneeded", "content"),
        "retire": ("missing", "unserved", "unneeded", "content"),
        "clients": (),
    }
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: names
  kind: apiServerNames
  config: |
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: ClusterConfiguration
    kubernetesVersion: v1.20.2
    apiServer: {certSANs: [api.example.com]}
"""

    def probe(self, specs: Sequence[ApiServerNamesSpec]) -> Sequence[Probe]:
        """The host is asked once, whatever the specs want."""
        if not specs:
            return ()
        script = f"{LOOK}a=$(look 2>/dev/null) && r=0 || r=$?\n" + 'emit "$r" "$a"\n' * len(specs)
        fragment = Fragment(script, records=len(specs), timeout=30.0)
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: ApiServerNamesSpec, record: Record) -> Observation:
        """Absent before the host is a control plane. A server that is off will serve what is on the disk."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not show its certificates")
        on_disk, _, on_wire = text.partition("= served\n")
        disk, wire = parse(on_disk), parse(on_wire)
        has = {plain(name) for name in disk.names} if disk else set[str]()
        wanted = set(names_wanted(spec.config))
        served = {plain(name) for name in wire.names} if wire else wanted
        attributes: dict[str, JsonValue] = {
            "missing": [*sorted(wanted - has)],
            "unserved": [*sorted((wanted & has) - served)],
            "unneeded": [*sorted(has - wanted)],
        }
        after = has & wanted if spec.retire else has | wanted
        extra: dict[str, JsonValue] = {"names": [*sorted(has)]}
        if after != has:
            extra |= {"content": _lines(has), "wanted": _lines(after)}
        return Observation.present(attributes, extra)

    def desired(self, spec: ApiServerNamesSpec) -> Attributes | None:
        return {"unneeded": []} if spec.retire else {"missing": [], "unserved": []}

    def disruption(self, spec: ApiServerNamesSpec, request: ChangeRequest) -> Disruption:
        """The API server takes a certificate in as it runs; for one that it has not it may be restarted."""
        return Disruption.RESTART if request.changed == {"unserved"} else Disruption.NONE

    def action(self, spec: ApiServerNamesSpec, request: ChangeRequest) -> Action:
        if request.changed == {"unserved"}:
            return Action(TAKE_IN, timeout=600.0)
        kept = [] if spec.retire else _texts(request.before.attributes.get("unneeded"))
        return Action(ISSUE, {"config": Payload(data=certified(spec.config, kept))}, timeout=900.0)

    def run(self, context: StepContext, spec: ApiServerNamesSpec, request: ChangeRequest) -> Outcome:
        """One control plane at a time: the others serve meanwhile."""
        with context.alone("control plane"):
            if spec.retire:
                unused(context, spec.clients, _texts(request.before.attributes.get("unneeded")))
            return context.exchange(self.action(spec, request))

    def summary(self, spec: ApiServerNamesSpec) -> str:
        return "certificate of the API server"

    def object_id(self, spec: ApiServerNamesSpec) -> str:
        """A host has one such certificate."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


def _lines(names: set[str]) -> str:
    return "".join(f"{name}\n" for name in sorted(names))


def _texts(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


__all__ = ["ApiServerNamesExecutor", "ApiServerNamesSpec"]
