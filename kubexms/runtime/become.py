"""A shell of the user that does the work: the connection's own, or another one through sudo."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from kubexms.errors import BecomeFailed, ProtocolError
from kubexms.runtime.composing import BOOTSTRAP, shell_command
from kubexms.runtime.framing import FrameReader, new_marker
from kubexms.runtime.quoting import quote
from kubexms.runtime.transport import ByteChannel, Transport

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, repr=False)
class Become:
    """How to become the user that does the work. `password` None: sudo must not ask for one."""

    user: str = "root"
    password: str | None = None

    def __repr__(self) -> str:
        return f"Become(user={self.user!r})"


def open_shell(transport: Transport, become: Become | None, *, until: float, clock: Clock) -> ByteChannel:
    """A channel whose shell waits for a text (`composing.envelope`).

    With `become`, nothing but the password has been written to it before the privileged shell said
    that it is ready; so neither can a password be executed nor a script be taken for a password.
    Raises `BecomeFailed`, or what the transport raises.
    """
    if become is None:
        return transport.open(shell_command(), timeout=max(0.1, until - clock()))
    if become.password is not None and ("\n" in become.password or "\0" in become.password):
        raise BecomeFailed("the sudo password holds a line end or a NUL, which sudo cannot read")
    marker, prompt = new_marker(), f"kxask{secrets.token_hex(16)}:"
    channel = transport.open(_sudo_command(become, marker, prompt), timeout=max(0.1, until - clock()))
    try:
        _wait_until_ready(channel, become, marker, prompt.encode(), until, clock)
    except BaseException:
        channel.close()
        raise
    return channel


def _sudo_command(become: Become, marker: str, prompt: str) -> str:
    """One attempt serves both cases: with -S, sudo asks only if it needs a password."""
    how = "-n" if become.password is None else f"-S -p {prompt}"
    shell = f"env LC_ALL=C sh -c 'echo {marker} Y 0; echo; {BOOTSTRAP}'"
    return f"exec env LC_ALL=C sudo {how} -u {quote(become.user)} -- {shell}"


def _wait_until_ready(
    channel: ByteChannel, become: Become, marker: str, prompt: bytes, until: float, clock: Clock
) -> None:
    reader = FrameReader(marker)
    said = bytearray()
    asked = 0
    while True:
        remaining = until - clock()
        if remaining <= 0:
            raise BecomeFailed(
                f"sudo did not start a shell as {become.user} in time",
                detail=_text(said, prompt) or "Does sudo ask for something else than a password?",
            )
        received = channel.receive(remaining)
        said += received.stderr
        if any(frame.kind == "Y" for frame in reader.feed(received.stdout)):
            return
        if said.count(prompt) > asked:
            asked += 1
            if asked > 1 or become.password is None:
                raise BecomeFailed(
                    f"sudo did not accept the password, so there is no shell as {become.user}",
                    detail="It wants the one of the user who logs in: check connection.become.password.",
                )
            if not channel.send(become.password.encode() + b"\n", timeout=remaining):
                raise ProtocolError("sudo closed its input before it had read the password")
        if received.ended:
            raise _refused(become, _text(said, prompt), channel.exit_status(2.0))


def _refused(become: Become, said: str, status: int | None) -> BecomeFailed:
    if "password is required" in said:
        return BecomeFailed(
            "sudo needs a password, and none is given",
            detail="Give the host connection.become.password, or allow the user NOPASSWD in sudoers.",
        )
    if status == 127 or "not found" in said:
        return BecomeFailed(
            "sudo is not installed on the host", detail=said or "Install sudo, or connect as root."
        )
    return BecomeFailed(
        f"sudo refused to start a shell as {become.user}", detail=said or f"exit status {status}"
    )


def _text(said: bytearray, prompt: bytes) -> str:
    return bytes(said[-2000:]).replace(prompt, b"").decode("utf-8", "replace").strip()
