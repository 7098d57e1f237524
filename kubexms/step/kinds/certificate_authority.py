"""The kind `certificateAuthority`: a CA of one's own, the same on all hosts that need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action
from kubexms.step.contract import StepArgs
from kubexms.step.kinds._pki import placing
from kubexms.step.kinds._pki.names import SubjectName
from kubexms.step.kinds._pki.shared import SharedPair, SharedSpec
from kubexms.step.kinds._pki.survey import Pair
from kubexms.step.kinds._pki.x509 import parse

_WARNS = 180 * 86400


class CertificateAuthoritySpec(SharedSpec):
    """A certificate authority: `PATH.crt`, and on its holders `PATH.key`. Hosts need openssl.

    It is made by one holder, and only if every other holder answers and has none; the others get it from that
    one. The key travels between holders alone, and is in no plan, state or log. An authority that is there
    already is taken over, whatever its name and its end, and never replaced; the plan says so half a year
    before it ends.
    """

    common_name: SubjectName
    """The name of a new authority."""
    lifetime_days: int = Field(default=3650, ge=1, le=36500)
    """How long a new authority lasts."""


class CertificateAuthorityExecutor(SharedPair[CertificateAuthoritySpec]):
    """See `CertificateAuthoritySpec`."""

    kind: ClassVar[str] = "certificateAuthority"
    spec: ClassVar[type[StepArgs]] = CertificateAuthoritySpec
    ending: ClassVar[str] = "crt"
    public: ClassVar[str] = "certificate"
    what: ClassVar[str] = "certificate authority"
    warns: ClassVar[int] = _WARNS
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "holders": (),
        "with_key": ("key", "modes"),
        "key_bits": (),
        "common_name": (),
        "lifetime_days": (),
    }
    example: ClassVar[str] = """\
- name: ca
  kind: certificateAuthority
  path: /etc/kubernetes/pki/ca
  commonName: kubernetes-ca
  holders: [cp1, cp2, cp3]
"""

    def make(self, spec: CertificateAuthoritySpec) -> Action:
        return placing.self_signed(spec.path, spec.common_name, spec.lifetime_days, spec.key_bits)

    def identify(self, text: str) -> str:
        """A certificate that may not sign is none of an authority."""
        parsed = parse(text)
        return parsed.fingerprint if parsed is not None and parsed.authority else ""

    def more(self, spec: CertificateAuthoritySpec, found: Pair) -> dict[str, JsonValue]:
        parsed = parse(found.text)
        if parsed is None:
            return {}
        ends = f"{parsed.ends:%Y-%m-%d %H:%M:%S} UTC"
        extra: dict[str, JsonValue] = {"ends": ends, "commonName": parsed.common_name}
        if found.due:
            note = f"the certificate authority {spec.path} ends on {ends}, and what it has signed with it. "
            extra["notes"] = [note + "Nothing here replaces it: do that by hand before"]
        return extra


__all__ = ["CertificateAuthorityExecutor", "CertificateAuthoritySpec"]
