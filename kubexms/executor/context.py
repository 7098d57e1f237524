"""What a kind gets while it is applied: guarded exchanges with its host."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager

from kubexms.executor.clock import Clock
from kubexms.executor.peers import Peers
from kubexms.plan.questions import Seen, read_single, single
from kubexms.plan.rendered import Rendered
from kubexms.runtime.protocol import (
    Action,
    Claim,
    Connection,
    Exchange,
    Outcome,
    Payload,
    records_digest,
)
from kubexms.step.contract import PeerContext
from kubexms.step.observation import Observation

INLINE_LIMIT = 256 * 1024
"""Payloads above this many bytes are staged on the host before the exchange."""

NEVER = "0" * 64
"""A digest that no answer has: the guard only observes."""


class ExchangeContext:
    """One step's access to its host. Implements `step.contract.StepContext`. One thread."""

    def __init__(
        self,
        connection: Connection,
        rendered: Rendered,
        *,
        token: str,
        store: str,
        claim: Claim | None,
        expect: str | None,
        clock: Clock,
        progress: Callable[[str], None],
        timeout: float | None,
        peers: Peers,
    ) -> None:
        self._connection = connection
        self._rendered = rendered
        self._token = token
        self._store = store
        self._claim = claim
        self._expect = expect
        self._clock = clock
        self._progress = progress
        self._timeout = timeout
        self._peers = peers
        self.guard_refused = False
        self.before: Seen | None = None
        self.acted: Outcome | None = None
        """The last exchange that did something, also where what came after it raised."""

    @property
    def connection(self) -> Connection:
        """The host, changeable."""
        return self._connection

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        """Guard, act, verify. Later calls of the same step are not guarded: the first one was."""
        if self._timeout is not None:
            action = dataclasses.replace(action, timeout=self._timeout)
        outcome = self._connection.act(
            Exchange(
                token=self._token,
                probe=single(self._rendered),
                action=self._staged(action),
                expect=self._expect,
                verify=verify,
                store=self._store,
                claim=self._claim,
            )
        )
        self.before = read_single(self._rendered, outcome.before) if outcome.before else None
        if outcome.acted:
            self._expect = None
            self.acted = outcome
        else:
            self.guard_refused = True
        return outcome

    def observe(self) -> Observation:
        """Ask the host again, through the same shell."""
        return self.look().observation

    def look(self) -> Seen:
        """Ask the host again; with the record."""
        outcome = self._connection.act(
            Exchange(self._token, single(self._rendered), Action(":"), expect=NEVER, verify=False)
        )
        return read_single(self._rendered, outcome.before)

    def peer(self, host: str) -> PeerContext:
        """See `step.contract.StepContext.peer`."""
        return self._peers.open(host, token=self._token, clock=self._clock)

    def alone(self, what: str) -> AbstractContextManager[None]:
        """See `step.contract.StepContext.alone`."""
        return self._peers.alone(what, clock=self._clock)

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Interrupted` when the user asks to stop now."""
        self._clock.sleep(seconds)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._clock.monotonic()

    def progress(self, message: str) -> None:
        """One line for the person who waits."""
        self._progress(message)

    def _staged(self, action: Action) -> Action:
        """Large payloads go ahead of the exchange, as files of the host."""
        payloads: dict[str, Payload] = {}
        for name, payload in action.payloads.items():
            large = payload.path is not None and payload.size > INLINE_LIMIT
            if large or (payload.data is not None and len(payload.data) > INLINE_LIMIT):
                self._connection.upload(payload, name=name)
            payloads[name] = payload
        return dataclasses.replace(action, payloads=payloads)


def expected(seen: Seen | None, rendered: Rendered) -> str | None:
    """The digest that the guard must find, or None if the step was not asked with the same question."""
    if seen is None or seen.record is None:
        return None
    if seen.rendered.spec is not rendered.spec and single(seen.rendered) != single(rendered):
        return None
    return records_digest([seen.record])
