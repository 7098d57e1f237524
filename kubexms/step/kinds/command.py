"""The kind `command`: shell that runs when a check says so, or once, or when its inputs change."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.errors import ActionFailed
from kubexms.runtime.protocol import Action, Outcome, Payload, Record
from kubexms.step.contract import (
    ActionKind,
    ChangeRequest,
    Probe,
    RunsPolicy,
    StepArgs,
    StepContext,
    StepExecutor,
)
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
from kubexms.step.kinds._shell.detached import find_detached, run_detached
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

_CONDITIONS = ("creates", "removes", "unless", "only_if", "check")

EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class CommandSpec(StepArgs):
    """Shell for what no other kind covers. It says how its effect is seen, or when it runs.

    It runs unless one of `creates`, `removes`, `unless`, `onlyIf` or `check` says that there is
    nothing to do, and when it has run they must say so: else the step has failed. Where nothing can
    be seen, `runs` says when it runs. Checks only look: plans run
    them, in a read-only guard.
    """

    run: str = Field(min_length=1)
    """What to run: POSIX shell, stdin empty. Ends with the status of its last command: begin with
    `set -e` where that matters."""
    creates: AbsolutePath | None = None
    """A path that is there when it has run: nothing to do if it exists."""
    removes: AbsolutePath | None = None
    """A path that is gone when it has run: nothing to do if it does not exist."""
    unless: str | None = None
    """A check in shell: nothing to do if it succeeds."""
    only_if: str | None = None
    """A check in shell: nothing to do unless it succeeds."""
    check: str | None = None
    """A check in shell that tells alone whether everything is as it should be; not together with
    `creates`, `removes` and `unless`."""
    check_timeout: float = Field(default=20.0, gt=0, le=600)
    """Seconds for each check; one that takes longer makes the step unknown."""
    guard: Literal["on", "off"] = "on"
    """`off`: the checks of this step run outside of the read-only guard, as they must
    write something harmless."""
    runs: Literal["once", "on-change", "always"] | None = None
    """For what cannot be seen on the host. `once`: when it is new. `on-change`: when it is new, when
    its fields or `triggers` change. `always`: at every apply; then no plan is ever empty."""
    undo: str | None = None
    """What to run when this step is removed. Without it the step is forgotten."""
    user: Owner | None = None
    """Run as this user instead of the one that kubexms works as; the checks too."""
    cwd: AbsolutePath | None = None
    """The directory to run in, also for checks. Default: `/`."""
    env: dict[EnvironmentName, str] = Field(default_factory=dict)
    """Environment variables, also for checks."""
    stdin: str | None = None
    """What the command reads from its standard input."""
    expected_status: tuple[Annotated[int, Field(ge=0, le=255)], ...] = (0,)
    """Exit statuses that mean success."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """Values for later steps, taken from what the command printed: `stdout` for all of it, or a Python
    regular expression, whose first group counts if it has one."""
    outputs_from: str | None = None
    """Shell that prints what `outputs` are taken from, instead of `run`. It only looks, like a check, and is
    asked at every plan: so outputs are known where there is nothing to run, too."""
    changes_facts: tuple[str, ...] = ()
    """Facts that it may change, `hostname` for example; later steps know them only after it."""
    detach: bool = False
    """Run it as a unit of systemd that survives a lost connection; a later run finds it and waits for it."""

    @model_validator(mode="after")
    def _when(self) -> Self:
        given = [name for name in _CONDITIONS if getattr(self, name) is not None]
        if not given and self.runs is None:
            raise PydanticCustomError(
                "command_unseen",
                "say how its effect is seen ('creates', 'removes', 'unless', 'onlyIf' or 'check'), "
                "or when it runs ('runs: once', 'on-change' or 'always')",
            )
        if given and self.runs is not None:
            raise PydanticCustomError(
                "command_seen_and_runs", "'runs' is for what cannot be seen: take it out, or the checks"
            )
        if self.check is not None and {"creates", "removes", "unless"} & set(given):
            raise PydanticCustomError(
                "command_check_alone", "'check' tells alone whether all is done: take out the other checks"
            )
        if not self.expected_status:
            raise PydanticCustomError("command_status", "'expectedStatus' must name at least one status")
        if self.outputs_from is not None and not self.outputs:
            raise PydanticCustomError(
                "command_outputs_from", "'outputsFrom' is what 'outputs' are taken from: name them too"
            )
        if self.detach and (self.user or self.stdin is not None):
            raise PydanticCustomError("command_detached", "'detach' takes neither 'user' nor 'stdin'")
        return self

    @model_validator(mode="after")
    def _outputs(self) -> Self:
        for name, pattern in self.outputs.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise PydanticCustomError(
                    "output_pattern",
                    "output '{name}' is not a regular expression: {why}",
                    {"name": name, "why": str(error)},
                ) from error
        return self


class CommandExecutor(StepExecutor[CommandSpec]):
    """See `CommandSpec`."""

    kind: ClassVar[str] = "command"
    spec: ClassVar[type[StepArgs]] = CommandSpec
    identity: ClassVar[tuple[str, ...]] = (*_CONDITIONS, "outputs_from", "cwd", "env", "user")
    undone_without: ClassVar[frozenset[str]] = frozenset({"run", "stdin"})
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: () for name in CommandSpec.model_fields if name not in _CONDITIONS
    }
    imperative: ClassVar[bool] = True
    example: ClassVar[str] = """\
