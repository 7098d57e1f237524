"""A `StepContext` over a sandbox, with a clock that only moves when somebody sleeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import cast

from kubexms.errors import PeerFailed
from kubexms.runtime.protocol import Action, Answer, Connection, Fragment, Outcome, Record, Reply
from kubexms.step.contract import PeerContext, StepArgs
from kubexms.step.observation import Observation
from tests.steps.sandbox import Subject


@dataclass(kw_only=True)
class InCompany:
    """What a step's context is besides its exchanges, for a host among others: nobody waits here."""

    said: list[str] = field(default_factory=list)
    alone_in: list[str] = field(default_factory=list)

    def observe(self) -> Observation:
        """Not asked, unless a host says what it answers."""
        raise NotImplementedError

    def alone(self, what: str) -> AbstractContextManager[None]:
        """Kept for the test; the others do nothing meanwhile."""
        self.alone_in.append(what)
        return nullcontext()

    def sleep(self, seconds: float) -> None:
        """Not used."""
        raise NotImplementedError

    def monotonic(self) -> float:
        """Time does not pass."""
        return 0.0

    def progress(self, message: str) -> None:
        """Kept for the test."""
        self.said.append(message)


@dataclass
class SandboxContext:
    """Runs a step's exchanges in a sandbox; `on_sleep` is what happens meanwhile."""

    subject: Subject
    spec: StepArgs
    on_sleep: Callable[[float], None] = lambda seconds: None
    now: float = 0.0
    said: list[str] = field(default_factory=list)
    acted: list[Action] = field(default_factory=list)
    peers: Mapping[str, PeerContext] = field(default_factory=dict)

    @property
    def connection(self) -> Connection:
        """Nothing that is tested this way needs more than exchanges."""
        raise NotImplementedError

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        """Runs the action for real."""
        self.acted.append(action)
        return self.subject.sandbox.act(action)

    def observe(self) -> Observation:
        """Asks for real."""
        return self.subject.observe(self.spec)

    def peer(self, host: str) -> PeerContext:
        """One of `peers`; any other is not in the inventory."""
        if host not in self.peers:
            raise PeerFailed(f"{host} is not in the inventory")
        return self.peers[host]

    def alone(self, what: str) -> AbstractContextManager[None]:
        """There is nobody else."""
        return nullcontext()

    def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.now += seconds
        self.on_sleep(seconds)

    def monotonic(self) -> float:
        """The time that passed by sleeping."""
        return self.now

    def progress(self, message: str) -> None:
        """Kept for the test."""
        self.said.append(message)


@dataclass
class RebootingHost:
    """Exchanges and boot ids of a host that goes down and comes back after some tries."""

    tries: int = 2
    boots: int = 1
    ready_after: int = 0
    errors: Sequence[Exception] = ()
    now: float = 0.0
    down: int = 0
    said: list[str] = field(default_factory=list)
    acted: list[Action] = field(default_factory=list)

    @property
    def connection(self) -> Connection:
        """This host itself: only `ask` and `reconnect` are used."""
        return cast(Connection, self)

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        """A reboot ends the connection; a check for readiness succeeds in time."""
        self.acted.append(action)
        if action.expect_disconnect:
            self.down = self.tries
            self.boots += 1
            return Outcome((), True, None, b"", b"", (), 0.0, disconnected=True)
        status = 0
        if "exit 75" in action.script and self.ready_after > 0:
            self.ready_after -= 1
            status = 75
        return Outcome((), True, status, b"", b"not yet", (), 0.0)

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        """The boot id."""
        answer = Answer((Record(0, b"boot-%d" % self.boots),))
        return Reply((answer,) * len(fragments), 0.0)

    def reconnect(self, *, timeout: float) -> None:
        """Fails while the host is down."""
        if self.down > 0:
            self.down -= 1
            raise self.errors[0]

    def observe(self) -> Observation:
        """Not used."""
        raise NotImplementedError

    def peer(self, host: str) -> PeerContext:
        """Not used."""
        raise NotImplementedError

    def alone(self, what: str) -> AbstractContextManager[None]:
        """Not used."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.now += seconds

    def monotonic(self) -> float:
        """The time that passed by sleeping."""
        return self.now

    def progress(self, message: str) -> None:
        """Kept for the test."""
        self.said.append(message)
