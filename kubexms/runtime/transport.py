"""The seam between the protocols of this package and what carries them: a local shell, or SSH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Received:
    """What has arrived since the last look. `ended`: nothing will follow, both streams are at their end."""

    stdout: bytes = b""
    stderr: bytes = b""
    ended: bool = False


class ByteChannel(Protocol):
    """A running command and its three streams. One thread at a time, but for `abort`."""

    def send(self, data: bytes, *, timeout: float) -> bool:
        """Write everything to the command's stdin while reading what it says meanwhile.

        False if `timeout` seconds passed, or the command has closed its stdin, before all was written.
        """
        ...

    def receive(self, timeout: float) -> Received:
        """Wait up to `timeout` seconds for output; returns at once when there is some, or at the end."""
        ...

    def end_input(self) -> None:
        """Close the command's stdin."""
        ...

    def exit_status(self, timeout: float) -> int | None:
        """The exit status after the end; negative for a signal, None if unknown."""
        ...

    def abort(self) -> None:
        """Make a waiting `send` or `receive` return as at the end. Safe from any thread."""
        ...

    def close(self) -> None:
        """Drop the channel; the shell at the other end ends what it has started. Safe to call twice."""
        ...


class Transport(Protocol):
    """Opens channels to one host. Connects at the first `open`."""

    def open(self, command: str, *, timeout: float) -> ByteChannel:
        """Run a command by the login shell of the connection's user.

        The command is one line without single quotes inside single quotes and without `!`, so that
        csh and fish understand it too. Raises `errors.ConnectionFailed`.
        """
        ...

    def alive(self) -> bool:
        """False if the connection is lost. May take a moment: it is for a channel that has ended early."""
        ...

    def close(self) -> None:
        """Drop the connection. Safe from any thread and to call twice."""
        ...
