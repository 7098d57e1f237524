"""Asking hosts: all of them at once, each in one round trip, a second one only where facts decide."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import JsonValue

from kubexms.errors import ConnectionFailed
from kubexms.plan.questions import Questions, Seen, read
from kubexms.runtime.facts import FACTS, lasting, parse_facts
from kubexms.runtime.owners import OWNERS, parse_owners
from kubexms.runtime.protocol import GuardMode, ReadOnlyConnection


class Connector(Protocol):
    """Opens read-only connections by the inventory's host names. Thread-safe."""

    def readonly(self, host: str) -> ReadOnlyConnection:
        """A connection that cannot write; connects at its first question."""
        ...


@dataclass(slots=True)
class HostAnswer:
    """What one host said, over all its rounds."""

    host: str
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    """Object id -> lineage, of what is managed on the host."""
    seen: dict[str, Seen] = field(default_factory=dict)
    applied: dict[str, Seen] = field(default_factory=dict)
    """Address -> what was answered about its last applied spec, whatever the documents say now."""
    rounds: int = 0
    seconds: float = 0.0
    error: ConnectionFailed | None = None
    complete: bool = True

    @property
    def guard(self) -> str:
        """The weakest guard that a check of a user ran under."""
        modes = {seen.guard for seen in self.seen.values()} - {GuardMode.OFF}
        for mode in (GuardMode.UNAVAILABLE, GuardMode.MOUNTS, GuardMode.ENFORCED):
            if mode in modes:
                return mode.value
        return GuardMode.OFF.value


Prepare = Callable[[str], Questions]
Again = Callable[[HostAnswer], "Questions | None"]


def observe_all(
    hosts: Sequence[str],
    connector: Connector,
    prepare: Prepare,
    again: Again,
    *,
    parallelism: int,
    deadline: float,
    started: Callable[[str], None],
    finished: Callable[[HostAnswer], None],
) -> dict[str, HostAnswer]:
    """Ask every host. `prepare` and `again` are called in this thread only, workers only ask.

    `again` sees a host's first answers and may return further questions (facts decided what to ask);
    two rounds are the limit. A host that fails, fails alone. `started` and `finished` are called in
    this thread.
    """
    answers: dict[str, HostAnswer] = {}
    with concurrent.futures.ThreadPoolExecutor(parallelism, thread_name_prefix="observe") as pool:
        waiting = list(reversed(hosts))
        running: dict[concurrent.futures.Future[_Trip], str] = {}
        while waiting or running:
            while waiting and len(running) < parallelism:
                host = waiting.pop()
                started(host)
                running[pool.submit(_first, connector, host, prepare(host), deadline)] = host
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                host = running.pop(future)
                trip = future.result()
                answer = trip.answer
                more = again(answer) if answer.error is None and answer.rounds == 1 else None
                if more is not None and more.fragments:
                    left = max(1.0, deadline - answer.seconds)
                    running[pool.submit(_second, trip, more, left)] = host
                    continue
                trip.connection.close()
                answers[host] = answer
                finished(answer)
    return answers


@dataclass(slots=True)
class _Trip:
    connection: ReadOnlyConnection
    answer: HostAnswer


def _first(connector: Connector, host: str, questions: Questions, deadline: float) -> _Trip:
    answer = HostAnswer(host)
    connection = connector.readonly(host)
    began = time.monotonic()
    asked = time.time()
    try:
        reply = connection.ask((FACTS, OWNERS, *questions.fragments), deadline=deadline)
    except ConnectionFailed as error:
        answer.error = error
    else:
        answer.rounds = 1
        answer.complete = all(item.failure is None for item in reply.answers)
        facts, owners, *rest = reply.answers
        if facts.records:
            answer.facts = lasting(parse_facts(facts.records[0]), asked, time.time())
        if owners.records:
            answer.owners = parse_owners(owners.records[0])
        answer.seen = read(questions, rest)
    answer.seconds = time.monotonic() - began
    return _Trip(connection, answer)


def _second(trip: _Trip, questions: Questions, deadline: float) -> _Trip:
    answer = trip.answer
    began = time.monotonic()
    try:
        reply = trip.connection.ask(questions.fragments, deadline=deadline)
    except ConnectionFailed as error:
        answer.error = error
    else:
        answer.rounds = 2
        answer.complete = answer.complete and all(item.failure is None for item in reply.answers)
        answer.seen.update(read(questions, reply.answers))
    answer.seconds += time.monotonic() - began
    return trip
