"""The kind `assert`: what must hold before a plan makes sense."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, Owner
from kubexms.step.kinds._shell.checks import (
    Asked,
    Condition,
    ask_all,
    program,
    read_said,
    read_shown,
    undecided,
)
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

TOLD_LIMIT = 2000
"""Characters of what a check prints that are shown."""


class AssertSpec(StepArgs):
    """What must hold: a plan in which it does not is an error, with your message. It changes nothing."""

    that: StrictBool | tuple[StrictBool, ...] = ()
    """Expressions that must all be true: `["{{ facts.memory_mb >= 2048 }}"]`. One that depends on
    what an earlier step does is looked at when that step has run."""
    check: str | None = None
    """A check in shell that must succeed on the host. It only looks: it runs in a read-only guard."""
    message: str = Field(min_length=1)
    """What the plan's error says: what is wrong and what to do about it."""
    check_timeout: float = Field(default=20.0, gt=0, le=600)
    """Seconds for the check."""
    show_output: bool = False
    """Show what the check prints (not its errors) below the message. Not by default: it may be a secret."""
    looks_at: tuple[AbsolutePath, ...] = ()
    """Files and directories that the check is about: `[/etc/apt]`. While an earlier step of the plan is still
    to change something there, nobody knows whether the check will hold: it is made when that step has run."""
    guard: Literal["on", "off"] = "on"
    """`off`: the check runs outside of the read-only guard, as it must write something harmless."""
    user: Owner | None = None
    """Run the check as this user instead of the one that kubexms works as."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.that == () and self.check is None:
            raise PydanticCustomError("assert_nothing", "give 'that' (one or more expressions) or a 'check'")
        if self.check is None and (self.show_output or self.looks_at):
            name = "showOutput" if self.show_output else "looksAt"
            raise PydanticCustomError("assert_of_check", "'{name}' is about a 'check'", {"name": name})
        return self


class AssertExecutor(StepExecutor[AssertSpec]):
    """See `AssertSpec`."""

    kind: ClassVar[str] = "assert"
    spec: ClassVar[type[StepArgs]] = AssertSpec
    identity: ClassVar[tuple[str, ...]] = ("check", "user")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "that": ("holds",),
        "check": ("holds",),
        "message": (),
        "check_timeout": (),
        "show_output": (),
        "looks_at": (),
        "guard": (),
        "user": (),
    }
    imperative: ClassVar[bool] = True
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: not-too-small
  kind: assert
  check: test "$(nproc)" -ge 2
  message: a control plane needs two processors
"""

    def probe(self, specs: Sequence[AssertSpec]) -> Sequence[Probe]:
        return ask_all([_asked(spec) for spec in specs])

    def observe(self, spec: AssertSpec, record: Record) -> Observation:
        said = read_said(record)
        unknown = undecided(said, _asked(spec))
        if unknown is not None:
            return unknown
        holds = _true(spec) and all(one.holds for one in said.values())
        told = read_shown(record).strip()[:TOLD_LIMIT] if spec.show_output and not holds else ""
        return Observation.present({"holds": holds}, {"told": told} if told else {})

    def desired(self, spec: AssertSpec) -> Attributes | None:
        return {"holds": True}

    def verdict(self, spec: AssertSpec, observation: Observation) -> str | None:
        if observation.presence is Presence.PRESENT and observation.attributes["holds"] is True:
            return None
        if observation.presence is not Presence.PRESENT and _true(spec):
            return None
        told = observation.extra.get("told")
        return f"{spec.message}\n{told}" if told else spec.message

    def looks_at(self, spec: AssertSpec) -> tuple[str, ...]:
        return spec.looks_at

    def action(self, spec: AssertSpec, request: ChangeRequest) -> Action:
        message = f"printf '%s\\n' {quote(spec.message)} >&2; exit 1;"
        if not _true(spec) or spec.check is None:
            return Action(("" if _true(spec) else message) + "\n:\n")
        line = "payload check | sh -c 'eval \"$(cat)\" </dev/null'" + (" >&2" if spec.show_output else "")
        text = program(spec.check).encode("utf-8", "surrogateescape")
        return Action(f"{line} || {{ {message} }}\n", {"check": Payload(data=text)}, user=spec.user)

    def owns(self, spec: AssertSpec) -> bool:
        return False

    def object_id(self, spec: AssertSpec) -> str:
        text = json.dumps([self.kind, spec.to_json()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _true(spec: AssertSpec) -> bool:
    return spec.that if isinstance(spec.that, bool) else all(spec.that)


def _asked(spec: AssertSpec) -> Asked:
    if spec.check is None:
        return Asked(())
    condition = Condition(
        "check", text=program(spec.check), timeout=spec.check_timeout, shown=spec.show_output
    )
    return Asked((condition,), guarded=spec.guard == "on", user=spec.user)


__all__ = ["AssertExecutor", "AssertSpec"]
