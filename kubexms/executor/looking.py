"""Looking at a host between two steps of a run: through a connection that cannot write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kubexms.errors import ConnectionFailed
from kubexms.plan.conceal import hide
from kubexms.plan.model import Change
from kubexms.plan.questions import read_single, single, why
from kubexms.plan.working import PlannedStep
from kubexms.runtime.protocol import Answer, Fragment, GuardMode, ReadOnlyConnection
from kubexms.step.observation import Observation
from kubexms.step.shell import quote

PATIENCE = 60.0
"""Seconds for one question."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command printed, standard error included, and how it was kept from writing."""

    text: str
    status: int | None
    """None: it did not end in time, or the host did not answer; `text` says so."""
    guard: GuardMode


class Look(Protocol):
    """A host, as somebody sees it who looks around before a step."""

    def reaches(self, change: Change) -> bool:
        """Whether it is on a host; a hook may run where kubexms runs."""
        ...

    def observe(self, change: Change) -> Observation | None:
        """What the step's question is answered now; None where there is nothing to ask."""
        ...

    def show(self, change: Change, command: str) -> Shown:
        """Run shell in the read-only guard on the step's host."""
        ...


class HostLook:
    """The `Look` of a run. Uses a connection of a type that cannot write; never raises `ConnectionFailed`."""

    def __init__(
        self, steps: Mapping[str, PlannedStep], readonly: Callable[[str], ReadOnlyConnection | None]
    ) -> None:
        self._steps = steps
        self._readonly = readonly

    def reaches(self, change: Change) -> bool:
        """Whether there is a connection to it."""
        return self._readonly(change.host) is not None

    def observe(self, change: Change) -> Observation | None:
        """Ask the step's question again."""
        step = self._steps.get(change.address)
        connection = self._readonly(change.host)
        if step is None or connection is None or step.instance.rendered.unknown_identity is not None:
            return None
        rendered = step.instance.rendered
        fragments = single(rendered)
        if not fragments:
            return None
        try:
            answers = connection.ask(fragments, deadline=PATIENCE).answers
        except ConnectionFailed as error:
            return Observation.unknown(error.summary)
        found = read_single(rendered, answers).observation
        return found.model_copy(
            update={"attributes": hide(found.attributes, rendered.sensitive_attributes), "extra": {}}
        )

    def show(self, change: Change, command: str) -> Shown:
        """Run a command line that somebody typed."""
        connection = self._readonly(change.host)
        if connection is None:
            return Shown("it runs where kubexms runs", None, GuardMode.OFF)
        script = f'o=$(sh -c {quote(command)} 2>&1)\nemit "$?" "$o"\n'
        fragment = Fragment(script, guarded=True, timeout=PATIENCE)
        try:
            (answer,) = connection.ask([fragment], deadline=PATIENCE + 5).answers
        except ConnectionFailed as error:
            return Shown(error.summary, None, GuardMode.OFF)
        return _shown(answer)


def _shown(answer: Answer) -> Shown:
    if not answer.records:
        return Shown(why(answer), None, answer.guard)
    record = answer.records[0]
    return Shown(record.text.decode("utf-8", "replace"), record.status, answer.guard)
