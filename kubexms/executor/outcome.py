"""From what an exchange did to a step's result: failure, convergence, tails without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from kubexms.errors import ActionFailed, StepTimeout, exit_words
from kubexms.plan.model import HIDDEN
from kubexms.plan.rendered import Rendered
from kubexms.runtime.protocol import Outcome

TAIL = 4000
"""Characters of each output stream that results keep."""


@dataclass(frozen=True)
class Scrubber:
    """Removes sensitive values from what commands print."""

    values: tuple[str, ...]

    @classmethod
    def of(cls, rendered: Rendered) -> Scrubber:
        """For a step: its sensitive fields, and the values that they were made of."""
        found: set[str] = set(rendered.secrets)
        data = rendered.spec.model_dump(mode="json")
        for name in rendered.sensitive:
            found |= set(_strings(data.get(name)))
        return cls.for_texts(found)

    @classmethod
    def for_texts(cls, texts: Iterable[str]) -> Scrubber:
        """For these values and each of their lines; what is shorter than four characters is no secret."""
        lines = {line for text in texts for line in (text, *text.splitlines()) if len(line.strip()) >= 4}
        return cls(tuple(sorted(lines, key=len, reverse=True)))

    def text(self, data: bytes | str) -> str:
        """The tail of an output as text, secrets replaced."""
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        for value in self.values:
            text = text.replace(value, HIDDEN)
        return text if len(text) <= TAIL else "…" + text[-TAIL:]


def _strings(value: JsonValue) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def raise_for_failure(outcome: Outcome, timeout: float, accepted: frozenset[int] = frozenset({0})) -> None:
    """Raise `StepTimeout` or `ActionFailed` for an action that ended badly; the result has its output."""
    if outcome.timed_out:
        raise StepTimeout(
            f"did not end within {timeout:g} seconds and was stopped",
            detail="The step's `timeout` says how long it may take.",
        )
    if outcome.status is not None and outcome.status not in accepted:
        raise ActionFailed(_headline(outcome))


def _headline(outcome: Outcome) -> str:
    # mount ends with where else to look; what went wrong stands before it
    lines = [line for line in _last(outcome).splitlines() if line.strip() and "dmesg(1)" not in line]
    reason = f": {lines[-1].strip()[:300]}" if lines else ""
    return f"{exit_words(outcome.status or 0)}{reason}"


def _last(outcome: Outcome) -> str:
    return (outcome.stderr or outcome.stdout).decode("utf-8", "replace")[-TAIL:].rstrip()
