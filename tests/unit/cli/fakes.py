"""Services that do what a test says, and remember what they were asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from kubexms.cli.app import App
from kubexms.cli.main import main
from kubexms.diagnostics import Diagnostic
from kubexms.executor.events import Event, Listener, RunFinished, RunResult
from kubexms.executor.stop import StopSignal
from kubexms.graph.model import StepGraph
from kubexms.plan.model import Plan, PlanOptions
from kubexms.services.applying import ApplyOptions, ApplyOutcome
from kubexms.services.drift import DriftReport
from kubexms.services.inspect import HostInfo
from kubexms.services.project import OpenState, Project, Settings
from kubexms.services.repairing import RepairOptions, RepairOutcome
from kubexms.spec.pipeline import PipelineSpec
from kubexms.spec.variable import VariableSpec
from tests.golden.cases import plan


class FakeStore:
    """Says that a state exists."""

    def ensure(self) -> None:
        """Nothing to make."""


class FakeLoaded:
    """Documents that declare one secret."""

    pipeline = PipelineSpec(variables={"secret": VariableSpec(sensitive=True)})


class FakeProject:
    """A project of nothing."""

    store = FakeStore()
    loaded = FakeLoaded()


@dataclass
class FakeServices:
    """What a command calls."""

    made: Plan = field(default_factory=plan)
    warnings: tuple[Diagnostic, ...] = ()
    report: DriftReport = field(default_factory=DriftReport)
    found: tuple[HostInfo, ...] = ()
    events: tuple[Event, ...] = ()
    result: RunResult | None = None
    error: Exception | None = None
    meanwhile: Callable[[StopSignal], None] = lambda stop: None
    settings: list[Settings] = field(default_factory=list)
    options: list[PlanOptions] = field(default_factory=list)
    apply_options: list[ApplyOptions] = field(default_factory=list)
    repair_options: list[RepairOptions] = field(default_factory=list)
    saved: dict[str, Plan] = field(default_factory=dict)
    writes: list[bool] = field(default_factory=list)

    @contextmanager
    def open_project(self, settings: Settings, *, writes: bool = False) -> Iterator[Project]:
        self.settings.append(settings)
        self.writes.append(writes)
        if self.error is not None:
            raise self.error
        yield cast(Project, FakeProject())

    @contextmanager
    def open_state(self, settings: Settings, *, writes: bool = False) -> Iterator[OpenState]:
        raise NotImplementedError

    def validate(self, project: Project) -> tuple[Diagnostic, ...]:
        return self.warnings

    def build(self, project: Project, name: str | None) -> str:
        return f"# {name}\n"

    def plan(
        self, project: Project, options: PlanOptions, *, listener: Listener, whole: bool = False
    ) -> Plan:
        self.options.append(options)
        return self.made

    def apply(
        self,
        project: Project,
        options: PlanOptions,
        apply_options: ApplyOptions,
        *,
        saved: Plan | None,
        approve: Callable[[Plan], bool],
        listener: Listener,
        stop: StopSignal,
    ) -> ApplyOutcome:
        self.options.append(options)
        self.apply_options.append(apply_options)
        made = saved or self.made
        if not approve(made):
            return ApplyOutcome(made, None, approved=False)
        self.meanwhile(stop)
        for event in self.events:
            listener(event)
        if self.result is not None:
            listener(RunFinished(self.result))
        return ApplyOutcome(made, self.result)

    def drift(self, project: Project, options: PlanOptions, *, listener: Listener) -> DriftReport:
        self.options.append(options)
        return self.report

    def repair(
        self,
        project: Project,
        options: PlanOptions,
        repair_options: RepairOptions,
        *,
        approve: Callable[[Plan], bool],
        listener: Listener,
        stop: StopSignal,
    ) -> RepairOutcome:
        self.options.append(options)
        self.repair_options.append(repair_options)
        approved = not self.made.effective or approve(self.made)
        return RepairOutcome(self.report, self.made, self.result if approved else None, approved)

    def write_plan(self, plan: Plan, path: Path) -> str:
        self.saved[str(path)] = plan
        return "sha256:0"

    def read_plan(self, path: Path) -> Plan:
        return self.saved[str(path)]

    def hosts(self, project: Project, limit: tuple[str, ...]) -> tuple[HostInfo, ...]:
        return self.found

    def graph(self, project: Project, options: PlanOptions, *, listener: Listener) -> StepGraph:
        raise NotImplementedError


def run(services: FakeServices, *arguments: str, answer: str | None = None, **environ: str) -> int:
    """One command line; with `answer` somebody sits there and types it."""
    app = App(
        services=services,
        environ=environ,
        interactive=answer is not None,
        read_line=lambda: "" if answer is None else answer,
    )
    return main(list(arguments), app=app)
