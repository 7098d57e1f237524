"""The controller's own cost: a plan of many hosts whose answers come from a script.

`python -m benchmarks.controller HOSTS STEPS DIRECTORY`, a process of its own so that it can be weighed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from benchmarks.contenders import write_kubexms
from benchmarks.workload import sized
from kubexms.plan.model import Plan, PlanOptions
from kubexms.runtime.connect import open_readonly
from kubexms.runtime.fake import ScriptedConnection
from kubexms.runtime.protocol import Answer, Fragment, ReadOnlyConnection
from kubexms.runtime.target import HostTarget
from kubexms.services.planning import prepare
from kubexms.services.project import Settings, open_project


class Recorded:
    """Answers every host with what this machine said to the same question when it was asked first."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._lock = threading.Lock()
        self._local = open_readonly(HostTarget(name="this", connection="local"))

    def readonly(self, host: str) -> ReadOnlyConnection:
        """A connection that nothing is sent over."""
        return ScriptedConnection(host, self._answer, record=False)

    def close(self) -> None:
        """End the connection to this machine."""
        self._local.close()

    def _answer(self, fragment: Fragment) -> Answer:
        with self._lock:
            if fragment.script not in self._answers:
                [answer] = self._local.ask([fragment], deadline=120).answers
                self._answers[fragment.script] = answer
            return self._answers[fragment.script]


def plan(root: Path, hosts: int, steps: int) -> Plan:
    """Plan `steps` steps on each of `hosts` hosts that have none of it yet."""
    root.mkdir(parents=True, exist_ok=True)
    names = [f"n{number:04}" for number in range(hosts)]
    write_kubexms(root, [(name, name) for name in names], sized(steps), None)
    project = open_project(Settings(root=root, environ={}))
    connector = Recorded()
    try:
        snapshot = project.store.snapshot()
        return prepare(project, PlanOptions(), connector, snapshot, listener=lambda _: None).plan
    finally:
        connector.close()
        project.close()


def main() -> int:
    """Plan, and check that every step is in the plan."""
    hosts, steps = int(sys.argv[1]), int(sys.argv[2])
    made = plan(Path(sys.argv[3]), hosts, steps)
    counts = made.counts()
    if made.errored:
        sys.stderr.write("\n".join(diagnostic.summary for diagnostic in made.diagnostics[:5]) + "\n")
    found = counts.add + counts.change + counts.unchanged
    if found != hosts * steps:
        sys.stderr.write(f"{found} steps in the plan, not {hosts * steps}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
