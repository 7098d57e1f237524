"""A host loses its power while it joins: the others go on, and the next apply makes up for it."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.running import Applying

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
ROLES = {"cp1": "control-plane", "w1": "worker", "w2": "worker"}
JOIN = "demo-workers/member/node@w2"


def test_the_power_goes_during_a_join(new_cluster: NewCluster) -> None:
    project = new_cluster(ROLES)
    w2 = project.machines["w2"]
    with Applying(project) as run:
        assert run.until("apply_start", JOIN), run.said()
        # once kubeadm has begun to write, so that the join is cut off in its middle
        w2.run("until [ -e /var/lib/kubelet/config.yaml ]; do sleep 0.1; done", timeout=120, check=True)
        w2.crash()
        assert run.wait(600) == 1, run.said()
    assert JOIN not in run.finished
    assert '"apply_errored"' in run.said()

    # who has nothing to do with it is a member that serves
    project.kubectl("wait --for=condition=Ready node cp1 w1 --timeout=120s", timeout=130)
    assert "Warning: w2 is unreachable" in project.plan_code()[1]

    w2.start()
    w2.wait_ready()
    code, text = project.plan_code()
    assert code == 2, text
    assert f"# {JOIN} must be replaced" in text or f"# {JOIN} will be" in text, text
    project.apply(timeout=600)
    project.await_ready(*ROLES)
    project.assert_empty_plan()
