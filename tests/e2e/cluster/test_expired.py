"""All certificates of a control plane have expired and its API is down: a plan and an apply bring it back."""

from __future__ import annotations

import datetime

import pytest

from tests.e2e.cluster import pki
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
CERTIFICATES = "demo-control-plane/components/certificates@cp1"
LABELS = {"w1": {"labels": {"disk": "ssd"}}}


def restart_components(host: Host) -> None:
    """End what reads its certificates when it starts, and wait until the API server is another one."""
    host.run(
        "was=$(pgrep -xo kube-apiserver); for name in etcd kube-apiserver kube-controller kube-scheduler; do "
        "pkill $name; done; until now=$(pgrep -xo kube-apiserver) && [ $now != $was ]; do sleep 0.2; done",
        timeout=120,
        check=True,
    )


def test_expired_certificates_are_renewed(new_cluster: NewCluster) -> None:
    project = new_cluster({"cp1": "control-plane", "w1": "worker"}, nodes=LABELS)
    control_plane = project.machines["cp1"]
    project.apply(timeout=900)
    project.await_ready("cp1", "w1")
    project.kubectl("create configmap kept --from-literal=a=b")

    pki.expire(control_plane)
    restart_components(control_plane)
    done = control_plane.run(
        "kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/admin.conf --request-timeout=5s "
        "get nodes"
    )
    assert done.returncode != 0, "the API still serves"

    code, text = project.plan_code()
    assert code == 2, text
    assert f"# {CERTIFICATES} will be updated in-place" in text
    for name in ("apiserver", "etcd-server", "etcd-peer", "admin.conf", "controller-manager.conf"):
        assert f'"{name}"' in text, text
    # what the API would have to tell is unknown, and said to be
    assert 'demo-nodes/settings/node["w1"]@cp1' in text

    project.apply(timeout=600)
    now = datetime.datetime.now(datetime.UTC)
    assert pki.served_until(control_plane, 6443) > now + datetime.timedelta(days=300)
    assert pki.served_until(control_plane, 2379) > now + datetime.timedelta(days=300)
    project.await_ready("cp1", "w1")
    assert project.kubectl("get configmap kept -o jsonpath={.data.a}") == "b"
    # the controllers and the scheduler work again, too
    project.serve(2)
    project.assert_empty_plan()
