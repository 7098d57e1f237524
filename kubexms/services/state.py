"""Surgery on state: every change takes the lock, and the state is backed up before."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from kubexms import __version__
from kubexms.errors import StateError
from kubexms.spec.address import Address
from kubexms.state.model import LockInfo, StepRecord, StepState
from kubexms.state.protocol import StateStore, StateWriter


class HasState(Protocol):
    """A project, or its state opened without its documents."""

    @property
    def state_file(self) -> Path:
        """Where the state is."""
        ...

    @property
    def store(self) -> StateStore:
        """The state."""
        ...


def actor() -> str:
    """Who runs this: `user@machine`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def lock_info(opened: HasState, operation: str) -> LockInfo:
    """What a waiting run is told about this one."""
    return LockInfo(
        id=str(uuid.uuid4()),
        operation=operation,
        who=actor(),
        created=datetime.now(UTC),
        version=__version__,
        path=str(opened.state_file),
        pid=os.getpid(),
    )


@contextmanager
def writing(opened: HasState, operation: str, lock_timeout: float = 0.0) -> Iterator[StateWriter]:
    """The right to write, for one operation. Raises `StateLocked`."""
    with opened.store.lock(lock_info(opened, operation), timeout=lock_timeout) as writer:
        yield writer


def select(opened: HasState, patterns: Sequence[str]) -> list[StepState]:
    """The entries that the globs select (all without any), sorted by address."""
    entries = opened.store.snapshot().steps
    chosen = [
        entry
        for text, entry in entries.items()
        if not patterns
        or any(text == pattern or Address.parse(text).matches(pattern) for pattern in patterns)
    ]
    return sorted(chosen, key=lambda entry: Address.parse(entry.address))


def remove(opened: HasState, patterns: Sequence[str], *, lock_timeout: float = 0.0) -> list[str]:
    """Forget entries; the hosts keep everything. Returns what was forgotten.

    Raises `StateError` if nothing matches.
    """
    addresses = [entry.address for entry in select(opened, patterns)]
    if not patterns or not addresses:
        raise StateError("nothing in the state matches", detail="`kubexms state list` shows the addresses.")
    with writing(opened, "state rm", lock_timeout) as writer:
        writer.remove_steps(addresses)
    return addresses


def move(opened: HasState, source: str, target: str, *, lock_timeout: float = 0.0) -> list[tuple[str, str]]:
    """Rename an address, or everything below a prefix (`module`, `module/task`). Returns the pairs.

    Raises `StateError`, also for another host that the state knows: what an entry tells is on its own.
    """
    pairs: list[tuple[str, str]] = []
    snapshot = opened.store.snapshot()
    for text in {**snapshot.steps, **snapshot.intents}:
        rest = text[len(source) :]
        if text == source or (text.startswith(source) and rest[:1] in ("/", "@", "[")):
            pairs.append((text, target + rest))
    if not pairs:
        raise StateError(f"{source} is not in the state", detail="`kubexms state list` shows the addresses.")
    for old, new in pairs:
        try:
            host = Address.parse(new).host
        except ValueError as error:
            raise StateError(str(error)) from error
        if host != Address.parse(old).host and host in snapshot.hosts:
            raise StateError(
                f"{old} cannot be moved to {host}, which is another host",
                detail="What it tells is true of its own host only. A host that was renamed in the inventory "
                "takes its entries along before it is applied to under its new name.",
            )
    with writing(opened, "state mv", lock_timeout) as writer:
        writer.move(pairs)
    return pairs


def forget_host(opened: HasState, host: str, *, lock_timeout: float = 0.0) -> int:
    """Forget a host and all of its entries; returns how many. Raises `StateError` for an unknown host."""
    snapshot = opened.store.snapshot()
    count = sum(1 for text in snapshot.steps if text.rpartition("@")[2] == host)
    if not count and host not in snapshot.hosts:
        raise StateError(
            f"the state knows no host {host}", detail="`kubexms state list` shows what it knows."
        )
    with writing(opened, "state forget", lock_timeout) as writer:
        writer.remove_host(host)
    return count


def accept(opened: HasState, pattern: str, *, lock_timeout: float = 0.0) -> list[str]:
    """Take interrupted steps as done: their intents become entries. Raises `StateError` if none matches."""
    snapshot = opened.store.snapshot()
    chosen = {
        text: intent
        for text, intent in snapshot.intents.items()
        if text == pattern or Address.parse(text).matches(pattern)
    }
    if not chosen:
        raise StateError(
            f"no interrupted step matches {pattern}", detail="`kubexms plan` names interrupted steps."
        )
    order = max((entry.order for entry in snapshot.steps.values()), default=0) + 1
    with writing(opened, "state accept", lock_timeout) as writer:
        for number, (text, intent) in enumerate(sorted(chosen.items())):
            entry = StepState(
                address=text,
                kind=intent.kind,
                spec=intent.spec,
                spec_digest=intent.spec_digest,
                prior=intent.prior,
                touched=True,
                object_id=intent.object_id,
                machine_id=intent.machine_id,
                order=order + number,
                run=intent.run,
                updated=datetime.now(UTC),
            )
            record = StepRecord(
                address=text, kind=intent.kind, action=intent.action, status="ok", message="accepted"
            )
            writer.close_intent(record, run=intent.run, entry=entry)
    return sorted(chosen)
