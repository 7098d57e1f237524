"""Which hosts a plan is about, and what state knows of each of them before anything is asked."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from kubexms.plan.model import PlanOptions
from kubexms.plan.recorded import by_host, orphan
from kubexms.plan.selection import limited
from kubexms.plan.working import HostWork
from kubexms.spec.inventory import Host
from kubexms.state.model import StateSnapshot


def roster(hosts: Sequence[Host], snapshot: StateSnapshot, options: PlanOptions) -> dict[str, HostWork]:
    """The work of each host by name: of those that `--limit` leaves, then of those that left the inventory.

    Raises `PlanError` for a `--limit` that matches no host.
    """
    entries = by_host(snapshot.steps.values())
    works: dict[str, HostWork] = {}
    departed = _departed(snapshot, {host.name for host in hosts}, options)
    for host, removed in [
        *((host, False) for host in limited(hosts, options.limit)),
        *((host, True) for host in departed),
    ]:
        own = {entry.address: entry for entry in entries.get(host.name, [])}
        intents = {a: i for a, i in snapshot.intents.items() if a.rpartition("@")[2] == host.name}
        work = works[host.name] = HostWork(host, own, intents, removed=removed, stated=own)
        work.orphans = {a: orphan(i) for a, i in intents.items() if a not in own}
        work.outputs = {
            address.rpartition("@")[0]: dict(entry.outputs) for address, entry in own.items() if entry.outputs
        }
    return works


def _departed(snapshot: StateSnapshot, known: set[str], options: PlanOptions) -> list[Host]:
    """Hosts of the state that left the inventory and whose removal was allowed."""
    gone = sorted({text.rpartition("@")[2] for text in snapshot.steps} - known)
    allowed = [
        name
        for name in gone
        if options.operation == "destroy"
        or any(fnmatch.fnmatchcase(name, pattern) for pattern in options.allow_destroy)
    ]
    hosts: list[Host] = []
    for name in allowed:
        state = snapshot.hosts.get(name)
        connection = state.connection if state else {}
        hosts.append(Host.model_validate({"name": name, "connection": connection}))
    return hosts
