"""Commands on this machine: `connection: local`, and one-off commands of the controller."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import IO

from kubexms.errors import Unreachable
from kubexms.runtime.transport import Received

_CHUNK = 1 << 18
_AFTER_EXIT = 0.5
"""Seconds that output may take after the shell has ended, if its children hold the streams open."""


class LocalChannel:
    """A `ByteChannel` over a child process in a session of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process needs pipes for its three streams")
        self._process = process
        self._stdin = process.stdin
        self._pending = {"stdout": bytearray(), "stderr": bytearray()}
        self._selector = selectors.DefaultSelector()
        for stream, name in ((process.stdout, "stdout"), (process.stderr, "stderr")):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, name)
        os.set_blocking(self._stdin.fileno(), False)
        # abort() wakes a receive() in another thread
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, "wake")
        self._open_streams = 2
        # output may go on while children hold the streams open; the end of the shell itself is what counts
        self._exit = _watch_exit(process.pid)
        if self._exit is not None:
            self._selector.register(self._exit, selectors.EVENT_READ, "exit")
        self._exited: float | None = None
        self._aborted = False
        self._closed = False

    def send(self, data: bytes, *, timeout: float) -> bool:
        view = memoryview(data)
        limit = time.monotonic() + timeout
        try:
            self._selector.register(self._stdin, selectors.EVENT_WRITE, "stdin")
        except (KeyError, ValueError):
            return False
        try:
            while view:
                remaining = limit - time.monotonic()
                if remaining <= 0 or self._aborted:
                    return False
                for key, _ in self._selector.select(remaining):
                    if key.data == "stdin":
                        try:
                            view = view[os.write(self._stdin.fileno(), view[:_CHUNK]) :]
                        except BlockingIOError:
                            continue
                        except OSError:
                            return False
                    else:
                        self._read(key)
            return True
        finally:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._stdin)

    def receive(self, timeout: float) -> Received:
        if not any(self._pending.values()) and self._open_streams and not self._aborted:
            limit = time.monotonic() + max(0.0, timeout)
            if self._exited is not None:
                limit = min(limit, self._exited + _AFTER_EXIT)
            for key, _ in self._selector.select(max(0.0, limit - time.monotonic())):
                self._read(key)
        stdout, stderr = bytes(self._pending["stdout"]), bytes(self._pending["stderr"])
        self._pending["stdout"].clear()
        self._pending["stderr"].clear()
        return Received(stdout, stderr, ended=self._at_end(bool(stdout or stderr)))

    def _at_end(self, something_came: bool) -> bool:
        if self._aborted or not self._open_streams:
            return True
        over = self._exited is not None and time.monotonic() >= self._exited + _AFTER_EXIT
        return over and not something_came

    def _read(self, key: selectors.SelectorKey) -> None:
        if key.data == "wake":
            return
        if key.data == "exit":
            self._selector.unregister(key.fileobj)
            self._exited = time.monotonic()
            return
        try:
            data = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._pending[key.data] += data
            return
        self._selector.unregister(key.fileobj)
        self._open_streams -= 1

    def end_input(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()

    def exit_status(self, timeout: float) -> int | None:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def abort(self) -> None:
        self._aborted = True
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")

    def close(self) -> None:
        if self._closed:
            return
        self._closed = self._aborted = True
        self.end_input()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            _kill_group(self._process)
        self._release()

    def _release(self) -> None:
        self._selector.close()
        streams: tuple[IO[bytes] | None, ...] = (self._process.stdout, self._process.stderr)
        for stream in streams:
            if stream is not None:
                stream.close()
        for descriptor in (self._wake_read, self._wake_write, self._exit):
            if descriptor is not None:
                os.close(descriptor)


def _watch_exit(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5.0)


class LocalTransport:
    """A `Transport` to this machine. `environment` is added to the controller's own."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = {**os.environ, **(environment or {})}

    def open(self, command: str, *, timeout: float) -> LocalChannel:
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise Unreachable(f"this machine cannot start a shell: {error}") from error
        return LocalChannel(process)

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held between channels."""
