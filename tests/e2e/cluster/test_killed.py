"""The controller dies ten times while it brings up a cluster; what comes out is the same."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import random
import subprocess

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.running import Applying

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
KILLS = 10
SHORT = (0.3, 4.0)
"""Seconds from the first step to the kill."""
LONGER = 6.0
"""So much more for each run before that finished no step: kubeadm would never be through otherwise."""


def test_ten_kills_in_one_bring_up(new_cluster: NewCluster) -> None:
    seed = int(os.environ.get("KUBEXMS_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"KUBEXMS_TEST_SEED={seed}")
    chance = random.Random(seed)
    project = new_cluster({"cp1": "control-plane", "w1": "worker"})

    landed, idle = 0, 0
    while landed < KILLS:
        with Applying(project) as run:
            assert run.until("apply_start"), f"the {landed + 1}. run does nothing: {run.said()}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.process.wait(chance.uniform(*SHORT) + idle * LONGER)
            ended = run.process.poll()
            run.kill()
        if ended is not None:
            # it was through, or a step failed over what the last kill left: the next one must go on
            assert ended == 0, run.said()
            break
        landed += 1
        idle = 0 if run.finished else idle + 1
        print(f"{landed}. kill: {len(run.finished)} steps finished, in the middle of {run.unfinished()}")
    assert landed == KILLS, f"the cluster was up after {landed} kills"

    project.apply(timeout=900)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    assert_nothing_is_left(project)


def assert_nothing_is_left(project: ClusterProject) -> None:
    """No half-written file, no lock, no token that a node could join with, nothing open in the state."""
    for host in project.machines.values():
        parts = host.run(
            "find / -xdev \\( -name '.kubexms.*' -o -path '/var/lib/kubexms/staging/*' "
            "-o -name unfinished -path '/var/lib/kubexms/*' \\) -print; ls -d /tmp/kubexms* 2>/dev/null || :",
            check=True,
        ).stdout
        assert not parts, parts
    listed = project.machines["cp1"].run("kubeadm token list -o json", check=True).stdout
    tokens = [json.loads(text) for text in listed.replace("}\n{", "}\0{").split("\0") if text.strip()]
    ours = [token for token in tokens if str(token.get("description", "")).startswith("kubexms")]
    # one that was killed between a join's end and the end of its token may leave that one, for minutes
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=15)
    assert len(ours) <= 1, ours
    assert all(datetime.datetime.fromisoformat(token["expires"]) < soon for token in ours), ours
    state = json.loads(project.run("state", "pull").stdout)
    assert not state.get("intents"), state["intents"]
    assert not state.get("scopes"), state["scopes"]
