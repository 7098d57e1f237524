"""Peers: other hosts that a step talks to, over connections apart from those of their own steps.

A host's own steps may keep its connection busy for minutes, and two hosts may need each other: so
a peer gets a connection of its own, which the steps of all hosts share, one exchange at a time. It works
under the lock that the run holds on that host; where the run has nothing to do there, it is taken now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from kubexms.errors import ConnectionFailed, PeerFailed
from kubexms.executor.clock import Clock
from kubexms.runtime.protocol import Action, Answer, Connection, Exchange, Fragment, Outcome, RunIdentity
from kubexms.spec.inventory import Host

_PATIENCE = 900.0
"""Seconds to wait while other steps talk to the same host."""
_CONNECT = 30.0
"""Seconds for the peer's shell, and beyond a question's own time limit."""


class Peers:
    """The peers of one run. Thread-safe. Whoever opens the connections closes them at the end of the run."""

    def __init__(
        self,
        hosts: Iterable[Host],
        lock: Callable[[str], object],
        connect: Callable[[str], Connection],
        identity: RunIdentity,
    ) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._hold = lock
        self._connect = connect
        self._identity = identity
        self._known: dict[str, _Shared] = {}
        self._rooms: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def open(self, name: str, *, token: str, clock: Clock) -> Peer:
        """A peer for one step; contacted when it is first asked. Raises `PeerFailed`."""
        host = self._hosts.get(name)
        if host is None:
            raise PeerFailed(f"{name} is not in the inventory")
        if host.maintenance is not None:
            raise PeerFailed(
                f"{name} is in maintenance: {host.maintenance.reason}",
                detail="This step needs it. End its maintenance, or wait for it.",
            )
        with self._lock:
            shared = self._known.setdefault(name, _Shared())
        return Peer(name, shared, self._begin, token, clock)

    @contextmanager
    def alone(self, what: str, *, clock: Clock) -> Iterator[None]:
        """See `step.contract.StepContext.alone`."""
        with self._lock:
            room = self._rooms.setdefault(what, threading.Lock())
        while not room.acquire(blocking=False):
            clock.sleep(0.1)
        try:
            yield
        finally:
            room.release()

    def _begin(self, name: str) -> Connection:
        self._hold(name)
        connection = self._connect(name)
        connection.begin(self._identity, wait=_CONNECT, shared=True)
        return connection


class _Shared:
    """What all steps that talk to one host share: its connection, and whose turn it is."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.connection: Connection | None = None


class Peer:
    """Implements `step.contract.PeerContext`. One thread."""

    def __init__(
        self, name: str, shared: _Shared, begin: Callable[[str], Connection], token: str, clock: Clock
    ) -> None:
        self._name = name
        self._shared = shared
        self._begin = begin
        self._token = token
        self._clock = clock

    @property
    def host(self) -> str:
        """The inventory's name of the host."""
        return self._name

    def ask(self, fragment: Fragment) -> Answer:
        """One read-only question."""
        with self._turn() as connection:
            return connection.ask((fragment,), deadline=fragment.timeout + _CONNECT).answers[0]

    def exchange(self, action: Action) -> Outcome:
        """One action; nothing of it is recorded."""
        with self._turn() as connection:
            return connection.act(Exchange(f"{self._token} through {self._name}", (), action, verify=False))

    @contextmanager
    def _turn(self) -> Iterator[Connection]:
        end = self._clock.monotonic() + _PATIENCE
        while not self._shared.turn.acquire(blocking=False):
            if self._clock.monotonic() >= end:
                raise PeerFailed(f"{self._name} has been busy with other steps for {_PATIENCE:g} s")
            self._clock.sleep(0.1)
        try:
            if self._shared.connection is None:
                self._shared.connection = self._begin(self._name)
            yield self._shared.connection
        except ConnectionFailed as error:
            raise PeerFailed(error.summary, detail=error.detail) from error
        finally:
            self._shared.turn.release()
