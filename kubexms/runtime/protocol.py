"""What is asked of a host and what it is told to do, as data, and the two connection types.

`ReadOnlyConnection` cannot write: the type has no method for it. A plan gets only this one.
`Connection` adds acting. Everything here is plain data, so that a scripted fake, a local shell
and SSH are interchangeable (one contract suite tests them all).

**Records.** A fragment is POSIX sh that calls `emit STATUS TEXT` exactly `records` times; the
preamble defines `emit`. The canonical bytes of a record are ``b"%d %d\\n%s\\n" % (status, len(text), text)``;
a digest over the concatenated records is what a compare-and-set guard compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from kubexms.errors import HostBusy

DEFAULT_CAP = 1 << 20
"""Bytes of one fragment's answer, and of each output stream of an action, that are kept."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One read-only question to a host.

    `script` is POSIX sh for dash, bash and busybox, with coreutils (or busybox applets) only. It
    runs with LC_ALL=C, stdin /dev/null, its own TMPDIR, umask 077, neither -e nor -u set, may
    define variables and functions freely (it has a shell of its own) and calls
    `emit STATUS TEXT` once per record. TEXT holds no NUL. What it prints otherwise is dropped.
    """

    script: str
    records: int = 1
    guarded: bool = False
    """Holds shell written by users: runs in the read-only guard."""
    timeout: float = 60.0
    """Seconds."""
    user: str | None = None
    """Run as this user instead of the connection's (become) user."""


@dataclass(frozen=True, slots=True)
class Record:
    """One answer: an exit status (or any small number) and text."""

    status: int
    text: bytes

    def canonical(self) -> bytes:
        """The bytes that digests are made of, equal on the host and here."""
        return b"%d %d\n%s\n" % (self.status, len(self.text), self.text)


def records_digest(records: Sequence[Record]) -> str:
    """sha256, lower-case hexadecimal, over the records' canonical bytes."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.canonical())
    return digest.hexdigest()


class Failure(StrEnum):
    """Why a fragment has no (whole) answer. None of these is an error of the plan."""

    TIMEOUT = "timeout"
    """The fragment's own time limit passed."""
    DEADLINE = "deadline"
    """The host's deadline passed before its answer arrived."""
    CAPPED = "capped"
    """The answer was longer than its cap."""
    MALFORMED = "malformed"
    """Fewer or more records than promised: a syntax error, or an early exit."""
    DENIED = "denied"
    """The fragment needs another user and sudo refused it."""


class GuardMode(StrEnum):
    """How a guarded fragment was kept from writing."""

    ENFORCED = "enforced"
    """Private mount namespace, read-only, without the capabilities to undo it."""
    MOUNTS = "mounts"
    """Private read-only mount namespace; `setpriv` is missing, so a determined check could undo it."""
    UNAVAILABLE = "unavailable"
    """Not root, or no `unshare`: the check ran unguarded."""
    OFF = "off"
    """The fragment was not guarded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one fragment.

    `records` holds all promised records if `failure` is None, else those that arrived whole.
    """

    records: tuple[Record, ...]
    failure: Failure | None = None
    detail: str = ""
    """The tail of stderr, or what went wrong, for messages."""
    guard: GuardMode = GuardMode.OFF


@dataclass(frozen=True, slots=True)
class Reply:
    """All answers of one round trip, in the order of the fragments."""

    answers: tuple[Answer, ...]
    seconds: float
    """Wall time of the round trip, connection set-up included where it happened."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes that an action needs on the host: inline, or a controller file that is streamed."""

    data: bytes | None = None
    path: Path | None = None
    size: int = 0
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """What applying does, as data.

    `script` is POSIX sh, run under `set -eu` with umask 022 and LC_ALL=C, stdin /dev/null, in
    its own process group. `payload NAME` writes the payload's bytes to stdout; secrets travel as
    payloads, never in the script (no argument of a process ever holds them).
    `"$KX_BACKUP"` is a directory (0700) of this step's own below /var/lib/kubexms that survives until the
    step is destroyed. `outputs` in the reply are what the script writes by `output NAME TEXT`.
    """

    script: str
    payloads: Mapping[str, Payload] = field(default_factory=dict)
    backup: tuple[str, ...] = ()
    """Absolute paths that are saved (`"$KX_BACKUP"/0`, `/1`, …; missing ones are not) and fsynced before
    the script runs, unless this step has saved them before."""
    user: str | None = None
    timeout: float = 600.0
    """Seconds; then the process group is ended (TERM, then KILL)."""
    expect_disconnect: bool = False
    """The script ends the connection (a reboot): losing the channel is no error."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Guard, action and verification of one step: one message there, one back.

    The host runs `probe`, hashes the records, and runs the action only if the digest is
    `expect` (None: always). Afterwards, if `verify`, it runs `probe` again.
    """

    token: str
    """Names the step in the host's lock file and log, e.g. its address."""
    probe: tuple[Fragment, ...]
    action: Action
    expect: str | None = None
    verify: bool = True
    store: str = ""
    """Directory name (hexadecimal digest of the address and lineage) behind `$KX_BACKUP`."""
    claim: Claim | None = None
    companions: tuple[Member, ...] = ()
    """Further steps that the action does at the same time. It runs only if nobody else owns an object of
    any of them; what they save is saved before it."""


