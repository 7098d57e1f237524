"""The hosts of one run: connected and locked when first needed, rendered anew as outputs become known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic import JsonValue

from kubexms.errors import ConnectionFailed, HostBusy
from kubexms.executor.attempt import HostRun
from kubexms.executor.context import NEVER
from kubexms.executor.events import Waiting
from kubexms.plan.instances import Instances
from kubexms.plan.rendered import Instance, waited_for
from kubexms.plan.working import Planned, PlannedStep
from kubexms.runtime.facts import FACTS, lasting, parse_facts
from kubexms.runtime.protocol import Action, Connection, Exchange, RunIdentity

HOST_LOCK_WAIT = 30.0
"""Seconds to wait for another run that holds a host, if nobody asked for more."""


class Writable(Protocol):
    """Opens connections that can act, one per host."""

    def writable(self, host: str) -> Connection:
        """The connection of a host."""
        ...


class RunHosts:
    """The hosts of one run. Thread-safe; each host is used by one worker at a time."""

    def __init__(
        self,
        planned: Planned,
        instances: Instances,
        connector: Writable,
        identity: RunIdentity,
        *,
        lock_wait: float = HOST_LOCK_WAIT,
        waiting: Callable[[Waiting], None] = lambda event: None,
    ) -> None:
        """`waiting` is told of a host whose lock another run holds, in the thread that waits."""
        self._planned = planned
        self._instances = instances
        self._connector = connector
        self._identity = identity
        self._lock_wait = max(lock_wait, HOST_LOCK_WAIT)
        self._waiting = waiting
        self._hosts: dict[str, HostRun] = {}
        self._failed: dict[str, ConnectionFailed] = {}
        self._gates: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._render = threading.Lock()

    def get(self, name: str) -> HostRun:
        """The host, connected, its own lock held. Raises `ConnectionFailed`, each time the same."""
        with self._lock:
            gate = self._gates.setdefault(name, threading.Lock())
        with gate:  # its own worker, and those of whose peers it is
            return self._get(name)

    def _get(self, name: str) -> HostRun:
        with self._lock:
            known, failed = self._hosts.get(name), self._failed.get(name)
        if failed is not None:
            raise failed
        if known is not None:
            return known
        connection = self._connector.writable(name)
        try:
            connection.begin(self._identity, wait=self._lock_wait, waiting=self._busy)
        except ConnectionFailed as error:
            with self._lock:
                self._failed[name] = error
            raise
        answer = self._planned.hosts[name].answer if name in self._planned.hosts else None
        facts: Mapping[str, JsonValue] = answer.facts if answer is not None else {}
        host = HostRun(name, connection, str(facts.get("machine_id", "")), facts)
        with self._lock:
            self._hosts[name] = host
        return host

    def _busy(self, error: HostBusy) -> None:
        self._waiting(Waiting(f"{error.summary}; up to {self._lock_wait:.0f} s"))

    def rerender(self, planned: PlannedStep, host: HostRun) -> Instance:
        """The step with everything that is known by now."""
        waits = waited_for(planned.instance)
        if not waits:
            return planned.instance
        if any(name.startswith("facts") for name in waits):
            self._ask_facts(host)
        with self._render:
            return self._instances.again(planned, self._outputs())

    def _ask_facts(self, host: HostRun) -> None:
        look = Exchange("facts", (FACTS,), Action(":"), expect=NEVER, verify=False)
        asked = time.time()
        outcome = host.connection.act(look)
        if outcome.before and outcome.before[0].records:
            host.facts = lasting(parse_facts(outcome.before[0].records[0]), asked, time.time())
            with self._render:
                self._instances.scopes.learn(host.name, host.facts)

    def _outputs(self) -> dict[str, dict[str, object]]:
        """Outputs of this run by address."""
        with self._lock:
            hosts = list(self._hosts.values())
        return {
            f"{path}@{host.name}": outputs for host in hosts for path, outputs in list(host.outputs.items())
        }


__all__ = ["HOST_LOCK_WAIT", "RunHosts", "Writable"]
