"""The kind `retiredNames`: names that a server's certificate has no longer, once nobody uses them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Outcome, Record
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, StepArgs, StepContext
from kubexms.step.kinds._kubeadm.callers import unused
from kubexms.step.kinds._pki.issuing import issue
from kubexms.step.kinds._pki.survey import question, read_record
from kubexms.step.kinds._pki.x509 import parse
from kubexms.step.kinds.issued_certificate import IssuedCertificateSpec, order
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


class RetiredNamesSpec(IssuedCertificateSpec):
    """The certificate of an API server without kubeadm is valid for `sans` and for nothing else.

    The fields are those of the `issuedCertificate` that makes it, which has `keepNames`: names that came in
    with another endpoint stay there until this step takes them out. The `clients` are asked before. Then the
    certificate is issued anew, on one host at a time, and the unit that shows it is restarted.
    """

    clients: tuple[str, ...] = Field(min_length=1)
    """Hosts of the inventory whose kubeconfigs are asked first. A name that one of them uses stays, and the
    step fails; so it does when one does not answer."""
    unit: str = Field(default="kube-apiserver", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$")
    """The unit that shows the certificate."""


class RetiredNamesExecutor(OneByOne[RetiredNamesSpec]):
    """See `RetiredNamesSpec`. The host needs openssl."""

    kind: ClassVar[str] = "retiredNames"
    spec: ClassVar[type[StepArgs]] = RetiredNamesSpec
    identity: ClassVar[tuple[str, ...]] = ("path",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: ("unneeded",) if name == "sans" else () for name in RetiredNamesSpec.model_fields
    }
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: apiserver
  kind: retiredNames
  path: /etc/kubernetes/pki/apiserver
  commonName: kube-apiserver
  sans: [kubernetes, kubernetes.default.svc, 10.96.0.1, k8s.example.com]
  usages: [server]
  authority: /etc/kubernetes/pki/ca
  holders: [cp1, cp2, cp3]
  clients: [cp1, cp2, cp3, w1]
"""

    def ask(self, spec: RetiredNamesSpec) -> str:
        return question(spec.path, "crt")

    def observe(self, spec: RetiredNamesSpec, record: Record) -> Observation:
        """Absent where there is no certificate yet."""
        found = read_record(record)
        if isinstance(found, str):
            return Observation.unknown(found)
        parsed = parse(found.text)
        if parsed is None:
            return Observation.absent()
        names = parsed.names
        unneeded = [name for name in names if name not in spec.sans]
        extra: dict[str, JsonValue] = {"names": [*names]}
        return Observation.present({"unneeded": list[JsonValue](unneeded)}, extra)

    def desired(self, spec: RetiredNamesSpec) -> Attributes | None:
        return {"unneeded": []}

    def disruption(self, spec: RetiredNamesSpec, request: ChangeRequest) -> Disruption:
        return Disruption.RESTART if request.before.presence is Presence.PRESENT else Disruption.NONE

    def action(self, spec: RetiredNamesSpec, request: ChangeRequest) -> Action:
        """The request; `run` has it signed."""
        return order(spec).request()

    def run(self, context: StepContext, spec: RetiredNamesSpec, request: ChangeRequest) -> Outcome:
        """One host at a time: the others serve meanwhile."""
        with context.alone("control plane"):
            unused(context, spec.clients, _texts(request.before.attributes.get("unneeded")))
            issued = issue(context, order(spec))
            if issued.acted and issued.status == 0 and not issued.timed_out:
                context.progress(f"{spec.unit} is restarted")
                restarted = Action(f"systemctl try-restart {quote(spec.unit)}\n", timeout=400.0)
                return context.exchange(restarted)
            return issued

    def summary(self, spec: RetiredNamesSpec) -> str:
        return f"{spec.path}.crt"

    def object_id(self, spec: RetiredNamesSpec) -> str:
        """Not the certificate, which is that of another step."""
        return hashlib.sha256(f"{self.kind} {spec.path}".encode()).hexdigest()[:32]

    def owns(self, spec: RetiredNamesSpec) -> bool:
        """That a name is not there is nobody's."""
        return False


def _texts(value: JsonValue) -> Sequence[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


__all__ = ["RetiredNamesExecutor", "RetiredNamesSpec"]
