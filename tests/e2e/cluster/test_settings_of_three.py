"""Three API servers and members of etcd get other settings in one apply, which all of them take in turn."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import TESTBED
from tests.e2e.cluster.test_protection import LOG, VERSION
from tests.e2e.cluster.test_protection_of_three import PLANES, read_and_written

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]


def test_an_api_that_is_used_goes_on(new_cluster: NewCluster) -> None:
    """While a member of etcd stops, its API server answers nothing: a read and a write of each may fail."""
    project = new_cluster(dict.fromkeys(PLANES, "control-plane") | {"lb1": "load-balancer"})
    hosts = project.machines
    project.apply(timeout=1500)
    project.await_ready(*PLANES)
    flags = TESTBED["etcd"]["extraArgs"] | {"snapshot-count": "5000"}
    settings = {"apiServer": {"audit": {"maxSize": 5}}, "kubelet": {"config": {"maxPods": 60}}}
    project.describe(project.members, etcd={"extraArgs": flags}, kubernetes=VERSION | settings)
    code, text = project.plan_code()
    assert code == 2, text
    assert text.count("+     - --snapshot-count=5000") >= 1
    with read_and_written(project, cut_off=2 * len(PLANES)):
        project.apply(timeout=1500)
    project.assert_empty_plan()
    project.await_ready(*PLANES)
    for name in PLANES:
        running = hosts[name].run("tr '\\0' ' ' </proc/$(pgrep -xo etcd)/cmdline", check=True).stdout
        assert "--snapshot-count=5000" in running
        assert (hosts[name].read(LOG) or "") != ""
    pods = project.kubectl("get nodes -o jsonpath={.items[*].status.capacity.pods}")
    assert pods.split() == ["60"] * len(PLANES)