@dataclass(frozen=True, slots=True)
class Member:
    """What one of the further steps of an exchange brings along; see `Exchange` and `Action`."""

    store: str = ""
    claim: Claim | None = None
    backup: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """Ownership of one object on the host, recorded below /var/lib/kubexms/objects.

    The action runs only if nobody or `lineage` owns `object_id`; then `lineage` owns it, or with
    `release` nobody does after the action has succeeded, and the step's backup directory is removed.
    """

    object_id: str
    """Hexadecimal digest of kind and identity."""
    lineage: str
    release: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exchange did.

    `before` and `after` are the probe's answers; `acted` is False when the guard's digest
    differed or another lineage owns the object (`owner` is then its name).
    """

    before: tuple[Answer, ...]
    acted: bool
    status: int | None
    """Exit status of the action; None if it did not run, 124 after a timeout."""
    stdout: bytes
    stderr: bytes
    """The last `DEFAULT_CAP` bytes of each stream at most."""
    after: tuple[Answer, ...]
    seconds: float
    timed_out: bool = False
    disconnected: bool = False
    owner: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Who applies what: written to the host's lock file and to its system log."""

    run: str
    actor: str
    plan_digest: str
    lineage: str


@runtime_checkable
class ReadOnlyConnection(Protocol):
    """A host that can be asked. Not thread-safe: one thread at a time.

    Connects lazily at the first `ask`; raises `errors.ConnectionFailed` (its subclasses) from it.
    """

    @property
    def host(self) -> str:
        """The inventory's name of the host."""
        ...

    def prepare(self) -> None:
        """Connect now, so that the first `ask` need not. It raises what goes wrong; this raises nothing."""
        ...

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        """Ask all fragments in one round trip, on one session channel.

        `deadline` seconds bound the whole trip: what has arrived by then stands, the rest has
        `Failure.DEADLINE`.
        """
        ...

    def close(self) -> None:
        """Release everything; safe to call twice."""
        ...


def unheard(busy: HostBusy) -> None:
    """Nobody listens."""


@runtime_checkable
class Connection(ReadOnlyConnection, Protocol):
    """A host that can also be changed."""

    def begin(
        self,
        run: RunIdentity,
        *,
        wait: float,
        shared: bool = False,
        waiting: Callable[[HostBusy], None] = unheard,
    ) -> None:
        """Open the persistent shell, take the host's own lock and log one line on the host.

        Waits up to `wait` seconds for another run's lock; then raises `errors.HostBusy`
        with the holder's name. `waiting` is told once of each holder that it waits for, with the error that
        would be raised otherwise, in the calling thread. The processes of a run that has lost its
        controller are ended first.
        `shared`: another connection of the same run holds the lock; none is taken.
        """
        ...

    def act(self, exchange: Exchange) -> Outcome:
        """One exchange over the persistent shell.

        Raises `errors.ProtocolError` or `errors.Unreachable` when the channel broke; what was
        done is then unknown until the host is observed again. A later call opens a new shell.
        """
        ...

    def upload(self, source: Payload, *, name: str) -> str:
        """Stream a payload to a private staging file on the host; returns its absolute path.

        Bounded memory on both sides; removed by the action that uses it or at `close`.
        """
        ...

    def reconnect(self, *, timeout: float) -> None:
        """Drop everything and connect again, retrying for `timeout` seconds."""
        ...

    def interrupt(self) -> None:
        """End what runs on the host for this connection now; callable from any thread."""
        ...
