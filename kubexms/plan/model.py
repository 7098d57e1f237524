"""Change and Plan: what would happen and why, with the digests that bind it.

Pure data: a plan can be written, sent, shown and read back. Sensitive values never enter it:
in their place stands `HIDDEN`, and where they must be compared a keyed digest whose key never
leaves the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field, JsonValue

from kubexms.plan.origin import Origin
from kubexms.spec.base import FrozenModel
from kubexms.step.contract import ActionKind, Disruption

FORMAT_VERSION = "1"
HIDDEN = "(sensitive value)"


class Reason(StrEnum):
    """Why a change is in the plan."""

    NEW = "new"
    DRIFT = "drift"
    """The host changed, the spec did not."""
    UNOBSERVED = "unobserved"
    """It was applied, and what became of it could not be seen."""
    SPEC_CHANGED = "spec-changed"
    TRIGGERED = "triggered"
    INPUTS_CHANGED = "inputs-changed"
    """A fact or an output that a template reads changed."""
    REMOVED_FROM_SPEC = "removed-from-spec"
    DESELECTED = "deselected"
    """A fact or `when` no longer selects the host: forgotten, never deleted."""
    REINSTALLED = "reinstalled"
    INTERRUPTED = "interrupted"
    IN_PROGRESS = "in-progress"
    """A run that goes on now is at it."""
    REPLACE_REQUESTED = "replace-requested"
    DESTROY = "destroy"


class TextDiff(FrozenModel):
    """A multi-line text before and after; None where there is none, or it is hidden or too large."""

    before: str | None = None
    after: str | None = None


class Binding(FrozenModel):
    """What a change was planned from. Apply refuses when any of these moved."""

    spec: str = ""
    """Digest of the rendered step."""
    observation: str = ""
    """Digest of what was observed and is compared."""
    state: str = ""
    """Digest of the address's entry in state; empty: no entry."""


class Change(FrozenModel):
    """One step on one host: what it is, what it is to become, and why."""

    address: str
    """`module/task/step["key"]@host`."""
    kind: str
    action: ActionKind
    reason: Reason | None = None
    """None for a no-op."""
    before: dict[str, JsonValue] | None = None
    """Compared attributes as observed; None: absent (or unknown: see `unknown`)."""
    after: dict[str, JsonValue] | None = None
    """Attributes after; None: absent. Attributes in `after_unknown` are missing here."""
    after_unknown: tuple[str, ...] = ()
    """Attributes that are known only after apply."""
    sensitive: tuple[str, ...] = ()
    """Attributes whose values are hidden; `before` and `after` hold `HIDDEN` for them."""
    changed: tuple[str, ...] = ()
    """Attributes that differ."""
    text: dict[str, TextDiff] = Field(default_factory=dict)
    """Line diffs of text attributes."""
    disruption: Disruption = Disruption.NONE
    triggered_by: tuple[str, ...] = ()
    """Names of what triggered it: steps, facts, outputs."""
    unknown: str = ""
    """Why the object could not be observed; empty: it was."""
    notes: tuple[str, ...] = ()
    """Sentences for the reader: an unguarded check, a clock in the future, an owner."""
    previous_address: str | None = None
    summary: str = ""
    """What identifies the object, for a person: `/etc/motd`."""
    binding: Binding = Binding()

    @property
    def host(self) -> str:
        """The host part of the address."""
        return self.address.rpartition("@")[2]

    @property
    def effective(self) -> bool:
        """Whether this is a change that is not a no-op."""
        return self.action is not ActionKind.NO_OP

    @property
    def leaving(self) -> bool:
        """Whether the step is on its way out: the pipeline has no place for it, and its hooks do not run."""
        return self.reason in (Reason.REMOVED_FROM_SPEC, Reason.DESTROY, Reason.DESELECTED)


class OrderedStep(FrozenModel):
    """One step of the pipeline in the order of things, whatever hosts and `forEach` keys it is for."""

    name: str
    after: tuple[str, ...] = ()
    """Paths (`module/task/step`) of the steps that it waits for besides its place in the task: those
    that it names, watches, or reads outputs of."""


class OrderedTask(FrozenModel):
    """A task, what it waits for, and its steps in order."""

    name: str
    after: tuple[str, ...] = ()
    """`module/task` or `module`; the default, the task before, is spelled out."""
    steps: tuple[OrderedStep, ...] = ()


