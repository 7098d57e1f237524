"""Opening a project: documents, state, kinds and the way to its hosts."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubexms.builder.kinds import DOCUMENT_KINDS
from kubexms.config.place import StatePlace, state_place
from kubexms.config.project import LoadedProject, load_project
from kubexms.config.secrets import SecretResolver
from kubexms.config.targets import connection_target
from kubexms.errors import StateError
from kubexms.plan.conceal import Concealer
from kubexms.runtime.connect import open_connection, open_readonly, run_local_command
from kubexms.runtime.protocol import Connection, Fragment, ReadOnlyConnection, Reply
from kubexms.spec.inventory import ConnectionSpec, Host
from kubexms.spec.project import StateLocation
from kubexms.state.model import StateSnapshot
from kubexms.state.protocol import StateStore
from kubexms.state.store import open_store
from kubexms.step.registry import Registry, default_registry


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


class HostConnector:
    """Opens connections by host name. Thread-safe.

    With `keep`, a connection that was opened for asking is kept and used again for acting:
    an apply connects once per host. What is handed out for asking has no method that writes.
    """

    def __init__(
        self, hosts: Mapping[str, Host], resolver: SecretResolver, root: Path, *, keep: bool = False
    ) -> None:
        self._hosts = dict(hosts)
        self._root = root
        self._resolver = resolver
        self._keep = keep
        self._open: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def add(self, host: Host) -> None:
        """Make a host known that is not in the inventory (any more)."""
        self._hosts.setdefault(host.name, host)

    def readonly(self, host: str) -> ReadOnlyConnection:
        """A connection that cannot write; connects at its first question."""
        if not self._keep:
            return open_readonly(connection_target(self._hosts[host], self._resolver, self._root))
        return _Asking(self.writable(host))

    def writable(self, host: str) -> Connection:
        """The connection that can act, one per host; connects when first used."""
        return self._opened(host, host)

    def _opened(self, key: str, host: str) -> Connection:
        with self._lock:
            if key not in self._open:
                self._open[key] = open_connection(
                    connection_target(self._hosts[host], self._resolver, self._root)
                )
            return self._open[key]

    def peer(self, host: str) -> Connection:
        """One more connection to a host that other hosts' steps talk to, apart from its own; kept."""
        return self._opened(f"{host} as a peer", host)

    def release(self, host: str) -> None:
        """Close one host's connection."""
        with self._lock:
            connection = self._open.pop(host, None)
        if connection is not None:
            connection.close()

    def interrupt(self) -> None:
        """End what runs on every host now."""
        with self._lock:
            connections = list(self._open.values())
        for connection in connections:
            connection.interrupt()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            connections, self._open = list(self._open.values()), {}
        for connection in connections:
            connection.close()


class _Asking:
    """A kept connection as a plan sees it: it can be asked, and closing it leaves it open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def host(self) -> str:
        return self._connection.host

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        return self._connection.ask(fragments, deadline=deadline)

    def close(self) -> None:
        pass


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

    @property
    def parallelism(self) -> int:
        """Hosts worked on at once."""
        return self.settings.parallelism or self.loaded.spec.parallelism

    @property
    def state_file(self) -> Path:
        """Where the state is."""
        return self.loaded.state_dir / f"{self.loaded.workspace}.db"

    def connector(self, snapshot: StateSnapshot | None = None, *, keep: bool = False) -> HostConnector:
        """A new connector for the hosts of the inventory and those that only state knows.

        The state is read for it, unless `snapshot` has been read already.
        """
        hosts = {host.name: host for host in self.loaded.inventory.hosts}
        known = (snapshot or self.store.snapshot()).hosts
        for name, state in known.items():
            if name not in hosts:
                hosts[name] = Host(name=name, connection=ConnectionSpec.model_validate(state.connection))
        return HostConnector(hosts, self.resolver, self.loaded.root, keep=keep)

    def concealer(self) -> Concealer:
        """Digests under this state's key."""
        return Concealer(self.store.key())

    def close(self) -> None:
        """Release the state."""
        self.store.close()


def open_project(settings: Settings, *, registry: Registry | None = None, writes: bool = False) -> Project:
    """Load the documents and open the state.

    Raises `ConfigError` with every problem found. With `writes`, state on the local disk of a CI
    runner must have been asked for.
    """
    registry = registry or default_registry()
    loaded = load_project(
        settings.root,
        files=settings.files,
        environment=settings.environment,
        variables=settings.variables,
        var_files=settings.var_files,
        environ=settings.environ,
        registry=registry,
        run_command=run_local_command,
        kinds=DOCUMENT_KINDS,
        untrusted=settings.untrusted,
    )
    if writes:
        _refuse_ephemeral_state(loaded.state_dir, loaded.spec.state, settings.environ)
    store = open_store(loaded.state_dir, loaded.workspace)
    resolver = SecretResolver(loaded.root, settings.environ, run_local_command, untrusted=settings.untrusted)
    return Project(settings, loaded, registry, store, resolver)


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
