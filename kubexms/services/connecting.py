"""Connections of a run, by the inventory's names of hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from kubexms.config.secrets import SecretResolver
from kubexms.config.targets import connection_target
from kubexms.errors import KubexmsError
from kubexms.runtime.connect import load, open_connection, open_readonly
from kubexms.runtime.protocol import Connection, Fragment, ReadOnlyConnection, Reply
from kubexms.spec.inventory import Host

C = TypeVar("C", bound=ReadOnlyConnection)


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
        self.keep = keep
        self._open: dict[str, Connection] = {}
        self._readers: dict[str, _Beginning[ReadOnlyConnection]] = {}
        self._writers: dict[str, _Beginning[Connection]] = {}
        self._lock = threading.Lock()

    def add(self, host: Host) -> None:
        """Make a host known that is not in the inventory (any more)."""
        self._hosts.setdefault(host.name, host)

    def prepare(self, hosts: Iterable[str]) -> None:
        """Connect to these hosts now, in the background; whoever uses one of them first waits for that.

        What goes wrong is raised by that use, as without.
        """
        names = list(hosts)
        # before the threads begin: beside a busy one, an import by another takes more than twice as long
        for kind in {self._hosts[host].connection.type or "ssh" for host in names}:
            load(kind)
        for host in names:
            if self.keep:
                self._writers[host] = _Beginning(host, self._new_writer)
            else:
                self._readers[host] = _Beginning(host, self._new_reader)

    def _new_reader(self, host: str) -> ReadOnlyConnection:
        return open_readonly(connection_target(self._hosts[host], self._resolver, self._root))

    def _new_writer(self, host: str) -> Connection:
        return open_connection(connection_target(self._hosts[host], self._resolver, self._root))

    def readonly(self, host: str) -> ReadOnlyConnection:
        """A connection that cannot write; connects at its first question."""
        if self.keep:
            return _Asking(self.writable(host))
        begun = self._readers.pop(host, None)
        return (begun.result() if begun is not None else None) or self._new_reader(host)

    def writable(self, host: str) -> Connection:
        """The connection that can act, one per host; connects when first used."""
        begun = self._writers.pop(host, None)
        ready = begun.result() if begun is not None else None
        if ready is not None:
            with self._lock:
                self._open[host] = ready
        return self._opened(host, host)

    def _opened(self, key: str, host: str) -> Connection:
        with self._lock:
            if key not in self._open:
                self._open[key] = self._new_writer(host)
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
        """Close every connection, those too that were prepared and never used. Safe to call twice."""
        with self._lock:
            connections, self._open = list(self._open.values()), {}
        for connection in connections:
            connection.close()
        for reading in self._readers.values():
            reading.give_up()
        for writing in self._writers.values():
            writing.give_up()
        self._readers.clear()
        self._writers.clear()


class _Beginning(Generic[C]):
    """A connection that a thread of its own prepares."""

    def __init__(self, host: str, make: Callable[[str], C]) -> None:
        self._host = host
        self._make = make
        self._made: C | None = None
        self._given_up = False
        self._lock = threading.Lock()
        # nobody waits for a host that does not answer where the documents turn out to be wrong
        self._thread = threading.Thread(target=self._prepare, name=f"connect {host}", daemon=True)
        self._thread.start()

    def _prepare(self) -> None:
        try:
            made = self._make(self._host)
        except KubexmsError:  # a secret, for example: whoever uses the host is told
            return
        made.prepare()
        with self._lock:
            self._made = made
        if self._given_up:
            made.close()

    def result(self) -> C | None:
        """The connection, once it is ready or has failed; None if there is none."""
        self._thread.join()
        return self._made

    def give_up(self) -> None:
        """Close it, now or once it is there."""
        with self._lock:
            self._given_up = True
            made = self._made
        if made is not None:
            made.close()


class _Asking:
    """A kept connection as a plan sees it: it can be asked, and closing it leaves it open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def host(self) -> str:
        return self._connection.host

    def prepare(self) -> None:
        self._connection.prepare()

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        return self._connection.ask(fragments, deadline=deadline)

    def close(self) -> None:
        pass
