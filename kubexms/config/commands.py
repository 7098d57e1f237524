"""The seam through which configuration runs programs of the controller: secrets, variables, inventories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from kubexms.errors import exit_words

NOT_FOUND = 127
"""The status of a program that could not be started."""
TIMED_OUT = 124
"""The status of one that was ended because it took too long."""


class Completed(Protocol):
    """How a program ended."""

    @property
    def status(self) -> int:
        """Exit status; 127 if it was not found, negative for a signal."""
        ...

    @property
    def stdout(self) -> bytes:
        """What it printed."""
        ...

    @property
    def stderr(self) -> bytes:
        """What it complained about."""
        ...


class RunCommand(Protocol):
    """`kubexms.runtime.local.run_local_command`, or a stand-in. Never raises for how a program ends."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
    ) -> Completed:
        """Run one program, without a shell."""
        ...


def said(done: Completed) -> str:
    """`failed with status 1: …`, with the end of what it said on stderr."""
    tail = done.stderr.decode("utf-8", "replace").strip()[-500:]
    how = f"was {exit_words(done.status)}" if done.status < 0 else f"failed with status {done.status}"
    return f"{how}{': ' + tail if tail else ''}"


def advice(done: Completed, directory: Path) -> str:
    """What to do about a program that failed."""
    if done.status == NOT_FOUND:
        return f"It is started in {directory} with kubexms's own PATH, without a shell: write where it is."
    if done.status == TIMED_OUT:
        return "It took too long, and was ended. It gets no input: it must not ask for anything."
    return f"Run it by hand in {directory}, as kubexms does: without a shell, without input."
