"""One session channel of an SSH connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from kubexms.runtime.transport import Received

_PIECE = 1 << 15
"""Bytes a packet holds at most."""
_AFTER_EXIT = 0.5
"""Seconds that output may take after the command has ended, if its children hold the streams open."""
_SLICE = 0.5


class SshChannel:
    """A `ByteChannel` over a paramiko channel."""

    def __init__(self, transport: paramiko.Transport, channel: paramiko.Channel, command: str) -> None:
        self._transport = transport
        self._channel = channel
        self._arrived = threading.Event()
        channel.in_buffer.set_event(self._arrived)
        channel.in_stderr_buffer.set_event(self._arrived)
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._exited: float | None = None
        self._aborted = False
        self._execute(command)

    def _execute(self, command: str) -> None:
        """Ask for the command without waiting for the answer: a refusal closes the channel.

        `Channel.exec_command` waits, without a limit: a round trip more, and a thread that hangs if the
        network goes away just then.
        """
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(command)
        self._channel._event_pending()  # type: ignore[attr-defined]
        self._transport._send_user_message(message)  # type: ignore[attr-defined]

    def send(self, data: bytes, *, timeout: float) -> bool:
        limit = time.monotonic() + timeout
        self._channel.settimeout(0.05)
        start = 0
        while start < len(data):
            if self._aborted or time.monotonic() > limit:
                return False
            try:
                sent = self._channel.send(data[start : start + _PIECE])
            except TimeoutError:
                # the window is full: the far side may be waiting for us to read
                self._drain()
                continue
            except (OSError, EOFError, paramiko.SSHException):
                return False
            if sent == 0:
                return False
            start += sent
        return True

    def receive(self, timeout: float) -> Received:
        limit = time.monotonic() + max(0.0, timeout)
        while True:
            ended = self._ended()
            self._drain()
            if self._stdout or self._stderr or ended:
                break
            remaining = limit - time.monotonic()
            if remaining <= 0:
                break
            self._arrived.wait(min(remaining, _SLICE))
        result = Received(bytes(self._stdout), bytes(self._stderr), ended)
        self._stdout.clear()
        self._stderr.clear()
        return result

    def _ended(self) -> bool:
        """Looked at before the buffers are drained, so that nothing that came before the end is lost."""
        channel = self._channel
        if self._aborted or channel.closed or channel.eof_received or not self._transport.is_active():
            return True
        if channel.exit_status_ready():
            now = time.monotonic()
            self._exited = self._exited or now
            return now - self._exited > _AFTER_EXIT
        return False

    def _drain(self) -> None:
        """Reading clears the event; it is read first and waited for afterwards, by this thread only."""
        channel = self._channel
        with contextlib.suppress(socket.timeout, OSError):
            while channel.recv_ready():
                self._stdout += channel.recv(1 << 20)
            while channel.recv_stderr_ready():
                self._stderr += channel.recv_stderr(1 << 20)

    def end_input(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.shutdown_write()

    def exit_status(self, timeout: float) -> int | None:
        self._channel.status_event.wait(timeout)
        status = self._channel.exit_status
        return None if status == -1 else status

    def abort(self) -> None:
        self._aborted = True
        self._arrived.set()

    def close(self) -> None:
        self._aborted = True
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()
