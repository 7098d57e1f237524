"""Values on the command line of which a part is a secret: `Bearer {env: TOKEN}`."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from kubexms.config.secrets import SecretResolver
from kubexms.config.yaml import read_value
from kubexms.errors import ConfigError, SecretError
from kubexms.spec.variable import SecretRef


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """A text, and a reference whose value is appended to it."""

    text: str
    reference: SecretRef | None = None

    def resolve(self, resolver: SecretResolver) -> str:
        """The whole value. Raises `SecretError`."""
        return self.text + (resolver.text(self.reference) or "")


def parse_given(text: str, where: str) -> GivenSecret:
    """`text` with its reference: `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM, …]}` at its end.

    `where` names the option for errors. Raises `ConfigError`.
    """
    if not text.endswith("}") or "{" not in text:
        return GivenSecret(text)
    head, brace, body = text.rpartition("{")
    advice = "Write {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]} at its end, in quotes."
    try:
        value = read_value((brace + body).encode(), where).value
        return GivenSecret(head, SecretRef.model_validate(value))
    except (ConfigError, ValidationError) as error:
        if isinstance(error, SecretError):
            raise
        raise ConfigError(f"{where} is no reference to a secret", detail=advice) from None
