"""Which project settings, environment and inventories hold for this run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kubexms.config.discover import Discovery
from kubexms.config.documents import Validated
from kubexms.config.problems import Problems, failed
from kubexms.config.suggest import hint
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError
from kubexms.spec.inventory import InventorySpec
from kubexms.spec.project import Environment, ProjectSpec, StateLocation


@dataclass(frozen=True, slots=True)
class Selection:
    """The Project document (or its defaults) and what the environment makes of it."""

    spec: ProjectSpec
    document: Validated | None
    name: str | None
    environment: Environment | None

    @property
    def state(self) -> StateLocation:
        """Where state is kept."""
        own = self.environment.state if self.environment is not None else None
        return own if own is not None else self.spec.state

    @property
    def workspace(self) -> str:
        """The state's name: the environment's own, else the environment's name, else the project's."""
        if self.environment is None or self.name is None:
            return self.spec.workspace
        return self.environment.workspace or self.name

    def state_directory(self, root: Path) -> Path:
        """The directory of the state, absolute; it need not exist."""
        return (root / Path(self.state.path).expanduser()).resolve()

    def directory(self, root: Path) -> Path:
        """What paths in the Project document are relative to."""
        return self.document.directory if self.document is not None else root

    def var_files(self, root: Path) -> list[Path]:
        """Variable files of the project, then of the environment."""
        names = [*self.spec.var_files, *(self.environment.var_files if self.environment is not None else ())]
        return [self.directory(root) / Path(name).expanduser() for name in names]


def same_names(documents: Sequence[Validated]) -> Iterator[Diagnostic]:
    """An error for each document that is built into a pipeline and has the name of one before it."""
    first: dict[tuple[str, str], Validated] = {}
    for item in documents:
        if item.kind.build is None:
            continue
        before = first.setdefault((item.kind.name, item.name), item)
        if before is not item:
            where = before.document.range(("metadata", "name"))
            yield item.document.error(
                ("metadata", "name"),
                f"a second {item.kind.name} is called {item.name}",
                f"The first is in {where.filename} line {where.line}. Addresses begin with the name.",
            )


def select(documents: Sequence[Validated], environment: str | None) -> Selection:
    """The settings that hold. Raises `ConfigError` for two Project documents or an unknown environment."""
    found = [item for item in documents if isinstance(item.spec, ProjectSpec)]
    if len(found) > 1:
        where = found[0].document.range(("kind",))
        raise failed(
            found[1].document.error(
                ("kind",), "a second Project document", f"The first is in {where.filename} line {where.line}."
            )
        )
    document = found[0] if found else None
    spec = document.spec if document is not None else ProjectSpec()
    assert isinstance(spec, ProjectSpec)
    if environment is None:
        if spec.environments and document is not None:
            names = ", ".join(spec.environments)
            raise failed(
                document.document.error(
                    ("spec", "environments"),
                    "the project has environments, and none was chosen",
                    f"Choose one with -e: {names}.",
                    key=True,
                )
            )
        return Selection(spec, document, None, None)
    if environment not in spec.environments:
        raise ConfigError(
            f"there is no environment '{environment}'",
            detail=hint(environment, spec.environments, "environments"),
        )
    return Selection(spec, document, environment, spec.environments[environment])


def inventories(
    documents: Sequence[Validated], selection: Selection, discovery: Discovery, problems: Problems
) -> list[Validated]:
    """The inventories to use, in order; what is named and missing goes to `problems`.

    Raises `ConfigError` when there are several and nothing says which.
    """
    found: dict[str, Validated] = {}
    for item in documents:
        if not isinstance(item.spec, InventorySpec):
            continue
        if item.name in found:
            summary = f"inventory '{item.name}' is there twice"
            problems.add(item.document.error(("metadata", "name"), summary, "Names are unique in a project."))
        found[item.name] = item
    wanted, at = _wanted(selection)
    if wanted:
        return [
            one
            for i, name in enumerate(wanted)
            for one in _named(name, (*at, i), found, selection, discovery)
        ]
    if len(found) > 1:
        names = ", ".join(sorted(found))
        raise ConfigError(
            f"there are {len(found)} inventories ({names}), and nothing says which",
            detail="Name one in the Project document (`inventories`), or per environment and choose with -e.",
        )
    return list(found.values())


def own_hosts(documents: Sequence[Validated]) -> list[Validated]:
    """The hosts that documents of other kinds list themselves, as inventories in the same places."""
    found: list[Validated] = []
    for item in documents:
        listed = item.kind.inventory(item.spec) if item.kind.inventory is not None else InventorySpec()
        if listed.hosts:
            found.append(replace(item, spec=listed))
    return found


def _wanted(selection: Selection) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
    if selection.environment is not None and selection.environment.inventories:
        return selection.environment.inventories, (
            "spec",
            "environments",
            selection.name or "",
            "inventories",
        )
    return selection.spec.inventories, ("spec", "inventories")


def _named(
    name: str,
    at: tuple[str | int, ...],
    found: Mapping[str, Validated],
    selection: Selection,
    discovery: Discovery,
) -> list[Validated]:
    if name in found:
        return [found[name]]
    document = selection.document
    assert document is not None
    path = document.directory / Path(name).expanduser()
    if path.is_file():
        return [i for i in discovery.file(path, named=True) if isinstance(i.spec, InventorySpec)]
    detail = hint(name, found, "inventories")
    discovery.problems.add(document.document.error(at, f"there is no inventory '{name}'", detail))
    return []
