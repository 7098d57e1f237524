"""Opening a project: documents, state, kinds and the way to its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from kubexms.builder.kinds import DOCUMENT_KINDS
from kubexms.config.place import StatePlace, state_place
from kubexms.config.project import LoadedProject, load_project
from kubexms.config.secrets import SecretResolver
from kubexms.errors import PlanError, StateError
from kubexms.plan.conceal import Concealer
from kubexms.plan.selection import limited
from kubexms.runtime.connect import run_local_command
from kubexms.services.connecting import HostConnector
from kubexms.spec.inventory import ConnectionSpec, Host
from kubexms.spec.project import ProjectSpec, StateLocation
from kubexms.state.model import StateSnapshot
from kubexms.state.protocol import StateStore
from kubexms.state.store import open_store
from kubexms.step.registry import Registry, default_registry


@dataclass(frozen=True)
class Foreseen:
    """Hosts that will be asked as soon as the project is open: connecting to them begins while it is opened.

    Those beyond the parallelism wait for their turn, and those in maintenance are left alone.
    """

    limit: tuple[str, ...] = ()
    """As `--limit` says."""
    acting: bool = False
    """They will be changed, too."""


@dataclass(frozen=True)
class Settings:
    """How a project is to be opened: what the command line's global options say."""

    root: Path
    files: tuple[Path, ...] = ()
    environment: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    parallelism: int | None = None
    untrusted: bool = False
    """Runs no check of a user, no local command and no secret command (pull requests of strangers)."""
    foreseen: Foreseen | None = None
    """None: nobody will be asked."""


@dataclass
class OpenState:
    """A state that was opened without the project's other documents. Close it."""

    settings: Settings
    place: StatePlace
    store: StateStore

    @property
    def state_file(self) -> Path:
        """Where the state is."""
        return self.place.directory / f"{self.place.workspace}.db"

    def close(self) -> None:
        """Release the state."""
        self.store.close()


@dataclass
class Project:
    """An opened project. Close it."""

    settings: Settings
    loaded: LoadedProject
    registry: Registry
    store: StateStore
    resolver: SecretResolver
    begun: HostConnector | None = None
    """Its connections were begun while the project was opened."""
    used: bool = False
    """Somebody has got them."""

    @property
    def parallelism(self) -> int:
        """Hosts worked on at once."""
        return self.settings.parallelism or self.loaded.spec.parallelism

    @property
    def state_file(self) -> Path:
        """Where the state is."""
        return self.loaded.state_dir / f"{self.loaded.workspace}.db"

    def connector(self, snapshot: StateSnapshot | None = None, *, keep: bool = False) -> HostConnector:
        """A connector for the hosts of the inventory and those that only state knows: the one that was
        begun, if it is of that sort, else a new one.

        The state is read for it, unless `snapshot` has been read already.
        """
        hosts = {host.name: host for host in self.loaded.inventory.hosts}
        if self.begun is not None and self.begun.keep is keep and not self.used:
            connector, self.used = self.begun, True
        else:
            connector = HostConnector(hosts, self.resolver, self.loaded.root, keep=keep)
        for name, state in (snapshot or self.store.snapshot()).hosts.items():
            if name not in hosts:
                connection = ConnectionSpec.model_validate(state.connection)
                connector.add(Host(name=name, connection=connection))
        return connector

    def concealer(self) -> Concealer:
        """Digests under this state's key."""
        return Concealer(self.store.key())

    def close(self) -> None:
        """Release the state, and connections that were begun."""
        if self.begun is not None:
            self.begun.close()
        self.store.close()


def open_project(settings: Settings, *, registry: Registry | None = None, writes: bool = False) -> Project:
    """Load the documents and open the state.

    Raises `ConfigError` with every problem found. With `writes`, state on the local disk of a CI
    runner must have been asked for.
    """
    registry = registry or default_registry()
    root = settings.root.resolve()
    resolver = SecretResolver(root, settings.environ, run_local_command, untrusted=settings.untrusted)
    with ExitStack() as stack:
        beginning = _Beginning(settings, resolver, stack)
        loaded = load_project(
            root,
            files=settings.files,
            environment=settings.environment,
            variables=settings.variables,
            var_files=settings.var_files,
            environ=settings.environ,
            registry=registry,
            run_command=run_local_command,
            kinds=DOCUMENT_KINDS,
            untrusted=settings.untrusted,
            hosts_known=beginning.connect if settings.foreseen is not None else None,
        )
        if writes:
            _refuse_ephemeral_state(loaded.state_dir, loaded.spec.state, settings.environ)
        store = open_store(loaded.state_dir, loaded.workspace)
        stack.pop_all()
    return Project(settings, loaded, registry, store, resolver, beginning.connector)


class _Beginning:
    """Connects to the hosts that will be asked, once they are known; `stack` closes that again."""

    def __init__(self, settings: Settings, resolver: SecretResolver, stack: ExitStack) -> None:
        self._settings = settings
        self._resolver = resolver
        self._stack = stack
        self.connector: HostConnector | None = None

    def connect(self, spec: ProjectSpec, hosts: tuple[Host, ...]) -> None:
        """Begin with the first hosts, as many as are asked at once."""
        foreseen = self._settings.foreseen
        assert foreseen is not None
        try:
            chosen = limited(hosts, foreseen.limit)
        except PlanError:  # in its turn
            return
        root, by_name = self._resolver.root, {host.name: host for host in hosts}
        self.connector = HostConnector(by_name, self._resolver, root, keep=foreseen.acting)
        self._stack.callback(self.connector.close)
        names = [host.name for host in chosen if host.maintenance is None]
        self.connector.prepare(names[: self._settings.parallelism or spec.parallelism])


def open_state(settings: Settings, *, registry: Registry | None = None, writes: bool = False) -> OpenState:
    """Open the state by what the Project document says; no other document is looked at.

    Raises `ConfigError` where its place cannot be told.
    """
    place = state_place(
        settings.root,
        files=settings.files,
        environment=settings.environment,
        catalog=registry or default_registry(plugins=False),
    )
    if writes:
        _refuse_ephemeral_state(place.directory, place.location, settings.environ)
    return OpenState(settings, place, open_store(place.directory, place.workspace))


def _refuse_ephemeral_state(directory: Path, location: StateLocation, environ: Mapping[str, str]) -> None:
    if environ.get("CI") and not location.allow_local_in_ci:
        raise StateError(
            "CI is set, and the state would be written to this machine's own disk",
            detail=f"A runner forgets {directory}. Keep it on a volume that survives, and say so with "
            "spec.state.allowLocalInCi: true in the Project document.",
        )
