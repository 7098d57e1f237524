"""Asking: all fragments of a host in one round trip, over one channel.

What travels is one text for one `sh`; every fragment in it is quoted data, so that a malformed one
fails alone. The controller keeps the time: it names the process of a fragment whose limit has passed,
and the far side ends it and goes on. When the channel ends, the far side ends everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kubexms.errors import ProtocolError
from kubexms.runtime.collecting import AnswerCollector
from kubexms.runtime.composing import ask_text, envelope
from kubexms.runtime.framing import Frame, FrameReader
from kubexms.runtime.protocol import Answer, Failure, Fragment
from kubexms.runtime.transport import ByteChannel

Clock = Callable[[], float]

_LAST_WORDS = 1.0
"""Seconds to wait for the rest of stderr."""
_KILL_GRACE = 5.0
"""Seconds that the far side has to end a fragment; after that the rest is given up."""


class Asking:
    """One round trip over a fresh channel whose shell waits for its text. Used once, by one thread."""

    def __init__(
        self, channel: ByteChannel, fragments: Sequence[Fragment], *, marker: str, until: float, clock: Clock
    ) -> None:
        self._channel = channel
        self._collector = AnswerCollector(fragments)
        self._fragments = fragments
        self._marker = marker
        self._until = until
        self._clock = clock
        self._reader = FrameReader(marker)
        self._complaints = _Complaints(marker, self._collector)
        self._running: int | None = None
        self._limit = 0.0
        self._killed = False
        self._complete = False
        self._spoke = False
        self.cut_short = False
        """The channel ended before all was said."""

    def run(self) -> tuple[Answer, ...]:
        """Send the text, collect until all is said, the channel ends, or the time is over.

        Raises `ProtocolError` if the far side never spoke the protocol at all.
        """
        text = envelope(ask_text(self._fragments, self._marker))
        sent = self._channel.send(text, timeout=max(0.0, self._until - self._clock()))
        ended = False
        while sent and not self._complete and not ended:
            now = self._clock()
            if now >= self._until or not self._keep_time(now):
                break
            received = self._channel.receive(max(0.0, min(self._until, self._next_limit()) - now))
            self._complaints.feed(received.stderr)
            for frame in self._reader.feed(received.stdout):
                self._take(frame)
            ended = received.ended
        self.cut_short = ended and not self._complete
        if not self._spoke and (ended or (not sent and self._clock() < self._until)):
            raise self._silence()
        self._hear_out()
        reason = Failure.MALFORMED if ended else Failure.DEADLINE
        return self._collector.answers(complete=self._complete, reason=reason)

    def _hear_out(self) -> None:
        """Over a network, what was said on stderr may come after the answers that were given later."""
        limit = min(self._until, self._clock() + _LAST_WORDS)
        while self._complete and not self._complaints.ended and (left := limit - self._clock()) > 0:
            received = self._channel.receive(left)
            self._complaints.feed(received.stderr)
            if received.ended:
                break
        self._complaints.end()

    def _take(self, frame: Frame) -> None:
        self._spoke = True
        if frame.kind == "Z":
            self._complete = True
            return
        index = int(frame.arguments[0])
        self._collector.take(index, frame)
        if self._collector.flooding():
            self._end_running()
        if self._collector.running != self._running:
            self._running = self._collector.running
            self._killed = False
            if self._running is not None:
                self._limit = self._clock() + self._fragments[self._running].timeout

    def _next_limit(self) -> float:
        return self._limit if self._running is not None else self._until

    def _keep_time(self, now: float) -> bool:
        """End the running fragment if its time is over; False if it cannot be ended."""
        if self._running is None or now < self._limit:
            return True
        if self._killed:
            return False
        self._collector.fail_running(Failure.TIMEOUT)
        self._end_running()
        return True

    def _end_running(self) -> None:
        if self._killed or self._collector.pid is None:
            return
        self._killed = True
        self._limit = self._clock() + _KILL_GRACE
        self._channel.send(b"%d\n" % self._collector.pid, timeout=1.0)

    def _silence(self) -> ProtocolError:
        said = self._complaints.unclaimed()
        status = self._channel.exit_status(1.0)
        return ProtocolError(
            "the host did not start a POSIX shell for kubexms",
            detail=f"exit status {status}; it said: {said or 'nothing'}. Check the user's login shell and "
            "start-up files, and that the host has sh and coreutils.",
        )


class _Complaints:
    """stderr is one stream: a line with the marker says whose it is from there on."""

    def __init__(self, marker: str, collector: AnswerCollector) -> None:
        self._line = re.compile(rb"(?:\A|(?<=\n))" + marker.encode() + rb" (\d+|z)\n")
        self._longest = len(marker) + 16
        self._collector = collector
        self._index: int | None = None
        self._rest = b""
        self._before = b""
        self.ended = False

    def feed(self, data: bytes) -> None:
        """More of the stream. A piece that may be the beginning of a line with the marker is held back."""
        *whole, (self._index, rest) = self._split(self._rest + data)
        for index, text in whole:
            self._give(index, text)
        keep = max(0, len(rest) - self._longest)
        self._give(self._index, rest[:keep])
        self._rest = rest[keep:]

    def _split(self, data: bytes) -> list[tuple[int | None, bytes]]:
        parts = self._line.split(data)
        self.ended = self.ended or b"z" in parts[1::2]
        owners = [self._index, *(None if word == b"z" else int(word) for word in parts[1::2])]
        return list(zip(owners, parts[::2], strict=True))

    def _give(self, index: int | None, text: bytes) -> None:
        if index is None:
            self._before = (self._before + text)[-2000:]
        elif text:
            self._collector.errors(index, text)

    def end(self) -> None:
        """Nothing follows."""
        self._give(self._index, self._rest)
        self._rest = b""

    def unclaimed(self) -> str:
        """What was said before any fragment: by the login shell, or instead of it."""
        return (self._before + self._rest).decode("utf-8", "replace").strip()[-2000:]
