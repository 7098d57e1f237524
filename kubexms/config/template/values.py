"""What a template's scope may hold beside plain data, and what rendering gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kubexms.spec.base import Json


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that nobody knows yet: an output of a step that has not run, a fact of a silent host."""

    name: str


@dataclass(frozen=True, slots=True)
class Sensitive:
    """A value (data, or data with further wrappers inside) that must be shown nowhere."""

    value: object

    def __repr__(self) -> str:
        return "Sensitive(…)"


@dataclass(frozen=True, slots=True)
class Deferred:
    """A sensitive value that is fetched when a template first reads it. `load` may raise `SecretError`.

    `load` may also return `Unknown`; it is called once per read, so it should remember its result.
    """

    load: Callable[[], object]

    def __repr__(self) -> str:
        return "Deferred(…)"


@dataclass(frozen=True, slots=True)
class RenderedValue:
    """A rendered field.

    If `unknown` is not empty, `value` says nothing: the field is known only after what `unknown`
    names. `reads` are the dotted names that were read (`facts.os.id`, `vars.x`), unknown ones included.
    """

    value: Json
    unknown: frozenset[str] = frozenset()
    sensitive: bool = False
    reads: frozenset[str] = frozenset()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """The sensitive values that were read, and what the template made of them, as texts."""

    @property
    def known(self) -> bool:
        """Whether `value` can be used."""
        return not self.unknown
