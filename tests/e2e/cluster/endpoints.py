"""By what a cluster's nodes, and the cluster itself, reach the API; and whether anybody is kept waiting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster import pki
from tests.e2e.cluster.projects import ClusterProject

CLIENT = Path(__file__).parent / "client.py"
LOG = "/run/client.log"


def told(project: ClusterProject, name: str, namespace: str = "kube-system") -> str:
    """The data of a ConfigMap."""
    found = json.loads(project.kubectl(f"-n {namespace} get configmap {name} -o json"))
    return "\n".join(found["data"].values())


@contextmanager
def answered(project: ClusterProject) -> Iterator[None]:
    """Meanwhile every request to a service with a pod on each node is answered; then all nodes are ready."""
    nodes = [name for name, (_, role) in project.members.items() if role != "load-balancer"]
    address = project.serve(len(nodes))
    cp1 = project.machines["cp1"]
    cp1.run("cat >/run/client.py", stdin=CLIENT.read_text(), check=True)
    # kube-proxy has heard of a new service a moment after its pods are ready
    there = f"until timeout 1 bash -c '</dev/tcp/{address}/80' 2>/dev/null; do sleep 0.2; done"
    cp1.run(there, timeout=60, check=True)
    cp1.run(f"systemd-run -q --unit client python3 /run/client.py http://{address}/ {LOG}", check=True)
    try:
        yield
    finally:
        cp1.run("systemctl stop client", check=True)
    lines = (cp1.read(LOG) or "").splitlines()
    failed = [line for line in lines if line.split()[1] != "ok"]
    assert lines
    assert not failed, "\n".join(failed)
    project.await_ready(*nodes)


def reached_by(project: ClusterProject, endpoint: str) -> None:
    """Everybody goes by it, and it works for each of them."""
    server = f"server: https://{endpoint}\n"
    nodes = [(host, role) for host, role in project.members.values() if role != "load-balancer"]
    units = _of_units(project)
    for host, role in nodes:
        by_it = ("kubelet", "kube-proxy") if units else ("kubelet",)
        for conf in ("admin", "kubelet") if role == "control-plane" and not units else by_it:
            path = f"/etc/kubernetes/{conf}.conf"
            assert server in (host.read(path) or ""), f"{path} of {host.name}"
            asked = f"timeout 60 kubectl --cache-dir /dev/null/no --kubeconfig {path} get --raw /readyz"
            assert host.run(asked, timeout=70).stdout == "ok", f"{path} of {host.name}"
    fetched = project.spec.get("kubeconfig")
    if fetched is not None:
        assert server in Path(fetched["path"]).read_text()
    if units:
        return
    assert server in told(project, "kube-proxy")
    assert server in told(project, "cluster-info", "kube-public")
    assert f"controlPlaneEndpoint: {endpoint}\n" in told(project, "kubeadm-config")
    wanted = "desired={.status.desiredNumberScheduled} ready={.status.numberReady}"
    said = project.kubectl(f"-n kube-system get daemonset kube-proxy -o jsonpath='{wanted}'")
    assert said == f"desired={len(nodes)} ready={len(nodes)}"


def nothing_says(project: ClusterProject, name: str, *, written: str | None = None) -> None:
    """It is in no file of a node, in no certificate, and in nothing that the cluster publishes.

    `written` is how files have it: the hosts file goes on with the addresses of hosts.
    """
    for host, role in project.members.values():
        places = "/etc/kubernetes /etc/hosts /var/lib/kubelet/config.yaml"
        found = host.run(f"grep -rlI '{re.escape(written or name)}' {places}")
        assert role == "load-balancer" or found.stdout == ""
        if role == "control-plane":
            assert name not in pki.served_names(host, 6443)
    if _of_units(project):
        return
    assert name not in told(project, "kubeadm-config") + told(project, "kube-proxy")
    assert name not in told(project, "cluster-info", "kube-public")


def _of_units(project: ClusterProject) -> bool:
    """It was made without kubeadm, and nothing in the cluster tells of its endpoint."""
    return bool(project.spec["kubernetes"].get("type") == "binary")