- name: initialise
  kind: command
  run: initdb -D /var/lib/app
  creates: /var/lib/app/VERSION
  user: app
"""

    def probe(self, specs: Sequence[CommandSpec]) -> Sequence[Probe]:
        return ask_all([_asked(spec) for spec in specs])

    def observe(self, spec: CommandSpec, record: Record) -> Observation:
        said = read_said(record)
        unknown = undecided(said, _asked(spec))
        if unknown is not None:
            return unknown
        extra: dict[str, JsonValue] = {}
        if (told := said.pop("outputs_from", None)) is not None and told.holds:
            extra["shown"] = read_shown(record)
        if spec.runs is not None:
            return Observation.present({}, extra)
        satisfied = any(one.holds == (name in ("creates", "unless", "check")) for name, one in said.items())
        statuses: dict[str, JsonValue] = {name: one.status for name, one in said.items()}
        return Observation.present({"satisfied": satisfied}, {"statuses": statuses, **extra})

    def desired(self, spec: CommandSpec) -> Attributes | None:
        return {} if spec.runs is not None else {"satisfied": True}

    def runs(self, spec: CommandSpec) -> RunsPolicy:
        return spec.runs or "observed"

    def resumes(self, spec: CommandSpec) -> bool:
        return spec.detach

    def outputs(self, spec: CommandSpec, observation: Observation) -> Mapping[str, str]:
        shown = observation.extra.get("shown")
        if not isinstance(shown, str):
            return {}
        found = {name: _match(pattern, shown) for name, pattern in spec.outputs.items()}
        return {name: value for name, value in found.items() if value is not None}

    def unmet(self, spec: CommandSpec, observation: Observation) -> str:
        """Which check says that it is not done."""
        statuses = observation.extra.get("statuses")
        if observation.attributes.get("satisfied") is not False or not isinstance(statuses, dict):
            return ""
        found = []
        for name, status in statuses.items():
            if name in ("creates", "removes"):
                is_there = "is not there" if name == "creates" else "is still there"
                found.append(f"{getattr(spec, name)} ({name}) {is_there}")
            elif name == "only_if":
                found.append("'onlyIf' still succeeds")
            else:
                found.append(f"'{name}' still fails with exit status {status}")
        return " and ".join(found)

    def action(self, spec: CommandSpec, request: ChangeRequest) -> Action:
        return _action(spec, spec.run, spec.expected_status)

    def undo(self, spec: CommandSpec, prior: Observation) -> Action | None:
        if spec.undo is None:
            return None
        if prior.presence is Presence.PRESENT and prior.attributes.get("satisfied") is True:
            return Action(":\n")
        return _action(spec.model_copy(update={"stdin": None}), spec.undo, (0,))

    def run(self, context: StepContext, spec: CommandSpec, request: ChangeRequest) -> Outcome:
        if spec.detach and _only_found(request):
            found = find_detached(context, _digest(spec), spec.expected_status)
            if found is None:
                return context.exchange(Action(":\n"))
            outcome = found
        elif spec.detach:
            text = program(spec.run, cwd=spec.cwd, env=spec.env)
            outcome = run_detached(context, text, _digest(spec), spec.expected_status)
        else:
            outcome = context.exchange(self.action(spec, request))
        if not spec.outputs or spec.outputs_from is not None or not outcome.acted or outcome.status != 0:
            return outcome
        return replace(outcome, outputs={**outcome.outputs, **_outputs(spec, outcome.stdout)})

    def owns(self, spec: CommandSpec) -> bool:
        return spec.runs is None

    def object_id(self, spec: CommandSpec) -> str:
        return _digest(spec)

    def summary(self, spec: CommandSpec) -> str:
        """The first line of what runs."""
        lines = spec.run.strip().splitlines() or [""]
        return lines[0].strip() + (" …" if len(lines) > 1 else "")


def _only_found(request: ChangeRequest) -> bool:
    """Whether all is as it should be, and only what an interrupted run began is to be looked after."""
    done = request.before.attributes.get("satisfied") is True
    return request.action is ActionKind.RUN and done and not request.triggered_by


def _digest(spec: CommandSpec) -> str:
    """What tells one command from another: how its effect is seen, or what it runs."""
    names = [name for name in _CONDITIONS if getattr(spec, name) is not None] or ["run"]
    data = {name: getattr(spec, name) for name in (*names, "cwd", "user")}
    text = json.dumps(["command", data], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _asked(spec: CommandSpec) -> Asked:
    conditions = []
    for name in _CONDITIONS:
        value = getattr(spec, name)
        if value is None:
            continue
        if name in ("creates", "removes"):
            conditions.append(Condition(name, path=value))
        else:
            text = program(value, cwd=spec.cwd, env=spec.env)
            conditions.append(Condition(name, text=text, timeout=spec.check_timeout))
    if spec.outputs_from is not None:
        text = program(spec.outputs_from, cwd=spec.cwd, env=spec.env)
        conditions.append(Condition("outputs_from", text=text, timeout=spec.check_timeout, shown=True))
    return Asked(tuple(conditions), guarded=spec.guard == "on", user=spec.user)


def _action(spec: CommandSpec, text: str, statuses: Sequence[int]) -> Action:
    """The text travels as a payload: no argument of a process ever holds it."""
    payloads = {"program": Payload(data=_bytes(program(text, cwd=spec.cwd, env=spec.env)))}
    if spec.stdin is None:
        line = "payload program | sh -c 'eval \"$(cat)\" </dev/null'"
    else:
        payloads["stdin"] = Payload(data=_bytes(spec.stdin))
        # the program's text comes by a pipe of its own; descriptor 4 is what it reads
        line = "payload stdin | { payload program | sh -c 'eval \"$(cat)\" <&4 4<&-'; } 4<&0"
    expected = " | ".join(str(status) for status in statuses)
    script = f'status=0\n{line} || status=$?\ncase $status in {expected}) ;; *) exit "$status" ;; esac\n'
    return Action(script, payloads, user=spec.user, timeout=3600.0)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _outputs(spec: CommandSpec, stdout: bytes) -> dict[str, str]:
    """Raises `ActionFailed` where a pattern matches nothing."""
    text = stdout.decode("utf-8", "replace")
    found: dict[str, str] = {}
    for name, pattern in spec.outputs.items():
        value = _match(pattern, text)
        if value is None:
            raise ActionFailed(
                f"the command ran, and nothing that it printed matches output '{name}'",
                detail=f"The regular expression is {quote(pattern)}.",
            )
        found[name] = value
    return found


def _match(pattern: str, text: str) -> str | None:
    if pattern == "stdout":
        return text.rstrip("\n")
    match = re.search(pattern, text, re.MULTILINE)
    return (match.group(1 if match.re.groups else 0) or "") if match is not None else None


__all__ = ["CommandExecutor", "CommandSpec"]