class OrderedModule(FrozenModel):
    """A module, what it waits for, and its tasks as the documents give them."""

    name: str
    after: tuple[str, ...] = ()
    """`module` or `module/task`; the default, the module before, is spelled out."""
    tasks: tuple[OrderedTask, ...] = ()


class PlannedHook(FrozenModel):
    """A hook that will run if its scope has something to do."""

    address: str
    phase: Literal["pre", "post", "onFailure"]
    run: str
    on: Literal["controller", "hosts"]
    left_open: bool = False
    """An earlier run left its scope open, and there is nothing else to do in it: it runs for that."""


class HostStatus(StrEnum):
    """What became of asking a host."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    PARTIAL = "partial"
    """Some answers are missing (the deadline passed)."""
    MAINTENANCE = "maintenance"
    EXCLUDED = "excluded"


class HostReport(FrozenModel):
    """How a host answered."""

    name: str
    status: HostStatus
    error: str = ""
    rounds: int = 0
    """Round trips that the plan took: 0, 1 or 2."""
    guard: str = "off"
    """How users' checks were kept from writing: enforced, mounts, unavailable, off."""
    machine_id: str = ""
    facts_digest: str = ""
    roles: tuple[str, ...] = ()


class Removal(FrozenModel):
    """A host that left the inventory, once, with its blast radius."""

    host: str
    steps: int
    allowed: bool


class PlanDiagnostic(FrozenModel):
    """A diagnostic that belongs to the plan."""

    severity: Literal["error", "warning"]
    summary: str
    detail: str = ""
    address: str | None = None


class PlanOptions(FrozenModel):
    """How the plan was asked for; apply repeats it."""

    operation: Literal["apply", "destroy", "drift"] = "apply"
    environment: str | None = None
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    allow_destroy: tuple[str, ...] = ()
    untrusted: bool = False
    variables: dict[str, str] = Field(default_factory=dict)
    var_files: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Counts(FrozenModel):
    """How many changes of each sort; a replace counts in `add` and in `remove`."""

    add: int = 0
    change: int = 0
    remove: int = 0
    forget: int = 0
    unchanged: int = 0


class Plan(FrozenModel):
    """The ordered changes, and what they are bound to."""

    format_version: str = FORMAT_VERSION
    tool_version: str
    created: datetime
    project: str = ""
    workspace: str
    lineage: str
    serial: int
    spec_digest: str
    """Of the merged pipeline and the inventory."""
    options: PlanOptions = PlanOptions()
    hosts: tuple[HostReport, ...] = ()
    changes: tuple[Change, ...] = ()
    """No-ops included, sorted by address."""
    drift: tuple[Change, ...] = ()
    """What changed on hosts against last applied, whether or not the plan reverts it."""
    order: tuple[OrderedModule, ...] = ()
    """What waits for what, by names: as large as the pipeline, however many hosts there are. Empty for
    `destroy`, whose order is what the state recorded, reversed."""
    hooks: tuple[PlannedHook, ...] = ()
    removals: tuple[Removal, ...] = ()
    diagnostics: tuple[PlanDiagnostic, ...] = ()
    origin: Origin | None = None
    """What it was made from; saved plans have it."""

    @property
    def effective(self) -> tuple[Change, ...]:
        """The changes that are not no-ops."""
        return tuple(change for change in self.changes if change.effective)

    @property
    def errored(self) -> bool:
        """Whether the plan holds an error and must not be applied."""
        return any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    def counts(self) -> Counts:
        """The figures of `Plan: N to add, N to change, N to destroy.`"""
        return counted(self.changes)


def counted(changes: Iterable[Change]) -> Counts:
    """How many of these changes there are of each sort."""
    add = change = remove = forget = unchanged = 0
    for item in changes:
        match item.action:
            case ActionKind.CREATE:
                add += 1
            case ActionKind.UPDATE | ActionKind.RUN:
                change += 1
            case ActionKind.REPLACE:
                add += 1
                remove += 1
            case ActionKind.DELETE:
                remove += 1
            case ActionKind.FORGET:
                forget += 1
            case ActionKind.NO_OP:
                unchanged += 1
    return Counts(add=add, change=change, remove=remove, forget=forget, unchanged=unchanged)
