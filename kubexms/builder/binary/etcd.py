"""etcd on the control planes as a unit: a member on each, who they are fixed when the cluster is made."""

from __future__ import annotations

from kubexms.builder.binary.certificates import ETCD_CA, PKI, etcd_certificate
from kubexms.builder.binary.units import running, unit
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import NODE_ADDRESS, NODE_NAME, step, task
from kubexms.builder.topology import node_address
from kubexms.spec.cluster import CONTROL_PLANE
from kubexms.spec.pipeline import TaskSpec

CERTIFICATE = f"{PKI}/etcd/server"
HEALTHY = (
    "-/usr/bin/timeout 30 /bin/sh -c 'until ETCDCTL_API=3 /usr/local/bin/etcdctl "
    f"--endpoints https://127.0.0.1:2379 --cacert {ETCD_CA}.crt --cert {CERTIFICATE}.crt "
    f"--key {CERTIFICATE}.key endpoint health >/dev/null 2>&1; do sleep 1; done'"
)
"""A start has ended when the member is healthy, so that the next one waits for it; the first of several waits
half a minute for others that do not run yet, and goes on."""


def etcd_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The module goes through the hosts one at a time: a restart never takes away the majority."""
    peer = f"https://{NODE_ADDRESS}:2380"
    flags = {
        "name": NODE_NAME,
        "data-dir": "/var/lib/etcd",
        "listen-client-urls": f"https://127.0.0.1:2379,https://{NODE_ADDRESS}:2379",
        "advertise-client-urls": f"https://{NODE_ADDRESS}:2379",
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": members(plan),
        "cert-file": f"{CERTIFICATE}.crt",
        "key-file": f"{CERTIFICATE}.key",
        "client-cert-auth": "true",
        "trusted-ca-file": f"{ETCD_CA}.crt",
        "peer-cert-file": f"{CERTIFICATE}.crt",
        "peer-key-file": f"{CERTIFICATE}.key",
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": f"{ETCD_CA}.crt",
        "snapshot-count": "10000",
        **plan.spec.etcd.extra_args,
    }
    found = plan.artifacts.program("etcd") if plan.artifacts is not None else []
    service = {"Type": "exec", "ExecStartPost": HEALTHY, "OOMScoreAdjust": "-999"}
    version = found[0].version if found else ""
    content = unit("etcd", "etcd of Kubernetes", flags, version=version, service=service)
    data = step("data", "directory", path="/var/lib/etcd", mode="0700")
    return [
        task(
            "member",
            [CONTROL_PLANE],
            [etcd_certificate(plan), data, *running("etcd", content, ["unit", "certificate"])],
        )
    ]


def members(plan: ClusterPlan) -> str:
    """All of them, as etcd takes them: they find each other by it when they are made."""
    planes = plan.topology.control_planes
    return ",".join(f"{host.name}=https://{node_address(host)}:2380" for host in planes)
