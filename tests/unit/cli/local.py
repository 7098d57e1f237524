"""Projects on this machine, without root, for tests that run the program as a user does."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

API = "kubexms.io/v1alpha1"
HERE = {"type": "local", "become": {"method": "none"}}


class LocalProject:
    """A directory with documents, written as JSON, for hosts that are all this machine."""

    def __init__(self, root: Path, *hosts: str) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        names = hosts or ("here",)
        self.write("Inventory", {"hosts": [{"name": name, "connection": HERE} for name in names]})

    def write(self, kind: str, spec: Mapping[str, Any]) -> None:
        """One document, in a file named as its kind."""
        document = {"apiVersion": API, "kind": kind, "metadata": {"name": "test"}, "spec": spec}
        (self.root / f"{kind.lower()}.yaml").write_text(json.dumps(document, indent=1))

    def steps(self, *steps: Mapping[str, Any], **spec: Any) -> None:
        """A pipeline of one module `m`, one task `t` and these steps."""
        self.tasks({"name": "t", "steps": list(steps)}, **spec)

    def tasks(self, *tasks: Mapping[str, Any], **spec: Any) -> None:
        """A pipeline of one module `m` and these tasks."""
        self.write("Pipeline", {"modules": [{"name": "m", "tasks": list(tasks)}], **spec})

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """`kubexms -C ROOT ARGUMENTS`, with nobody at its standard input."""
        taken = {"CI", "NO_COLOR", "FORCE_COLOR"}
        clean = {name: value for name, value in os.environ.items() if name not in taken}
        return subprocess.run(
            self.command(*arguments),
            env={**clean, **environ},
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )

    def command(self, *arguments: str) -> Sequence[str]:
        """The words that `run` runs."""
        return [sys.executable, "-m", "kubexms", "-C", str(self.root), *arguments]

    def apply(self, *arguments: str) -> str:
        """Apply, expecting success; what it printed."""
        done = self.run("apply", "--auto-approve", *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def plan(self, *arguments: str) -> tuple[int, str]:
        """The exit code of `plan --detailed-exitcode`, and everything that it printed."""
        done = self.run("plan", "--detailed-exitcode", *arguments)
        return done.returncode, done.stdout + done.stderr


def on_a_terminal(command: Sequence[str], types: str) -> tuple[int, str]:
    """Run with a terminal of 80 columns for everything; `types` is typed at once."""
    controller, terminal = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    try:
        running = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environ,
            start_new_session=True,
        )
    finally:
        os.close(terminal)
    shown = b""
    with os.fdopen(controller, "rb", buffering=0) as screen, running:
        try:
            os.write(controller, types.encode())
            # the end of the last process on a terminal reads as an error, or as nothing
            with contextlib.suppress(OSError):
                while piece := screen.read(65536):
                    shown += piece
            return running.wait(timeout=60), shown.decode()
        finally:
            running.kill()
