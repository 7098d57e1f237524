"""Certificates: authorities that last as the document says; then all others have expired, the API is down."""

from __future__ import annotations

import datetime

import pytest

from tests.e2e.cluster import pki
from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
CERTIFICATES = "demo-control-plane/components/certificates@cp1"
LABELS = {"w1": {"labels": {"disk": "ssd"}}}
TWENTY_YEARS = 7300


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster(
        {"cp1": "control-plane", "w1": "worker"},
        nodes=LABELS,
        certificates={"authorityDays": TWENTY_YEARS},
    )
    made.apply(timeout=900)
    made.await_ready("cp1", "w1")
    return made


@pytest.fixture(scope="module")
def control_plane(project: ClusterProject) -> Host:
    return project.machines["cp1"]


def test_authorities_last_as_the_document_says(project: ClusterProject, control_plane: Host) -> None:
    """kubeadm has taken them over: what it made is signed by them, and the worker has joined by them."""
    project.assert_empty_plan()
    now = datetime.datetime.now(datetime.UTC)
    for name in ("ca", "etcd/ca", "front-proxy-ca"):
        ends = pki.ends(control_plane, f"{name}.crt")
        assert abs(ends - now - datetime.timedelta(days=TWENTY_YEARS)) < datetime.timedelta(days=1)
        assert control_plane.run(f"stat -c '%a %U' {pki.KUBERNETES}/pki/{name}.key").stdout == "600 root\n"
    for name, authority in pki.AUTHORITIES.items():
        control_plane.run(
            f"cd {pki.KUBERNETES}/pki && openssl verify -CAfile {authority}.crt {name}", check=True
        )
        assert pki.ends(control_plane, name) < now + datetime.timedelta(days=366)


def test_an_authority_that_ends_soon_is_told(project: ClusterProject, control_plane: Host) -> None:
    path = f"{pki.KUBERNETES}/pki/front-proxy-ca"
    control_plane.run(
        f"cp -p {path}.crt /root/kept.crt && "
        f"openssl x509 -in /root/kept.crt -signkey {path}.key -days 100 -out {path}.crt",
        check=True,
    )
    try:
        text = " ".join(project.run("plan").stdout.split())
    finally:
        control_plane.run(f"cp -p /root/kept.crt {path}.crt", check=True)
    assert "the certificate authority front-proxy-ca ends on " in text
    assert "do that by hand before" in text
    assert "No changes." in text


def restart_components(host: Host) -> None:
    """End what reads its certificates when it starts, and wait until the API server is another one."""
    host.run(
        "was=$(pgrep -xo kube-apiserver); for name in etcd kube-apiserver kube-controller kube-scheduler; do "
        "pkill $name; done; until now=$(pgrep -xo kube-apiserver) && [ $now != $was ]; do sleep 0.2; done",
        timeout=120,
        check=True,
    )


def test_expired_certificates_are_renewed(project: ClusterProject, control_plane: Host) -> None:
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
    assert pki.ends(control_plane, "ca.crt") > now + datetime.timedelta(days=TWENTY_YEARS - 1)
    project.await_ready("cp1", "w1")
    assert project.kubectl("get configmap kept -o jsonpath={.data.a}") == "b"
    # the controllers and the scheduler work again, too
    project.serve(2)
    project.assert_empty_plan()
