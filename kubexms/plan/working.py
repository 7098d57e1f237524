"""The planner's working memory: of one host, and of the whole plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubexms.plan.conceal import Concealer
from kubexms.plan.model import Change, PlanDiagnostic
from kubexms.plan.observe import HostAnswer
from kubexms.plan.rendered import Instance, Unselected
from kubexms.spec.inventory import Host
from kubexms.state.model import Intent, StateSnapshot, StepState


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One change with everything that applying it needs. Never leaves the process."""

    change: Change
    instance: Instance
    entry: StepState | None
    intent: Intent | None
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Watched name -> addresses."""
    inputs: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    """Addresses that its `dependsOn` names."""
    data: tuple[str, ...] = ()
    """Addresses whose outputs it reads or whose changes it watches."""
    former: Instance | None = None
    """What this step was about before its fields named another object: it is undone first."""
    phases: tuple[str, ...] = ()
    """Modules that are done before its own begins: what is made in them outlives it, on all hosts."""


@dataclass(slots=True)
class HostWork:
    """One host while a plan is made."""

    host: Host
    entries: dict[str, StepState]
    intents: dict[str, Intent]
    siblings: list[Instance] = field(default_factory=list)
    """Its instances as first rendered: who may watch whom."""
    answer: HostAnswer | None = None
    unselected: list[Unselected] = field(default_factory=list)
    unknown_facts: dict[str, str] = field(default_factory=dict)
    """Facts that a pending step of this plan may change -> that step."""
    outputs: dict[str, dict[str, object]] = field(default_factory=dict)
    """`module/task/step` -> outputs, `Unknown` where the step is still to run."""
    steps: dict[str, PlannedStep] = field(default_factory=dict)
    orphans: dict[str, StepState] = field(default_factory=dict)
    """Steps that were begun and never recorded: what is known of them is their intent."""
    left_out: set[str] = field(default_factory=set)
    """Paths of steps that are in the documents for this host and are not to be there, or nobody knows yet."""
    stated: Mapping[str, StepState] = field(default_factory=dict)
    """The state's entries as they are."""
    passed: dict[str, StepState | None] = field(default_factory=dict)
    """Entries that `entries` has otherwise than the state, because steps pass their objects on."""
    settled: set[str] = field(default_factory=set)
    """Recorded addresses about which is asked exactly as they were last applied, and in no other way."""
    unaskable: dict[str, str] = field(default_factory=dict)
    """Recorded addresses whose last applied spec cannot be asked about -> why."""
    removed: bool = False
    """The host left the inventory."""

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    @property
    def recorded(self) -> dict[str, StepState]:
        """Everything that kubexms did or may have done here."""
        return {**self.orphans, **self.entries}

    @property
    def usable(self) -> bool:
        """Whether the host answered, so that changes can be planned on it."""
        return self.answer is not None and self.answer.error is None


@dataclass(slots=True)
class Planned:
    """A plan's working form: every host with its planned steps. Never leaves the process."""

    hosts: dict[str, HostWork]
    snapshot: StateSnapshot
    previous: Mapping[str, str]
    """Addresses that `moved` renamed -> the old ones."""
    conceal: Concealer
    diagnostics: list[PlanDiagnostic] = field(default_factory=list)

    def steps(self) -> dict[str, PlannedStep]:
        """Every planned step by address."""
        return {address: step for work in self.hosts.values() for address, step in work.steps.items()}
