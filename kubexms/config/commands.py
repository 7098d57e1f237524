"""The seam through which configuration runs programs of the controller: secrets, variables, inventories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


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
    return f"failed with status {done.status}{': ' + tail if tail else ''}"
