"""The kind `issuedCertificate`: a key of this host, and a certificate that an authority has signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Outcome, Record
from kubexms.spec.cluster.values import renewed_in_time
from kubexms.step.contract import ActionKind, ChangeRequest, OneByOne, StepArgs, StepContext
from kubexms.step.kinds._fields import Mode, Owner, octal
from kubexms.step.kinds._pki import placing
from kubexms.step.kinds._pki.issuing import DAY, Order, issue
from kubexms.step.kinds._pki.names import AlternativeName, BasePath, SubjectName, is_name
from kubexms.step.kinds._pki.survey import Pair, question, read_record
from kubexms.step.kinds._pki.x509 import Parsed, parse
from kubexms.step.kinds._shell.atomic import ownership, permissions
from kubexms.step.observation import Attributes, Observation

_PERMISSIONS = frozenset({"mode", "owner", "group", "certificateMode"})


class IssuedCertificateSpec(StepArgs):
    """A private key that is made on this host and never leaves it, and a certificate for it.

    The files are `PATH.key` and `PATH.crt`. A `certificateAuthority` signs, on the first of its holders that
    can; `AUTHORITY.crt` must be on this host, where a step of that kind puts it. A certificate that says
    something else, is signed by another authority, does not belong to its key, or ends within
    `renewBeforeDays` (by the host's clock) is issued anew, with a new key. Services that use it have it in
    their `restartOn`. Hosts need openssl.
    """

    path: BasePath
    """The files' path without their endings: `/etc/kubernetes/pki/apiserver`. Its directory must exist."""
    common_name: SubjectName
    """Whom it names: a user of Kubernetes (`system:node:w1`), or a server."""
    organizations: tuple[SubjectName, ...] = Field(default=(), max_length=20)
    """Groups of Kubernetes, for clients: `system:nodes`."""
    sans: tuple[AlternativeName, ...] = Field(default=(), max_length=200)
    """Names and addresses under which a server is reached."""
    keep_names: bool = False
    """Names that a certificate has beyond `sans` are no difference, and a new one gets them too: who still
    uses one goes on. A step of the kind `retiredNames` takes them out in the end."""
    usages: tuple[Literal["server", "client"], ...] = Field(min_length=1, max_length=2)
    """What it is for."""
    authority: BasePath
    """The `path` of the authority that signs."""
    holders: tuple[str, ...] = Field(min_length=1)
    """The hosts that have the authority's key, by their names in the inventory."""
    lifetime_days: int = Field(default=365, ge=1, le=3650)
    """How long a new one lasts, at most as long as its authority. Another number waits for the next one."""
    renew_before_days: int = Field(default=30, ge=0, le=3649)
    """Renew it when it ends within so many days."""
    mode: Mode = "0600"
    """Permission bits of the key, quoted. The certificate is for all to read."""
    owner: Owner = "root"
    """Who has both files."""
    group: Owner = "root"
    """The files' group."""
    key_bits: Annotated[int, Field(ge=2048, le=8192)] = 2048
    """Size of a new RSA key."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        renewed_in_time(self.renew_before_days, self.lifetime_days)
        if "server" in self.usages and not self.sans:
            raise PydanticCustomError("server_names", "a server's certificate needs 'sans'")
        return self


class IssuedCertificateExecutor(OneByOne[IssuedCertificateSpec]):
    """See `IssuedCertificateSpec`."""

    kind: ClassVar[str] = "issuedCertificate"
    spec: ClassVar[type[StepArgs]] = IssuedCertificateSpec
    identity: ClassVar[tuple[str, ...]] = ("path",)
    parts: ClassVar[bool] = True
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "authority": ("signedBy",),
        "holders": (),
        "lifetime_days": (),
        "renew_before_days": ("due",),
        "key_bits": (),
        "keep_names": ("sans",),
    }
    example: ClassVar[str] = """\
- name: apiserver
  kind: issuedCertificate
  path: /etc/kubernetes/pki/apiserver
  commonName: kube-apiserver
  sans: [kubernetes, kubernetes.default.svc, 10.96.0.1, k8s.example.com]
  usages: [server]
  authority: /etc/kubernetes/pki/ca
  holders: [cp1, cp2, cp3]
"""

    def ask(self, spec: IssuedCertificateSpec) -> str:
        return question(spec.path, "crt", spec.renew_before_days * DAY, spec.authority)

    def observe(self, spec: IssuedCertificateSpec, record: Record) -> Observation:
        """Absent where neither file is there; a file that is no certificate says nothing."""
        found = read_record(record)
        if isinstance(found, str):
            return Observation.unknown(found)
        if found.public is None and found.private is None:
            return Observation.absent()
        parsed = parse(found.text)
        names = list[str](parsed.names) if parsed else []
        kept = kept_names(names, spec.sans) if spec.keep_names else []
        attributes: dict[str, JsonValue] = {
            "commonName": parsed.common_name if parsed else "",
            "organizations": [*parsed.organizations] if parsed else [],
            "sans": [name for name in names if name not in kept],
            "usages": [*parsed.usages] if parsed else [],
            "signedBy": _signed_by(spec, parsed, found),
            "key": found.key,
            "due": found.due,
        }
        extra: dict[str, JsonValue] = {"public": None, "private": None}
        if kept:
            extra["kept"] = [*kept]
        if found.private is not None:
            key = found.private
            attributes |= {"mode": key.mode, "owner": key.owner, "group": key.group}
            extra["private"] = [key.mode, key.owner, key.group]
        if found.public is not None:
            attributes["certificateMode"] = found.public.mode
            extra["public"] = [found.public.mode, found.public.owner, found.public.group]
        if parsed is not None:
            extra["ends"] = f"{parsed.ends:%Y-%m-%d %H:%M:%S} UTC"
            if found.due:
                extra["notes"] = [f"the certificate ends on {extra['ends']}"]
        return Observation.present(attributes, extra)

    def desired(self, spec: IssuedCertificateSpec) -> Attributes | None:
        return {
            "commonName": spec.common_name,
            "organizations": [*sorted(spec.organizations)],
            "sans": [*sorted(set(spec.sans))],
            "usages": [*sorted(set(spec.usages))],
            "signedBy": spec.authority,
            "key": "own",
            "due": False,
            "mode": octal(spec.mode),
            "owner": spec.owner,
            "group": spec.group,
            "certificateMode": placing.PUBLIC,
        }

    def action(self, spec: IssuedCertificateSpec, request: ChangeRequest) -> Action:
        """Permissions, or a key and a request; `run` has that signed."""
        if request.action is ActionKind.UPDATE and request.changed <= _PERMISSIONS:
            script = permissions(f"{spec.path}.key", octal(spec.mode), spec.owner, spec.group)
            return Action(script + permissions(f"{spec.path}.crt", placing.PUBLIC, spec.owner, spec.group))
        return order(spec).request()

    def run(self, context: StepContext, spec: IssuedCertificateSpec, request: ChangeRequest) -> Outcome:
        """Make a key, have its certificate signed, put both in their places."""
        if request.action is ActionKind.UPDATE and request.changed <= _PERMISSIONS:
            return context.exchange(self.action(spec, request))
        kept = request.before.extra.get("kept")
        return issue(context, order(spec, [str(name) for name in kept] if isinstance(kept, list) else []))

    def undo(self, spec: IssuedCertificateSpec, prior: Observation) -> Action | None:
        undone = placing.withdrawal(spec.path, "crt", prior)
        return Action(undone.script + f"rm -f {order(spec).quoted_fresh}\n")

    def paths(self, spec: IssuedCertificateSpec) -> tuple[str, ...]:
        return (f"{spec.path}.crt", f"{spec.path}.key")

    def summary(self, spec: IssuedCertificateSpec) -> str:
        return f"{spec.path}.crt"


def _signed_by(spec: IssuedCertificateSpec, parsed: Parsed | None, found: Pair) -> str:
    authority = parse(found.authority)
    if parsed is None:
        return ""
    if authority is not None and parsed.signed_by(authority):
        return spec.authority
    return "another authority" if authority is not None else f"no {spec.authority}.crt to compare with"


def kept_names(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Names of a certificate that are not wanted, as far as another one can have them."""
    return [name for name in found if name not in wanted and is_name(name)]


def order(spec: IssuedCertificateSpec, more: Sequence[str] = ()) -> Order:
    """What is to be issued, for more names than the step's own."""
    return Order(
        base=spec.path,
        common_name=spec.common_name,
        organizations=spec.organizations,
        names=sorted({*spec.sans, *more}),
        usages=sorted(set(spec.usages)),
        authority=spec.authority,
        holders=spec.holders,
        days=spec.lifetime_days,
        least_days=spec.renew_before_days,
        mode=octal(spec.mode),
        who=ownership(spec.owner, spec.group),
        bits=spec.key_bits,
    )


__all__ = ["IssuedCertificateExecutor", "IssuedCertificateSpec", "order"]
