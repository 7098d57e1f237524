"""An upgrade under a running workload: whoever asks its service is answered, all the time."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.e2e.cluster import stamping
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
ROLES = {"cp1": "control-plane", "w1": "worker", "w2": "worker"}
HERE = Path(__file__).parent
LOG = "/run/client.log"


def test_no_request_fails_during_an_upgrade(new_cluster: NewCluster) -> None:
    """What is counted: requests from the control plane's host to the service's address, one after the other,
    each a new connection. One that is refused, reset, not answered within 3 s, or answered by a failure has
    failed. Both workers are drained in turn, so that every server moves at least once; as servers go on for
    20 s after they are told to go, a drain implies no failed request."""
    project = new_cluster(ROLES, artifacts=stamping.stamped())
    cp1 = project.machines["cp1"]
    project.apply(timeout=900)
    project.await_ready(*ROLES)
    project.kubectl("apply -f -", stdin=(HERE / "workload.yaml").read_text())
    project.kubectl("rollout status deploy/work --timeout=120s", timeout=130)
    address = project.kubectl("get service work -o jsonpath={.spec.clusterIP}")
    before = pods(project)
    assert set(before.values()) == {"w1", "w2"}

    cp1.run("cat >/run/client.py", stdin=(HERE / "client.py").read_text(), check=True)
    started = f"systemd-run -q --unit client python3 /run/client.py http://{address}/ {LOG}"
    cp1.run(started, check=True)
    project.consist_of(*ROLES, kubernetes={"version": stamping.NEXT.removeprefix("v")})
    code, text = project.plan_code()
    assert code == 2, text
    project.apply(timeout=1200)
    cp1.run("systemctl stop client", check=True)

    project.await_ready(*ROLES)
    versions = project.kubectl("get nodes -o jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
    assert versions.split() == [stamping.NEXT] * len(ROLES)
    assert not set(pods(project)) & set(before), "a server has not moved: its node was not drained"
    project.assert_empty_plan()

    lines = (cp1.read(LOG) or "").splitlines()
    failed = [line for line in lines if line.split()[1] != "ok"]
    servers = {line.split()[2] for line in lines if line not in failed}
    moments = [float(line.split()[0]) for line in lines]
    longest = max(after - before for before, after in itertools.pairwise(moments))
    print(
        f"{len(lines)} requests in {moments[-1] - moments[0]:.0f} s, {len(failed)} failed, "
        f"the longest took {longest:.1f} s; {len(servers)} servers answered"
    )
    assert len(servers) >= 4, servers
    assert not failed, "\n".join(failed)


def pods(project: ClusterProject) -> dict[str, str]:
    """The servers that are not about to go, and the node of each."""
    listed = project.kubectl(
        "get pods -l app=work -o "
        "'jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName} "
        '{.metadata.deletionTimestamp}{"\\n"}{end}\''
    )
    rows = [line.split() for line in listed.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2}
