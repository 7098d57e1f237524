"""One command of the controller: inventories, secrets, variables and hooks that run there."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

KEPT = 16 * 1024 * 1024
"""Bytes of each output stream that are kept."""
_PIECE = 65536


@dataclass(frozen=True, slots=True)
class CompletedResult:
    """How a command of the controller ended.

    `status` is negative for a signal, 127 if it was not found, 124 if it took too long and 125 if it
    printed too much.
    """

    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


class Ending:
    """Lets another thread end commands: those that run, and at once those that begin later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def now(self) -> None:
        """Kill the process groups of them all."""
        with self._lock:
            self._over = True
            for process in self._running:
                _kill(process)

    @property
    def asked(self) -> bool:
        """Whether `now` was called."""
        return self._over

    @contextlib.contextmanager
    def over(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """While inside, the process is among those that `now` kills."""
        with self._lock:
            self._running.add(process)
            if self._over:
                _kill(process)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def run_local_command(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    tail: bool = False,
    ending: Ending | None = None,
) -> CompletedResult:
    """Run one command on the controller, without a shell; never raises for how it ends.

    `timeout` is in seconds; then the command's process group is killed. So it is when it prints more than
    `KEPT` bytes, unless `tail` says that the end of its output is all that is wanted. `environment` is added
    to the controller's own. `ending` may end it before its time; then it has died of a signal. Thread-safe.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        return CompletedResult(127, b"", str(error).encode())
    with (ending or Ending()).over(process), _Running(process, stdin, tail) as running:
        return running.until(time.monotonic() + timeout)


class _Running:
    """A process whose streams are all pumped by one thread, so that none of them ever waits for another."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, tail: bool) -> None:
        self._process = process
        self._stdin = memoryview(stdin)
        self._tail = tail
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._input = process.stdin
        self._kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        self._stdout, self._stderr = self._kept.values()
        self._selector = selectors.DefaultSelector()
        for descriptor in self._kept:
            self._selector.register(descriptor, selectors.EVENT_READ)
        if stdin:
            os.set_blocking(self._input.fileno(), False)
            self._selector.register(self._input.fileno(), selectors.EVENT_WRITE)
        else:
            self._input.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def until(self, limit: float) -> CompletedResult:
        """Pump until the streams have ended, the time is over, or too much has come."""
        while self._selector.get_map():
            remaining = limit - time.monotonic()
            if remaining <= 0:
                return self._ended(124)
            for key, _ in self._selector.select(remaining):
                if key.fd not in self._kept:
                    self._write()
                elif not self._read(key.fd):
                    told = f"printed more than {KEPT // 1024 // 1024} MiB, and was ended\n"
                    self._stderr[:] = told.encode()
                    return self._ended(125)
        try:
            self._process.wait(max(0.0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            return self._ended(124)
        return CompletedResult(self._process.returncode, bytes(self._stdout), bytes(self._stderr))

    def _ended(self, status: int) -> CompletedResult:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        out, said = bytes(self._stdout), bytes(self._stderr)
        return CompletedResult(status, out, said, timed_out=status == 124)

    def _write(self) -> None:
        try:
            self._stdin = self._stdin[os.write(self._input.fileno(), self._stdin[:_PIECE]) :]
        except BlockingIOError:
            return
        except OSError:  # nobody reads it
            self._stdin = self._stdin[:0]
        if not self._stdin:
            self._selector.unregister(self._input.fileno())
            self._input.close()

    def _read(self, descriptor: int) -> bool:
        """Whether it may go on."""
        data, kept = os.read(descriptor, _PIECE), self._kept[descriptor]
        if not data:
            self._selector.unregister(descriptor)
        kept += data
        if self._tail and len(kept) > 2 * KEPT:  # not at each piece: that moves all that is kept
            del kept[:-KEPT]
        return self._tail or len(kept) <= KEPT
