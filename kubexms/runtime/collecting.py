"""Frames of fragments become answers: one collector per round of fragments."""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.runtime.framing import Frame
from kubexms.runtime.protocol import DEFAULT_CAP, Answer, Failure, Fragment, GuardMode, Record

_DETAIL = 2000


class _Pending:
    __slots__ = ("capped", "detail", "ended", "failure", "guard", "kept", "records", "status")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.kept = 0
        self.guard = GuardMode.OFF
        self.detail = b""
        self.status: int | None = None
        self.ended = False
        self.capped = False
        self.failure: Failure | None = None


class AnswerCollector:
    """Collects what fragments say. `running` is the fragment whose time counts. Not thread-safe."""

    def __init__(self, fragments: Sequence[Fragment]) -> None:
        self._fragments = fragments
        self._pending = [_Pending() for _ in fragments]
        self.running: int | None = None
        self.pid: int | None = None
        """The process that ends the running fragment when it is killed."""

    def take(self, index: int, frame: Frame) -> None:
        """One frame about fragment `index`."""
        pending = self._pending[index]
        if pending.ended:
            return
        match frame.kind:
            case "S":
                self.running, self.pid = index, int(frame.arguments[1])
            case "R":
                self._record(pending, index, frame)
            case "G":
                pending.guard = GuardMode(frame.arguments[1])
            case "F":
                pending.detail = frame.body[-_DETAIL:]
            case "E":
                pending.ended = True
                pending.status = int(frame.arguments[1])
                if self.running == index:
                    self.running = self.pid = None

    def take_canonical(self, index: int, body: bytes) -> None:
        """All records of fragment `index` as canonical bytes."""
        pending = self._pending[index]
        pending.ended = True
        if self.running == index:
            self.running = self.pid = None
        while body:
            header, _, body = body.partition(b"\n")
            status, _, length = header.partition(b" ")
            if status == b"X":
                pending.failure = Failure.CAPPED
                return
            if not length.isdigit() or len(body) <= int(length):
                return
            pending.records.append(Record(_number(status), body[: int(length)]))
            body = body[int(length) + 1 :]

    def _record(self, pending: _Pending, index: int, frame: Frame) -> None:
        status = frame.arguments[1]
        pending.kept += len(frame.body)
        if status == "X" or pending.kept > DEFAULT_CAP:
            pending.failure = Failure.CAPPED
        elif len(pending.records) >= self._fragments[index].records:
            pending.failure = pending.failure or Failure.MALFORMED
            pending.detail = pending.detail or b"more records than promised"
        else:
            pending.records.append(Record(_number(status.encode()), frame.body))

    def flooding(self) -> bool:
        """True if the running fragment has already failed and should be ended."""
        return self.running is not None and self._pending[self.running].failure is not None

    def fail_running(self, failure: Failure) -> None:
        """The running fragment is about to be ended for `failure`."""
        if self.running is not None:
            pending = self._pending[self.running]
            pending.failure = pending.failure or failure

    def errors(self, index: int, data: bytes) -> None:
        """What fragment `index` wrote to stderr; its tail is kept."""
        pending = self._pending[index]
        pending.detail = (pending.detail + data)[-_DETAIL:]

    def answers(self, *, complete: bool, reason: Failure = Failure.DEADLINE) -> tuple[Answer, ...]:
        """All answers. `complete`: the far side is through; else the rest failed for `reason`."""
        return tuple(
            self._answer(fragment, pending, complete=complete, reason=reason)
            for fragment, pending in zip(self._fragments, self._pending, strict=True)
        )

    def _answer(self, fragment: Fragment, pending: _Pending, *, complete: bool, reason: Failure) -> Answer:
        detail = pending.detail.decode("utf-8", "replace").strip()
        failure = pending.failure
        records = tuple(pending.records)
        if len(records) > fragment.records:
            records, failure = records[: fragment.records], failure or Failure.MALFORMED
            detail = detail or "more records than promised"
        if failure is None and len(records) < fragment.records:
            if pending.ended:
                failure = Failure.MALFORMED
                detail = detail or _too_few(len(records), fragment.records, pending.status)
            elif complete and fragment.user:
                failure = Failure.DENIED
                detail = detail or f"no shell as user {fragment.user}"
            else:
                failure = Failure.MALFORMED if complete else reason
        if failure is Failure.TIMEOUT:
            detail = f"took longer than {fragment.timeout:g} s"
        return Answer(records, failure, detail, pending.guard)


def _too_few(got: int, promised: int, status: int | None) -> str:
    return f"{got} of {promised} records, exit status {status}"


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        return 255
