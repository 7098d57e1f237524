"""The `Transport` over SSH: one connection per host, opened at the first use."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import paramiko

from kubexms.errors import Unreachable
from kubexms.runtime.ssh.channel import SshChannel
from kubexms.runtime.ssh.endpoint import connect, disconnect
from kubexms.runtime.ssh.jump import BastionPool
from kubexms.runtime.ssh.settings import resolve
from kubexms.runtime.target import HostTarget

_bastions = BastionPool()


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


class SshTransport:
    """One host over SSH. `open` from one thread at a time, `close` from any."""

    def __init__(
        self,
        target: HostTarget,
        *,
        bastions: BastionPool = _bastions,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._target = target
        self._bastions = bastions
        self._pause = pause
        self._jitter = jitter
        self._lock = threading.Lock()
        self._connection: paramiko.Transport | None = None

    def open(self, command: str, *, timeout: float) -> SshChannel:
        connection = self._connected()
        try:
            channel = connection.open_session(timeout=timeout)
            return SshChannel(connection, channel, command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self.close()
            raise Unreachable(
                f"the connection broke while a session was being opened: {_text(error)}",
                detail="The host's sshd may limit sessions (MaxSessions), or it has just gone away.",
            ) from error

    def _connected(self) -> paramiko.Transport:
        if self._connection is not None and self._connection.is_active():
            return self._connection
        self.close()
        settings = resolve(self._target)
        connection = connect(
            settings,
            self._bastions.way_to(self._target, settings),
            pause=self._pause,
            jitter=self._jitter,
        )
        with self._lock:
            self._connection = connection
        return connection

    def alive(self) -> bool:
        connection = self._connection
        if connection is None:
            return False
        # its channels end a moment before the connection itself knows that it is lost
        connection.join(0.2)
        return connection.is_active() and connection.is_alive()

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            disconnect(connection)
