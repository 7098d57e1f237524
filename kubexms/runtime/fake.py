"""A scripted connection: the seam for tests without hosts and for benchmarks. Ships with the package."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kubexms.errors import ConnectionFailed, HostBusy
from kubexms.runtime.protocol import (
    Answer,
    Claim,
    Exchange,
    Failure,
    Fragment,
    Outcome,
    Payload,
    Record,
    Reply,
    RunIdentity,
    records_digest,
    unheard,
)

Answerer = Callable[[Fragment], Answer | Sequence[Record]]
Scripted = Mapping[str, Answer | Sequence[Record]]
Actor = Callable[[Exchange], "Acted"]


@dataclass(frozen=True, slots=True)
class Acted:
    """What an action is to have done."""

    status: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    outputs: Mapping[str, str] = field(default_factory=dict)
    timed_out: bool = False
    disconnected: bool = False


def _succeed(_exchange: Exchange) -> Acted:
    return Acted()


class ScriptedConnection:
    """A `Connection` that answers from a script.

    `answers` is either a function of the fragment, or a mapping from a fragment's script (the whole
    text, else the longest key that the text contains) to its answer; a fragment without an entry is
    `MALFORMED`. `act` is called when an exchange acts: it may change the model that `answers` reads.
    `owners` maps object ids to lineages and follows the claims. `failure` is raised by every call.

    Everything asked is kept in `asked` (one entry a round trip), `exchanges`, `runs` and `uploads`,
    unless `record` is False. Not thread-safe, as every connection.
    """

    def __init__(
        self,
        host: str,
        answers: Answerer | Scripted,
        *,
        act: Actor = _succeed,
        owners: dict[str, str] | None = None,
        failure: ConnectionFailed | None = None,
        record: bool = True,
    ) -> None:
        self._host = host
        self._answers = answers
        self._act = act
        self.owners = {} if owners is None else owners
        self.failure = failure
        self._record = record
        self.asked: list[tuple[Fragment, ...]] = []
        self.exchanges: list[Exchange] = []
        self.runs: list[RunIdentity] = []
        self.uploads: list[tuple[str, Payload]] = []
        self.prepared = 0
        self.closed = 0
        self.interrupted = 0
        self.reconnected = 0

    @property
    def host(self) -> str:
        return self._host

    def prepare(self) -> None:
        self.prepared += 1

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        self._check()
        if self._record:
            self.asked.append(tuple(fragments))
        began = time.monotonic()
        answers = tuple(self._answer(fragment) for fragment in fragments)
        return Reply(answers, time.monotonic() - began)

    def _answer(self, fragment: Fragment) -> Answer:
        found: Answer | Sequence[Record]
        if callable(self._answers):
            found = self._answers(fragment)
        else:
            script = fragment.script
            if script in self._answers:
                found = self._answers[script]
            else:
                keys = [key for key in self._answers if key in script]
                if not keys:
                    return Answer((), Failure.MALFORMED, "no scripted answer")
                found = self._answers[max(keys, key=len)]
        return found if isinstance(found, Answer) else Answer(tuple(found))

    def begin(
        self,
        run: RunIdentity,
        *,
        wait: float,
        shared: bool = False,
        waiting: Callable[[HostBusy], None] = unheard,
    ) -> None:
        self._check()
        self.runs.append(run)

    def act(self, exchange: Exchange) -> Outcome:
        self._check()
        if self._record:
            self.exchanges.append(exchange)
        began = time.monotonic()
        before = tuple(self._answer(fragment) for fragment in exchange.probe)
        owner = self._foreign_owner(exchange)
        if owner is not None or (exchange.expect is not None and digest(before) != exchange.expect):
            seconds = time.monotonic() - began
            return Outcome(before, False, None, b"", b"", (), seconds, owner=owner)
        claim = exchange.claim
        for taken in _claims(exchange):
            self.owners[taken.object_id] = taken.lineage
        done = self._act(exchange)
        if claim is not None and claim.release and done.status == 0:
            self.owners.pop(claim.object_id, None)
        verify = exchange.verify and not done.disconnected
        after = tuple(self._answer(fragment) for fragment in exchange.probe) if verify else ()
        return Outcome(
            before,
            True,
            None if done.disconnected else done.status,
            done.stdout,
            done.stderr,
            after,
            time.monotonic() - began,
            timed_out=done.timed_out,
            disconnected=done.disconnected,
            outputs=done.outputs,
        )

    def _foreign_owner(self, exchange: Exchange) -> str | None:
        for claim in _claims(exchange):
            owner = self.owners.get(claim.object_id)
            if owner not in (None, claim.lineage):
                return owner
        return None

    def upload(self, source: Payload, *, name: str) -> str:
        self._check()
        self.uploads.append((name, source))
        return f"/var/lib/kubexms/staging/scripted/{name}"

    def reconnect(self, *, timeout: float) -> None:
        self.reconnected += 1
        self._check()

    def interrupt(self) -> None:
        self.interrupted += 1

    def close(self) -> None:
        self.closed += 1

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


def _claims(exchange: Exchange) -> list[Claim]:
    """Of every step that the exchange is for."""
    claims = [exchange.claim, *(member.claim for member in exchange.companions)]
    return [claim for claim in claims if claim is not None]


def digest(answers: Sequence[Answer]) -> str:
    """What a guard compares: the digest over all records of all answers, in order."""
    return records_digest([record for answer in answers for record in answer.records])
