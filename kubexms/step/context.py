"""What a running step has to do with: its host, other hosts, the rest of the run, and the one who waits."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from kubexms.runtime.protocol import Action, Answer, Connection, Fragment, Outcome
from kubexms.step.observation import Observation


class PeerContext(Protocol):
    """Another host of the inventory, as a step that needs it sees it: who joins a cluster asks a member.

    Both methods raise `errors.PeerFailed` if that host cannot be reached, and `errors.Interrupted`.
    They wait while another step talks to the same host.
    """

    @property
    def host(self) -> str:
        """The inventory's name of the host."""

    def ask(self, fragment: Fragment) -> Answer:
        """One read-only question."""

    def exchange(self, action: Action) -> Outcome:
        """One action, neither guarded nor claimed nor verified: that the step's own exchange is.

        Nothing of it is recorded, so its output may hold secrets. There is no `"$KX_BACKUP"`.
        """
        ...


class StepContext(Protocol):
    """What a kind that needs several exchanges gets; see `StepExecutor.run`."""

    @property
    def connection(self) -> Connection:
        """The host, changeable."""
        ...

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        """One guarded exchange for this step (first call compares and sets, later ones do not)."""
        ...

    def observe(self) -> Observation:
        """Ask the host again."""

    def peer(self, host: str) -> PeerContext:
        """Another host of the inventory, over a connection of its own.

        Raises `errors.PeerFailed` if it is not in the inventory, is in maintenance, or does not answer.
        """
        ...

    def alone(self, what: str) -> AbstractContextManager[None]:
        """While it is entered no other step of this run is in one of that name, on any host.

        Raises `errors.Interrupted` when the user asks to stop while it waits.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; raises `errors.Interrupted` when the user asks to stop now."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def progress(self, message: str) -> None:
        """One line for the person who waits."""
        ...
