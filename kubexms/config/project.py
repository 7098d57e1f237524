"""Loading a directory as one project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.documents import (
    DEFAULT_KINDS,
    DocumentKinds,
    KindCatalog,
    SchemaSet,
    Validated,
    validate_document,
)
from kubexms.config.documents.validate import is_ours
from kubexms.config.expansion import ModuleScope, expand_module
from kubexms.config.inventory import RunCommand, merge_hosts
from kubexms.config.references import dangling
from kubexms.config.sources import SourceMap
from kubexms.config.suggest import hint
from kubexms.config.variables import (
    GivenValue,
    ResolvedVariable,
    given_values,
    refuse_undeclared,
    resolve,
)
from kubexms.config.varsfrom import vars_from
from kubexms.config.yaml import read_documents
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import ConfigError
from kubexms.spec.inventory import Inventory, InventorySpec
from kubexms.spec.pipeline import ModuleSpec, Moved, PipelineSpec
from kubexms.spec.project import Environment, ProjectSpec

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class LoadedProject:
    """Everything that documents, variables and the command line say, checked and merged."""

    root: Path
    spec: ProjectSpec
    environment: str | None
    workspace: str
    state_dir: Path
    pipeline: PipelineSpec
    scopes: Mapping[str, ModuleScope]
    """By module name."""
    inventory: Inventory
    sources: SourceMap
    warnings: tuple[Diagnostic, ...] = ()


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
) -> LoadedProject:
    """Load every kubexms document of a directory (or only `files`).

    Raises `ConfigError` with all problems that were found, each with its place.
    """
    root = root.resolve()
    schemas = SchemaSet(registry)
    documents = _read(root, files, kinds, schemas)
    spec = _project(documents)
    chosen = _environment(spec, environment)
    files_of_vars = [root / name for name in (*spec.var_files, *(chosen.var_files if chosen else ()))] + list(
        var_files
    )
    given = given_values(variables or {}, files_of_vars, environ or {})
    sources = SourceMap()
    pipeline, scopes = _pipeline(documents, root, given, sources, run_command, untrusted, kinds, schemas)
    declared, inventory = _inventory(documents, spec, chosen, environment, root, run_command, untrusted)
    problems = list(dangling(pipeline, inventory, declared, sources))
    errors = [item for item in problems if item.severity is Severity.ERROR]
    if errors:
        raise ConfigError(errors[0].summary, diagnostics=errors)
    state = chosen.state if chosen and chosen.state else spec.state
    workspace = (chosen.workspace or environment) if chosen else None
    return LoadedProject(
        root=root,
        spec=spec,
        environment=environment,
        workspace=workspace or spec.workspace,
        state_dir=(root / Path(state.path).expanduser()).resolve(),
        pipeline=pipeline,
        scopes=scopes,
        inventory=inventory,
        sources=sources,
        warnings=tuple(item for item in problems if item.severity is Severity.WARNING),
    )


def _read(root: Path, files: Sequence[Path], kinds: DocumentKinds, schemas: SchemaSet) -> list[Validated]:
    if not root.is_dir():
        raise ConfigError(f"{root} is not a directory", detail="`-C DIR` names the project's directory.")
    if files:
        chosen = [path if path.is_absolute() else root / path for path in files]
    else:
        chosen = sorted(path for path in root.iterdir() if path.suffix in SUFFIXES and path.is_file())
    found: list[Validated] = []
    problems: list[Diagnostic] = []
    for path in chosen:
        try:
            named = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
            documents = read_documents(path.read_bytes(), named)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except ConfigError as error:
            # a file that is not ours need not be one that we can read
            if files or b"kubexms.io/" in path.read_bytes():
                problems += error.diagnostics
            continue
        for document in documents:
            if not is_ours(document) and not files:
                continue
            validated, wrong = validate_document(document, kinds, schemas)
            problems += wrong
            if validated is not None:
                found.append(validated)
    if problems:
        raise ConfigError(problems[0].summary, detail=problems[0].detail, diagnostics=problems)
    if not found:
        raise ConfigError(
            f"there are no kubexms documents in {root}",
            detail="`kubexms init` writes a first project; `-C DIR` names another directory.",
        )
    return found


def _project(documents: Sequence[Validated]) -> ProjectSpec:
    found = [item for item in documents if isinstance(item.spec, ProjectSpec)]
    if len(found) > 1:
        problem = found[1].document.error(
            ("kind",), "a second Project document", "A directory has one at most."
        )
        raise ConfigError(problem.summary, diagnostics=[problem])
    spec = found[0].spec if found else ProjectSpec()
    assert isinstance(spec, ProjectSpec)
    return spec


def _environment(spec: ProjectSpec, name: str | None) -> Environment | None:
    if name is None:
        if spec.environments:
            names = ", ".join(spec.environments)
            raise ConfigError(
                "the project has environments, and none was chosen", detail=f"Choose with -e: {names}."
            )
        return None
    if name not in spec.environments:
        raise ConfigError(
            f"there is no environment '{name}'", detail=hint(name, spec.environments, "environments")
        )
    return spec.environments[name]


def _pipeline(
    documents: Sequence[Validated],
    root: Path,
    given: Mapping[str, GivenValue],
    sources: SourceMap,
    run_command: RunCommand,
    untrusted: bool,
    kinds: DocumentKinds,
    schemas: SchemaSet,
) -> tuple[PipelineSpec, dict[str, ModuleScope]]:
    pipelines = [(item, item.spec) for item in documents if isinstance(item.spec, PipelineSpec)]
    declared = {}
    given = dict(given)
    for item, spec in pipelines:
        for name, variable in spec.variables.items():
            if name in declared and declared[name] != variable:
                problem = item.document.error(
                    ("spec", "variables", name), f"variable '{name}' is declared twice", key=True
                )
                raise ConfigError(problem.summary, diagnostics=[problem])
            declared[name] = variable
        for name, value in vars_from(spec, root, run_command, untrusted).items():
            given.setdefault(name, value)
    refuse_undeclared(declared, given)
    variables, missing = resolve(declared, given)
    if missing:
        raise ConfigError(
            f"these variables need a value: {', '.join(missing)}",
            detail="Give them with --var NAME=VALUE, in a --var-file, or as KUBEXMS_VAR_NAME.",
        )
    extra = {
        name: ResolvedVariable(value.value, value.sensitive, value.source)
        for name, value in given.items()
        if name not in variables and value.source == "varsFrom"
    }
    scope = ModuleScope(root, {**extra, **variables})
    modules: list[ModuleSpec] = []
    scopes: dict[str, ModuleScope] = {}
    moved: list[Moved] = []
    first = pipelines[0][1] if pipelines else PipelineSpec()
    for item, spec in pipelines:
        for index, module in enumerate(spec.modules):
            if module.name in scopes:
                at = ("spec", "modules", index, "name")
                problem = item.document.error(
                    at, f"module '{module.name}' is there twice", "Names are unique in a project."
                )
                raise ConfigError(problem.summary, diagnostics=[problem])
            sources.add_module(module.name, item.document, ("spec", "modules", index))
            expanded, inner = expand_module(
                module, scope, lambda path: _read(path, (), kinds, schemas), sources
            )
            modules.append(expanded)
            scopes[module.name] = inner
        moved += spec.moved
    merged = first.model_copy(
        update={"variables": declared, "modules": tuple(modules), "moved": tuple(moved)}
    )
    return merged, scopes


def _inventory(
    documents: Sequence[Validated],
    spec: ProjectSpec,
    chosen: Environment | None,
    environment: str | None,
    root: Path,
    run_command: RunCommand,
    untrusted: bool,
) -> tuple[InventorySpec, Inventory]:
    found = {item.name: item for item in documents if isinstance(item.spec, InventorySpec)}
    wanted = (chosen.inventories if chosen else ()) or spec.inventories
    if wanted:
        for name in wanted:
            if name not in found:
                raise ConfigError(f"there is no inventory '{name}'", detail=hint(name, found, "inventories"))
        picked = [found[name] for name in wanted]
    else:
        picked = list(found.values())
        if len(picked) > 1:
            names = ", ".join(found)
            raise ConfigError(
                f"there are {len(picked)} inventories ({names}), and nothing says which",
                detail="Name one in the Project document (`inventories`), or give environments theirs and choose with -e.",
            )
    hosts = []
    roles = {}
    for item in picked:
        assert isinstance(item.spec, InventorySpec)
        roles.update(item.spec.roles)
        for host in merge_hosts(item.spec, root, run_command, untrusted=untrusted):
            if any(other.name == host.name for other in hosts):
                raise ConfigError(
                    f"host '{host.name}' is there twice", detail="Each host may be listed once."
                )
            hosts.append(host)
    name = picked[0].name if picked else "none"
    return InventorySpec(roles=roles), Inventory(name=name, hosts=tuple(hosts))
