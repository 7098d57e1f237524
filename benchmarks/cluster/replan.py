"""The plan that finds a cluster as it should be, beside what nobody could do with less."""

from __future__ import annotations

import shlex
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BYTE_CODE, RunFailed, Sample, floor, sample
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.projects import COMMAND

ASKED = (
    "kubectl --kubeconfig /etc/kubernetes/kubelet.conf get nodes -o json >/dev/null && "
    "kubectl --kubeconfig /etc/kubernetes/kubelet.conf get node {name} -o json >/dev/null"
)
"""What a plan asks the API for each node: whether it is registered, and whose pods are where."""


@dataclass(frozen=True)
class Round:
    """One plan beside one of each other."""

    plan: Sample
    logins: Sample
    """`ssh HOST true` on all hosts at once."""
    calls: Sample
    """The API calls, by kubectl through ssh on all nodes at once."""

    @property
    def ratio(self) -> float:
        """The plan's time to that of the logins and the calls."""
        return self.plan.wall / (self.logins.wall + self.calls.wall)


def replan(made: ClusterProject, rounds: int) -> list[Round]:
    """As many rounds as asked for, after one that is left out: byte code is compiled in it."""
    found = [_round(made) for _ in range(rounds + 1)]
    return found[1:]


def median_ratio(found: list[Round]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one.ratio for one in found)


def _round(made: ClusterProject) -> Round:
    hosts = [host for host, _ in made.members.values()]
    logins = floor(made.fleet, hosts)
    calls = _calls(made)
    argv = [*COMMAND, "plan", "--detailed-exitcode"]
    environment = BYTE_CODE | {"CI": "", "PYTHONPATH": str(Path.cwd())}
    return Round(sample(argv, str(made.root), environment, made.fleet), logins, calls)


def _calls(made: ClusterProject) -> Sample:
    lines = []
    for name, (host, role) in made.members.items():
        if role != "load-balancer":
            lines.append(
                shlex.join([*made.fleet.ssh_argv(host), ASKED.format(name=name)]) + ' & pids="$pids $!"'
            )
    script = "\n".join(["pids=", *lines, "for pid in $pids; do wait $pid || exit 1; done"])
    began = time.monotonic()
    done = made.fleet.exec(["bash", "-c", script])
    if done.returncode != 0:
        raise RunFailed(f"kubectl through ssh: {done.stderr[-1000:]}")
    return Sample(time.monotonic() - began, 0.0, 0)
