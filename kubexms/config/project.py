"""Loading a directory as one project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kubexms.config.beforehand import HostsKnown, hosts_beforehand, hosts_in_turn
from kubexms.config.checks import check
from kubexms.config.commands import RunCommand
from kubexms.config.discover import Discovery
from kubexms.config.documents import (
    DEFAULT_KINDS,
    Building,
    DocumentKinds,
    KindCatalog,
    SchemaSet,
    Validated,
)
from kubexms.config.expansion import Expansion, ModuleScope
from kubexms.config.inventory import InventoryReader, host_place, known_roles
from kubexms.config.merging import Written, declarations, hooks, pipelines, strategy
from kubexms.config.problems import Problems
from kubexms.config.selection import Selection, same_names
from kubexms.config.sources import SourceMap
from kubexms.config.variables import GivenValue, ResolvedVariable, check_hosts, given_values, resolve
from kubexms.config.varsfrom import vars_from
from kubexms.diagnostics import Diagnostic, SourceRange
from kubexms.errors import ConfigError
from kubexms.spec.inventory import Host, Inventory
from kubexms.spec.pipeline import ModuleSpec, PipelineSpec
from kubexms.spec.project import ProjectSpec

__all__ = ["LoadedProject", "ModuleScope", "load_project"]


@dataclass(frozen=True)
class LoadedProject:
    """Everything that documents, variables and the command line say, checked and merged."""

    root: Path
    """Absolute."""
    spec: ProjectSpec
    environment: str | None
    workspace: str
    state_dir: Path
    """Absolute; need not exist."""
    pipeline: PipelineSpec
    """All pipelines merged, modules from elsewhere expanded."""
    scopes: Mapping[str, ModuleScope]
    """By module name."""
    inventory: Inventory
    sources: SourceMap
    warnings: tuple[Diagnostic, ...] = ()
    documents: tuple[Validated, ...] = field(default=(), repr=False)
    """As they were read."""
    built: tuple[Written, ...] = field(default=(), repr=False)
    """The pipelines that documents of other kinds stand for."""


def load_project(
    root: Path,
    *,
    files: Sequence[Path] = (),
    environment: str | None = None,
    variables: Mapping[str, str] | None = None,
    var_files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    registry: KindCatalog,
    run_command: RunCommand,
    kinds: DocumentKinds = DEFAULT_KINDS,
    untrusted: bool = False,
    now: datetime | None = None,
    hosts_known: HostsKnown | None = None,
) -> LoadedProject:
    """Load every kubexms document of a directory, or only `files` (relative to `root`).

    Runs the commands that inventories and `varsFrom` name, through `run_command`, unless `untrusted`;
    secrets are not resolved here. `now` (default: the clock) decides which maintenance has ended.
    `hosts_known` is called at most once, before the other documents are checked: not where hosts come from
    a command. Raises `ConfigError` with all problems that were found, each with its place.
    """
    root = root.resolve()
    problems = Problems()
    discovery = Discovery(kinds, SchemaSet(registry), problems)
    reader = InventoryReader(run_command, problems, now or datetime.now(UTC), untrusted)
    found = discovery.read([root / path for path in files]) if files else discovery.read_directory(root)
    known = hosts_beforehand(found, discovery, environment, reader)
    if known is not None and hosts_known is not None:
        hosts_known(known.selection.spec, known.hosts)
    documents = discovery.valid(found)
    problems.raise_errors()
    if not documents:
        raise ConfigError(
            f"there are no kubexms documents in {root}",
            detail="`kubexms init` writes a first project; `-C DIR` names another directory.",
        )
    problems.extend(same_names(documents))
    problems.raise_errors()
    known = known or hosts_in_turn(documents, discovery, environment, reader)
    selection, chosen, hosts = known.selection, known.inventories, known.hosts
    problems.raise_errors()
    given = given_values(
        variables or {}, [*selection.var_files(root), *(root / path for path in var_files)], environ or {}
    )
    merging = _Merging(discovery, problems, run_command, untrusted, chosen, hosts)
    pipeline, scopes = merging.merge(documents, given)
    problems.raise_errors()
    roles = known_roles(chosen, hosts) if chosen else None
    problems.extend(check(pipeline, scopes, hosts, roles, merging.sources))
    problems.raise_errors()
    return _loaded(
        root, selection, environment, pipeline, scopes, chosen, hosts, merging, problems, documents
    )


def _loaded(
    root: Path,
    selection: Selection,
    environment: str | None,
    pipeline: PipelineSpec,
    scopes: Mapping[str, ModuleScope],
    chosen: Sequence[Validated],
    hosts: tuple[Host, ...],
    merging: _Merging,
    problems: Problems,
    documents: Sequence[Validated],
) -> LoadedProject:
    return LoadedProject(
        root=root,
        spec=selection.spec,
        environment=environment,
        workspace=selection.workspace,
        state_dir=selection.state_directory(root),
        pipeline=pipeline,
        scopes=scopes,
        inventory=Inventory(name="+".join(item.name for item in chosen) or "none", hosts=hosts),
        sources=merging.sources,
        warnings=problems.warnings,
        documents=tuple(documents),
        built=tuple(merging.built),
    )


class _Merging:
    """From documents to the one pipeline and the scopes of its modules."""

    def __init__(
        self,
        discovery: Discovery,
        problems: Problems,
        run_command: RunCommand,
        untrusted: bool,
        chosen: Sequence[Validated],
        hosts: tuple[Host, ...],
    ) -> None:
        self._chosen = chosen
        self._hosts = hosts
        self._discovery = discovery
        self._problems = problems
        self._run_command = run_command
        self._untrusted = untrusted
        self.sources = SourceMap()
        self.built: list[Written] = []
        self._documents: Sequence[Validated] = ()

    def merge(
        self, documents: Sequence[Validated], given: Mapping[str, GivenValue]
    ) -> tuple[PipelineSpec, dict[str, ModuleScope]]:
        """The merged pipeline, and a scope per module."""
        self._documents = documents
        written = list(pipelines(documents, self._build))
        self.built = [item for item in written if item.document.kind.build is not None]
        variables = self._variables(written, given)
        expansion = Expansion(self._discovery, self._problems, self.sources)
        modules: list[ModuleSpec] = []
        scopes: dict[str, ModuleScope] = {}
        for item in written:
            self.sources.pipelines.append(item.document.document)
            scope = ModuleScope(item.document.directory, variables)
            for index, module in enumerate(item.spec.modules):
                path = ("spec", "modules", index)
                if module.name in scopes:
                    first = self.sources.lookup(module.name)
                    where = f" (first in {first.filename} line {first.line})" if first is not None else ""
                    summary = f"module '{module.name}' is there twice"
                    detail = f"Names are unique in a project{where}."
                    self._problems.add(item.document.document.error((*path, "name"), summary, detail))
                    continue
                self.sources.add_module(module.name, item.document.document, path)
                expanded, scopes[module.name] = expansion.expand(module, scope)
                modules.append(expanded)
        merged = PipelineSpec.model_construct(
            variables=declarations(written, Problems()),
            vars_from=tuple(entry for item in written for entry in item.spec.vars_from),
            strategy=strategy(written, self._problems),
            hooks=hooks(written),
            modules=tuple(modules),
            moved=tuple(move for item in written for move in item.spec.moved),
        )
        return merged, scopes

    def _build(self, item: Validated) -> PipelineSpec | None:
        """What a document stands for; None where it cannot be built, with the reasons in the problems."""
        assert item.kind.build is not None
        before = self._problems.count

        def place(host: str) -> SourceRange | None:
            return host_place(self._chosen, host)

        siblings = {one.name: one.spec for one in self._documents if one.kind.name == item.kind.name}
        building = Building(
            item.name, item.spec, item.document, item.directory, self._hosts, place, self._problems,
            siblings, self._run_command, self._untrusted,
        )  # fmt: skip
        try:
            built = item.kind.build(building)
        except ConfigError as error:
            self._problems.take(error)
            return None
        return built if self._problems.count == before else None

    def _variables(
        self, written: Sequence[Written], given: Mapping[str, GivenValue]
    ) -> dict[str, ResolvedVariable]:
        declared = declarations(written, self._problems)
        values: dict[str, GivenValue] = {}
        for item in written:
            try:
                values.update(
                    vars_from(
                        item.spec, item.document.directory, self._run_command, self._untrusted, declared
                    )
                )
            except ConfigError as error:
                self._problems.take(error)
        values.update(given)
        place = {name: item.document.document for item in written for name in item.spec.variables}
        found = resolve(declared, values, self._hosts, place, self._problems)
        check_hosts(declared, self._hosts, self._problems)
        return found
