"""Bare hosts become a cluster: by a shell script, and by kubexms."""

from __future__ import annotations

import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster.breakdown import Milestones, Span, milestones, spans
from benchmarks.measure import BYTE_CODE, RunFailed, Sample, sample
from tests.e2e.cluster.conftest import DATA
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.projects import COMMAND
from tests.e2e.testbed import Fleet

ROLES = {
    "cp1": "control-plane",
    "cp2": "control-plane",
    "cp3": "control-plane",
    "w1": "worker",
    "lb1": "load-balancer",
}
NODES = ("cp1", "cp2", "cp3", "w1")
BY_HAND = Path(__file__).parent / "by-hand.sh"
PATIENCE = 900.0
"""Seconds after which a bring-up is given up."""


@dataclass(frozen=True)
class BringUp:
    """One bring-up: how long its parts took."""

    milestones: Milestones
    sample: Sample
    spans: tuple[Span, ...] = ()


def by_hand(artifacts: Path) -> BringUp:
    """By the script, on hosts of its own. Raises `RunFailed`."""
    with Fleet() as fleet:
        hosts = fleet.up(len(ROLES), data=DATA)
        ssh = shlex.join(fleet.ssh_argv(hosts[0])[:-1])
        began = time.monotonic()
        done = fleet.exec(
            ["bash", BY_HAND, artifacts, ssh, *(host.address for host in hosts)], timeout=PATIENCE
        )
        wall = time.monotonic() - began
    if done.returncode != 0:
        raise RunFailed(f"{BY_HAND.name} ended with {done.returncode}:\n{done.stdout}{done.stderr[-3000:]}")
    laps = [line.split() for line in done.stdout.splitlines()]
    ends: dict[str, float] = {}
    elapsed = 0.0
    for name, took in laps:
        elapsed += float(took)
        ends[name] = elapsed  # of several of one name, the last
    joined = max(ends["join-worker"], ends["join-control-plane"])
    return BringUp(Milestones(0.0, ends["prepare"], ends["init"], joined, wall), Sample(wall, 0.0, 0))


def project(fleet: Fleet, directory: Path, artifacts: Path) -> ClusterProject:
    """The document that says the same, with one host of `fleet` for each role."""
    made = ClusterProject(directory, fleet, artifacts)
    made.describe(dict(zip(ROLES, zip(fleet.hosts, ROLES.values(), strict=True), strict=True)))
    return made


def by_kubexms(made: ClusterProject) -> BringUp:
    """One `kubexms apply`, then the same wait for the nodes. Raises `RunFailed`."""
    events = made.root / "events"
    argv = ["sh", "-c", 'exec "$@" >events', "apply", *COMMAND, "apply", "--auto-approve", "--json"]
    environment = BYTE_CODE | {"CI": "", "PYTHONPATH": str(Path.cwd())}
    began = time.monotonic()
    taken = sample(argv, str(made.root), environment, made.fleet, patience=PATIENCE)
    if taken.stopped:
        raise RunFailed(f"kubexms apply took longer than {PATIENCE:.0f} s")
    try:
        made.await_ready(*NODES)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        raise RunFailed(f"not all nodes are ready: {error}") from None
    wall = time.monotonic() - began
    steps = spans(events.read_text().splitlines())
    return BringUp(milestones(steps, wall), Sample(wall, taken.cpu, taken.peak), steps)
