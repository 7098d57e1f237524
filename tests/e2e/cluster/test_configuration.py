"""The configurations for kubeadm 1.20 are what the real one takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kubexms.config.artifacts import load_artifacts
from tests.e2e.cluster import supply
from tests.e2e.cluster.conftest import ClusterHosts
from tests.e2e.projects import ProjectDirectory
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GOLDEN = Path(__file__).parents[2] / "unit/builder/golden/kubeadm-1.20.2.yaml"


@pytest.fixture(scope="module")
def host(cluster_hosts: ClusterHosts, artifacts: Path) -> Host:
    """A bare host with kubeadm and the configuration for it."""
    [made] = cluster_hosts(1)
    found = load_artifacts(artifacts)
    for name in ("kubeadm", "kubelet", "kubectl"):
        program = found.find(name, arch="amd64", version=supply.VERSION)
        assert program is not None
        shutil.copy(found.path(program), f"/proc/{made.init}/root/usr/local/bin/{name}")
    made.run("chmod +x /usr/local/bin/kube*", check=True)
    text = GOLDEN.read_text().replace("__KUBEXMS_NODE_NAME__", made.name)
    text = text.replace("__KUBEXMS_NODE_ADDRESS__", made.address)
    # the last two documents are for joining
    made.run("cat >/root/init.yaml", stdin="---\n".join(text.split("---\n")[:4]), check=True)
    return made


def test_it_names_the_images_of_the_configuration(host: Host) -> None:
    done = host.run("kubeadm config images list --config /root/init.yaml", check=True)
    assert "registry.example.com/k8s/kube-apiserver:v1.20.2" in done.stdout.split()
    assert "registry.example.com/k8s/pause:3.2" in done.stdout.split(), (
        "the pause image that kubexms configures"
    )
    assert "unknown field" not in done.stderr


def test_it_renews_certificates_as_the_configuration_says(host: Host) -> None:
    """As the kind `certificate` tells it, without any API."""
    files = "cat /etc/kubernetes/pki/apiserver.crt"
    host.run("kubeadm init phase certs all --config /root/init.yaml", check=True)
    before = host.run(files, check=True).stdout
    done = host.run("kubeadm certs renew apiserver --config /dev/stdin </root/init.yaml")
    assert done.returncode == 0, done.stderr
    after = host.run(files, check=True).stdout
    host.run("rm -rf /etc/kubernetes/pki", check=True)
    assert before != after


def test_it_would_make_a_cluster_of_it(host: Host) -> None:
    command = "kubeadm init --dry-run --ignore-preflight-errors=all --config /root/init.yaml"
    done = host.run(command, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "unknown field" not in done.stderr
    names = next(line for line in done.stdout.splitlines() if "apiserver serving cert" in line)
    for name in ("k8s.example.com", "api.example.com", "10.0.0.31", host.name, host.address):
        assert name in names
    for told in ("--audit-log-maxage=7", "--node-cidr-mask-size=25", "heartbeat-interval:", "maxPods: 60"):
        assert told in done.stdout


def test_what_it_refuses_leaves_no_authorities(
    host: Host, cluster_hosts: ClusterHosts, tmp_path: Path
) -> None:
    """They were made for it, and it began nothing: there is no crictl here."""
    config, join = (text for text in GOLDEN.read_text().split("---\n")[1:6:4])
    project = ProjectDirectory(tmp_path, cluster_hosts.fleet, [host])
    node = {
        "cluster": "demo",
        "nodeName": host.name,
        "role": "control-plane",
        "version": "1.20.2",
        "endpoint": "k8s.example.com:6443",
        "peers": [host.name],
        "config": config,
        "joinConfig": join,
        "authorityDays": 7300,
    }
    project.pipeline({"name": "node", "kind": "kubeadmNode", **node})
    for _ in range(2):
        done = project.run("apply", "--auto-approve")
        assert done.returncode == 1
        assert "[ERROR FileExisting-crictl]" in done.stdout + done.stderr
        assert host.run("ls /etc/kubernetes/pki /var/lib/kubexms/kubeadm/unfinished").stdout == ""
        assert "will be created" in project.run("plan").stdout


def test_it_takes_one_with_an_etcd_elsewhere(host: Host) -> None:
    external = GOLDEN.with_name("external-etcd-1.20.2.yaml").read_text()
    done = host.run("kubeadm config images list --config /dev/stdin", stdin=external, check=True)
    assert "unknown field" not in done.stderr
    assert "registry.example.com/k8s/kube-apiserver:v1.20.2" in done.stdout.split()
    assert "etcd" not in done.stdout
