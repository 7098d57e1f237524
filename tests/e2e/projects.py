"""Projects for tests on real hosts: documents in a directory, and the command run in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.testbed import Fleet, Host

API = "kubexms.io/v1alpha1"
COMMAND = [sys.executable, "-m", "kubexms"]


class ProjectDirectory:
    """A project whose hosts are those of a fleet. JSON is YAML, so documents are written as JSON."""

    def __init__(self, root: Path, fleet: Fleet, hosts: Sequence[Host]) -> None:
        self.root = root
        self.fleet = fleet
        self.hosts = hosts
        self.inventory()

    def inventory(self, hosts: Sequence[Host] | None = None, **connection: Any) -> None:
        """Write the inventory; `connection` overrides defaults for all hosts."""
        self.write(
            "Inventory",
            {
                "defaults": {"connection": self.connection() | connection},
                "hosts": [
                    {"name": host.name, "roles": ["node"], "connection": {"address": host.address}}
                    for host in (self.hosts if hosts is None else hosts)
                ],
            },
        )

    def connection(self) -> dict[str, Any]:
        """How the hosts of the fleet are reached."""
        return {
            "user": "root",
            "identityFiles": [str(self.fleet.key)],
            "knownHosts": str(self.fleet.known_hosts),
            "sshConfig": "/dev/null",
        }

    def pipeline(self, *steps: Mapping[str, Any], **task: Any) -> None:
        """Write a pipeline of one module `m`, one task `t` and these steps."""
        self.modules({"name": "m", "tasks": [{"name": "t", "steps": list(steps), **task}]})

    def modules(self, *modules: Mapping[str, Any], **spec: Any) -> None:
        """Write a pipeline of these modules."""
        self.write("Pipeline", {"modules": list(modules), **spec})

    def write(self, kind: str, spec: Mapping[str, Any], *, name: str = "test") -> None:
        """Write one document, in a file of its kind's name."""
        document = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
        (self.root / f"{kind.lower()}.yaml").write_text(json.dumps(document, indent=1))

    def run(self, *arguments: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        """Run kubexms in the project, inside the fleet's network."""
        environment = {"CI": "", "NO_COLOR": "1", "PYTHONPATH": str(Path.cwd()), **env}
        return self.fleet.exec([*COMMAND, *arguments], cwd=self.root, env=environment, timeout=timeout)

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start kubexms in the project; it has ended when the block does, killed if need be."""
        environment = {"CI": "", "NO_COLOR": "1", "PYTHONPATH": str(Path.cwd())}
        with self.fleet.popen(
            [*COMMAND, *arguments],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def apply(self, *arguments: str, timeout: float = 180) -> str:
        """Apply, expecting success; returns what it printed."""
        done = self.run("apply", "--auto-approve", *arguments, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def plan_code(self, *arguments: str) -> tuple[int, str]:
        """The exit code of `plan --detailed-exitcode`, and what it printed."""
        done = self.run("plan", "--detailed-exitcode", *arguments)
        return done.returncode, done.stdout + done.stderr

    def assert_empty_plan(self) -> None:
        """A plan right now finds nothing to do."""
        code, text = self.plan_code()
        assert code == 0, text
        assert "No changes. Your infrastructure matches the configuration." in text

    def destroy(self, *, timeout: float = 180) -> str:
        """Destroy, expecting success; returns what it printed."""
        done = self.run("destroy", "--auto-approve", timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def file(name: str, path: str, content: str, **more: Any) -> dict[str, Any]:
    """A file step."""
    return {"name": name, "kind": "file", "path": path, "content": content, **more}
