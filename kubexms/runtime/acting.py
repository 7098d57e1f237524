"""Acting: the persistent shell of one host and run, seen from the controller.

The controller sends one line and one body, then nothing but "end what runs" until the answer is
there. It keeps the time of every phase. After a timeout of the protocol itself, or a lost channel, the
session is broken: it must be closed and another one opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from kubexms.errors import HostBusy, Interrupted, ProtocolError, Unreachable
from kubexms.runtime.composing import envelope
from kubexms.runtime.exchanging import OutcomeCollector, exchange_text, shell_text
from kubexms.runtime.framing import Frame, FrameReader
from kubexms.runtime.protocol import Exchange, Failure, Outcome, RunIdentity
from kubexms.runtime.quoting import quote
from kubexms.runtime.transport import ByteChannel

Clock = Callable[[], float]
Pause = Callable[[float], None]

TERM_GRACE = 5.0
"""Seconds between TERM and KILL."""
_OVERHEAD = 120.0
"""Seconds that anything between the phases may take: saving, hashing, syncing."""
_STDERR_KEPT = 1 << 14


class ActSession:
    """The acting shell over a fresh channel whose shell waits for its text. One thread at a time."""

    def __init__(self, channel: ByteChannel, *, host: str, marker: str, clock: Clock) -> None:
        self._channel = channel
        self._host = host
        self._marker = marker
        self._clock = clock
        self._reader = FrameReader(marker)
        self._frames: list[Frame] = []
        self._stderr = bytearray()
        self._count = 0
        self.broken = False
        self.interrupted = False
        self.directory = ""
        """The staging directory on the host."""

    def start(self, *, until: float) -> None:
        """Load the shell. Raises `ProtocolError` if it does not come up."""
        self._channel.send(envelope(shell_text(self._marker)), timeout=max(0.0, until - self._clock()))
        for frame in self._until(until):
            if frame.kind == "H":
                self.directory = frame.body.decode("utf-8", "replace")
                return
            if frame.kind == "!":
                self.broken = True
                raise self._unwritable("kubexms's own directory there could not be made", frame)
        self.broken = True
        raise ProtocolError(
            f"{self._host}: no shell to act with",
            detail=self._said() or "The host closed the channel, or did not answer in time.",
        )

    def lock(
        self, run: RunIdentity, *, until: float, pause: Pause, waiting: Callable[[HostBusy], None]
    ) -> None:
        """Take the host's lock. Raises `HostBusy` with the holder, or `ProtocolError`.

        `waiting` is told once of each holder that is waited for.
        """
        words = " ".join(quote(_line(word)) for word in (run.run, run.actor, run.plan_digest, run.lineage))
        delay = 0.1
        told = ""
        while True:
            holder = None
            for frame in self._request("L", f"kx_lock {words}\n", until=self._clock() + _OVERHEAD):
                if frame.kind == "N":
                    holder = frame.body.decode("utf-8", "replace")
                elif frame.kind == "D":
                    break
                elif frame.kind == "!":
                    raise self._unwritable("the host's lock could not be taken", frame)
            else:
                raise self._lost()
            if holder is None:
                return
            remaining = until - self._clock()
            if remaining <= 0:
                raise _busy(self._host, holder)
            if holder != told:
                waiting(_busy(self._host, holder))
                told = holder
            pause(min(delay, remaining))
            delay = min(delay * 2, 2.0)

    def share(self, *, until: float) -> None:
        """Work beside another shell of the same run, which holds the lock. Raises `ProtocolError`."""
        for frame in self._request("L", 'mkdir -p "$kx_dir"\n', until=until):
            if frame.kind == "D" and frame.arguments[1] == "0":
                return
        raise self._lost()

    def exchange(self, exchange: Exchange, *, staged: dict[str, str]) -> Outcome:
        """One exchange. Raises `ProtocolError`, `Unreachable`, `Interrupted`, `ActionFailed`."""
        began = self._clock()
        self._stderr.clear()
        collector = OutcomeCollector(exchange)
        timing = _Timing(self, exchange, collector)
        status = -1
        for frame in self._request("X", exchange_text(exchange, staged), until=None, timing=timing):
            if frame.kind == "D":
                status = int(frame.arguments[1])
                break
            collector.take(frame)
        else:
            if not exchange.action.expect_disconnect or not collector.acted or timing.expired:
                raise self._lost()
            self.broken = True
            return collector.outcome(self._clock() - began, complete=False, status=0, said="")
        return collector.outcome(self._clock() - began, complete=True, status=status, said=self._said())

    def end(self, signal: str, pid: int) -> None:
        """Have the far side end a process and what descends from it."""
        self._channel.send(f"K {signal} {pid}\n".encode(), timeout=1.0)

    def interrupt(self) -> None:
        """Break the session from another thread; the far side then ends what runs."""
        self.interrupted = self.broken = True
        self._channel.abort()

    def close(self) -> None:
        """Let go of the host, in order if the session is whole."""
        if not self.broken and self._channel.send(b"Q\n", timeout=1.0):
            until = self._clock() + TERM_GRACE
            for _ in self._until(until):
                pass
        self.broken = True
        self._channel.close()

    def _request(
        self, word: str, text: str, *, until: float | None, timing: _Timing | None = None
    ) -> Iterator[Frame]:
        """Send one body; yields the frames of the answer. Ends early if the channel does."""
        self._count += 1
        data = text.encode("utf-8", "surrogateescape")
        header = f"{word} {self._count} {len(data)}\n".encode()
        self.broken = True  # until the answer is there, whatever happens
        if not self._channel.send(header + data, timeout=_OVERHEAD):
            return
        for frame in self._until(until, timing):
            if frame.kind == "D":
                if frame.arguments[0] != str(self._count):
                    continue
                self.broken = self.interrupted
            yield frame

    def _until(self, until: float | None, timing: _Timing | None = None) -> Iterator[Frame]:
        """Frames as they come; ends when the channel does, when `until` has passed or `timing` says so."""
        while True:
            while self._frames:
                yield self._frames.pop(0)
            limit = timing.limit() if timing else until
            remaining = (limit if limit is not None else self._clock()) - self._clock()
            if remaining <= 0:
                if timing is None or not timing.act():
                    return
                continue
            received = self._channel.receive(remaining)
            self._stderr = (self._stderr + received.stderr)[-_STDERR_KEPT:]
            self._frames.extend(self._reader.feed(received.stdout))
            if received.ended and not self._frames:
                return

    def _said(self) -> str:
        return bytes(self._stderr[-2000:]).decode("utf-8", "replace").strip(". \n")

    def _unwritable(self, what: str, frame: Frame) -> ProtocolError:
        """With what the shell told on the channel, and what stands on standard error by now."""
        told = (self._said(), frame.body.decode("utf-8", "replace"))
        return ProtocolError(
            f"{self._host}: {what}; nothing was changed", detail="\n".join(filter(None, told))
        )

    def _lost(self) -> ProtocolError | Unreachable | Interrupted:
        self.broken = True
        if self.interrupted:
            return Interrupted(f"{self._host}: stopped; what ran there was ended")
        return Unreachable(
            f"{self._host}: the connection was lost while the host was being changed",
            detail=(self._said() + "\n" if self._said() else "")
            + "What was done is not known until the host is observed again: run plan or apply again.",
        )


class _Timing:
    """The limits of one exchange: of each fragment, of the action, and of everything between."""

    def __init__(self, session: ActSession, exchange: Exchange, collector: OutcomeCollector) -> None:
        self._session = session
        self._exchange = exchange
        self._collector = collector
        self._subject: object = None
        self._signals: list[str] = []
        self._limit = session._clock() + _OVERHEAD
        self.expired = False

    def limit(self) -> float:
        """When `act` is to be called, on the session's clock."""
        subject: object = self._collector.acting_pid or self._collector.running
        if subject != self._subject:
            self._subject = subject
            self._limit = self._session._clock() + self._seconds()
            self._signals = ["TERM", "KILL"] if self._collector.acting_pid else ["KILL"]
        return self._limit

    def _seconds(self) -> float:
        if self._collector.acting_pid:
            return self._exchange.action.timeout
        if self._collector.running:
            return self._exchange.probe[self._collector.running[1]].timeout
        return _OVERHEAD

    def act(self) -> bool:
        """The limit has passed: end what runs. False if that has been tried, or nothing can be ended."""
        pid = self._collector.acting_pid
        running = self._collector.running
        if not self._signals or (pid is None and (running is None or running[2] is None)):
            self.expired = True
            return False
        signal = self._signals.pop(0)
        if pid is not None:
            self._collector.timed_out = True
            self._session.end(signal, pid)
        elif running is not None and running[2] is not None:
            self._collector.collector(running[0]).fail_running(Failure.TIMEOUT)
            self._session.end(signal, running[2])
        self._limit = self._session._clock() + TERM_GRACE
        return True


def _line(text: str) -> str:
    """One printable line: it stands in a lock file and in a system log."""
    return "".join(character if character.isprintable() else "?" for character in text)[:200]


def _busy(host: str, holder: str) -> HostBusy:
    fields = dict(line.partition("=")[::2] for line in holder.splitlines())
    who = f"run {fields['run']} by {fields.get('actor', 'unknown')}" if "run" in fields else "another run"
    since = _moment(fields.get("since", ""))
    return HostBusy(
        f"{host}: {who} is changing this host{since and f', since {since} by its clock'}",
        detail="Apply again when that has ended, or have this run wait longer (`--lock-timeout 10m`).",
    )


def _moment(seconds: str) -> str:
    if not seconds.isdecimal() or len(seconds) > len("9999999999"):
        return ""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"
