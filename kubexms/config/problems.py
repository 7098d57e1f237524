"""Collecting what is wrong, so that one run tells of everything."""

from __future__ import annotations

from collections.abc import Iterable

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import ConfigError

MAX_REPORTED = 100
"""More errors than this are counted, not listed."""


class Problems:
    """Diagnostics gathered while loading; raises once, with all of them. Not thread-safe."""

    def __init__(self) -> None:
        self._errors: list[Diagnostic] = []
        self._warnings: list[Diagnostic] = []

    def add(self, *found: Diagnostic) -> None:
        """Take in errors and warnings."""
        for item in found:
            (self._errors if item.severity is Severity.ERROR else self._warnings).append(item)

    def extend(self, found: Iterable[Diagnostic]) -> None:
        """Take in errors and warnings."""
        self.add(*found)

    def take(self, error: ConfigError) -> None:
        """Take in what an error carries."""
        self.add(*error.diagnostics)

    @property
    def count(self) -> int:
        """How many errors there are so far."""
        return len(self._errors)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The warnings so far, each once."""
        return tuple(dict.fromkeys(self._warnings))

    def raise_errors(self) -> None:
        """Raise `ConfigError` if there are errors."""
        errors = list(dict.fromkeys(self._errors))
        if not errors:
            return
        shown = errors[:MAX_REPORTED]
        if len(errors) > MAX_REPORTED:
            shown.append(Diagnostic(Severity.ERROR, f"… and {len(errors) - MAX_REPORTED} more errors"))
        first = errors[0]
        raise ConfigError(first.summary, detail=first.detail, diagnostics=shown)


def failed(diagnostic: Diagnostic) -> ConfigError:
    """The error that one diagnostic stands for."""
    return ConfigError(diagnostic.summary, detail=diagnostic.detail, diagnostics=[diagnostic])
