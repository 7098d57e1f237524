"""The services that commands call, as one protocol: the real ones are imported when first used."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kubexms.diagnostics import Diagnostic
    from kubexms.executor.events import Listener
    from kubexms.executor.stop import StopSignal
    from kubexms.graph.model import StepGraph
    from kubexms.plan.model import Plan, PlanOptions
    from kubexms.services.applying import ApplyOptions, ApplyOutcome
    from kubexms.services.drift import DriftReport
    from kubexms.services.inspect import HostInfo
    from kubexms.services.project import OpenState, Project, Settings
    from kubexms.services.repairing import RepairOptions, RepairOutcome


class Services(Protocol):
    """The use cases. Each raises `KubexmsError` for what a user can act on."""

    def open_project(self, settings: Settings, *, writes: bool = False) -> AbstractContextManager[Project]:
        """Load a project; leaving closes it."""
        ...

    def open_state(self, settings: Settings, *, writes: bool = False) -> AbstractContextManager[OpenState]:
        """Open a project's state without its documents; leaving closes it."""
        ...

    def validate(self, project: Project) -> tuple[Diagnostic, ...]:
        """Warnings of a project that loads."""
        ...

    def build(self, project: Project, name: str | None) -> str:
        """What Cluster documents stand for, as YAML."""
        ...

    def plan(
        self, project: Project, options: PlanOptions, *, listener: Listener, whole: bool = False
    ) -> Plan:
        """What would change; with `whole` as a saved plan holds it."""
        ...

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
        """Make it so."""
        ...

    def drift(self, project: Project, options: PlanOptions, *, listener: Listener) -> DriftReport:
        """Hosts against what was last applied."""
        ...

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
        """Put back what was last applied."""
        ...

    def write_plan(self, plan: Plan, path: Path) -> str:
        """Save; returns the digest."""
        ...

    def read_plan(self, path: Path) -> Plan:
        """Read a saved plan."""
        ...

    def hosts(self, project: Project, limit: tuple[str, ...]) -> tuple[HostInfo, ...]:
        """Ask every host."""
        ...

    def graph(self, project: Project, options: PlanOptions, *, listener: Listener) -> StepGraph:
        """The order of all steps."""
        ...


class InstalledServices:
    """The real ones."""

    def open_project(self, settings: Settings, *, writes: bool = False) -> AbstractContextManager[Project]:
        """Load a project; leaving closes it."""
        from contextlib import closing

        from kubexms.services.project import open_project

        return closing(open_project(settings, writes=writes))

    def open_state(self, settings: Settings, *, writes: bool = False) -> AbstractContextManager[OpenState]:
        """Open a project's state without its documents; leaving closes it."""
        from contextlib import closing

        from kubexms.services.project import open_state

        return closing(open_state(settings, writes=writes))

    def validate(self, project: Project) -> tuple[Diagnostic, ...]:
        """Warnings of a project that loads."""
        from kubexms.services.validate import validate

        return validate(project)

    def build(self, project: Project, name: str | None) -> str:
        """What Cluster documents stand for, as YAML."""
        from kubexms.services.building import built

        return built(project, name)

    def plan(
        self, project: Project, options: PlanOptions, *, listener: Listener, whole: bool = False
    ) -> Plan:
        """What would change; with `whole` as a saved plan holds it."""
        from kubexms.services.planning import plan

        return plan(project, options, listener=listener, whole=whole)

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
        """Make it so."""
        from kubexms.services.applying import apply

        return apply(
            project, options, apply_options, saved=saved, approve=approve, listener=listener, stop=stop
        )

    def drift(self, project: Project, options: PlanOptions, *, listener: Listener) -> DriftReport:
        """Hosts against what was last applied."""
        from kubexms.services.drift import drift

        return drift(project, options, listener=listener)

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
        """Put back what was last applied."""
        from kubexms.services.repairing import repair

        return repair(project, options, repair_options, approve=approve, listener=listener, stop=stop)

    def write_plan(self, plan: Plan, path: Path) -> str:
        """Save; returns the digest."""
        from kubexms.services.planfile import write_plan

        return write_plan(plan, path)

    def read_plan(self, path: Path) -> Plan:
        """Read a saved plan."""
        from kubexms.services.planfile import read_plan

        return read_plan(path)

    def hosts(self, project: Project, limit: tuple[str, ...]) -> tuple[HostInfo, ...]:
        """Ask every host."""
        from kubexms.services.inspect import hosts

        return hosts(project, limit)

    def graph(self, project: Project, options: PlanOptions, *, listener: Listener) -> StepGraph:
        """The order of all steps."""
        from kubexms.services.inspect import graph

        return graph(project, options, listener=listener)
