"""`state rm --release`: forget entries, and have their hosts forget whose their objects are."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kubexms.config.secrets import SecretResolver
from kubexms.errors import ConnectionFailed, SecretError, StateError
from kubexms.executor.releasing import releasing
from kubexms.runtime.connect import run_local_command
from kubexms.runtime.protocol import RunIdentity
from kubexms.services.connecting import HostConnector
from kubexms.services.project import OpenState
from kubexms.services.state import actor, select, writing
from kubexms.spec.inventory import Host
from kubexms.state.model import StateSnapshot, StepState
from kubexms.state.protocol import StateWriter

_WAIT = 30.0
"""Seconds to wait for another run that holds a host."""


@dataclass
class Released:
    """Addresses that were forgotten, and hosts whose entries stay, with the reason."""

    gone: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def release(opened: OpenState, patterns: Sequence[str], *, lock_timeout: float = 0.0) -> Released:
    """Forget entries, and remove from their hosts who manages them and what was there before.

    Nothing else of the objects is touched. A host that cannot be reached keeps its entries in the state.
    An object that another entry on the same host manages too stays claimed. Raises `StateError` if nothing
    matches.
    """
    chosen = select(opened, patterns)
    if not patterns or not chosen:
        raise StateError("nothing in the state matches", detail="`kubexms state list` shows the addresses.")
    hosts: dict[str, list[StepState]] = defaultdict(list)
    for entry in chosen:
        hosts[entry.address.rpartition("@")[2]].append(entry)
    found = Released()
    with writing(opened, "state rm", lock_timeout) as writer:
        snapshot = opened.store.snapshot()
        connector = _connector(opened, snapshot)
        try:
            for name, entries in sorted(hosts.items()):
                _one(name, entries, snapshot, connector, writer, found)
        finally:
            connector.close()
    return found


def _one(
    name: str,
    entries: Sequence[StepState],
    snapshot: StateSnapshot,
    connector: HostConnector,
    writer: StateWriter,
    found: Released,
) -> None:
    if name not in snapshot.hosts:
        found.failed[name] = "the state does not know how to reach it"
        return
    leaving = {entry.address for entry in entries}
    kept = {
        entry.object_id
        for address, entry in snapshot.steps.items()
        if address.rpartition("@")[2] == name and address not in leaving
    }
    lineage = snapshot.meta.lineage
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    try:
        connection = connector.writable(name)
        connection.begin(RunIdentity(run, actor(), "", lineage), wait=_WAIT)
        for entry in entries:
            if entry.object_id and entry.object_id not in kept:
                connection.act(releasing(entry.address, entry.object_id, lineage))
    except ConnectionFailed as error:
        found.failed[name] = error.about(name)
        return
    except SecretError as error:
        found.failed[name] = error.summary
        return
    writer.remove_steps(sorted(leaving))
    found.gone += sorted(leaving)


def _connector(opened: OpenState, snapshot: StateSnapshot) -> HostConnector:
    """By how the hosts were reached last: the documents may not have them any more."""
    settings = opened.settings
    resolver = SecretResolver(
        settings.root, settings.environ, run_local_command, untrusted=settings.untrusted
    )
    hosts = {
        name: Host.model_validate({"name": name, "connection": state.connection})
        for name, state in snapshot.hosts.items()
    }
    return HostConnector(hosts, resolver, settings.root)


__all__ = ["Released", "release"]
