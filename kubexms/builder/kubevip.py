"""The endpoint's address that moves between control planes: kube-vip, a static pod on each of them.

What its program reads from the environment: kube-vip.io/docs/installation/flags. It elects a leader through
the API of its own host, so it needs no other one to be there, and works with any number of control planes.
"""

from __future__ import annotations

from typing import Any

from kubexms.builder.floating import INTERFACE
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import Template, step, text
from kubexms.builder.topology import API_PORT
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.pipeline import StepSpec

IMAGE = "kube-vip"
"""The name of its image among the artifacts."""
MANIFEST = "/etc/kubernetes/manifests/kube-vip.yaml"
ADMIN = "/etc/kubernetes/admin.conf"
SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"
ADMIN_MAY_NOTHING = (1, 29)
"""From here on admin.conf has no rights before kubeadm has ended; super-admin.conf has."""

_INTERFACE_HERE = "__KUBEXMS_INTERFACE__"


def kubevip_step(plan: ClusterPlan) -> list[StepSpec]:
    """The manifest on a control plane that is a member; none without kube-vip."""
    content = kubevip_pod(plan)
    return (
        [] if content is None else [step("virtual-ip", "file", path=MANIFEST, content=content, mode="0600")]
    )


def kubevip_pod(plan: ClusterPlan, *, begins: bool = False) -> Template | None:
    """The static pod, or None. `begins`: while kubeadm begins the cluster by way of this address."""
    virtual = plan.spec.endpoint.virtual_ip
    image = kubevip_image(plan)
    if virtual is None or virtual.provider != "kube-vip" or image is None:
        return None
    early = begins and plan.version.release >= ADMIN_MAY_NOTHING
    environment = {
        "address": virtual.address,
        "port": str(API_PORT),
        "vip_arp": "true",
        "vip_interface": virtual.interface or _INTERFACE_HERE,
        # one of the two is known, which one depends on its version
        "vip_cidr": "32",
        "vip_subnet": "32",
        "cp_enable": "true",
        "cp_namespace": "kube-system",
        "vip_leaderelection": "true",
        "vip_leasename": "plndr-cp-lock",
        "vip_leaseduration": "5",
        "vip_renewdeadline": "3",
        "vip_retryperiod": "1",
    }
    variables: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in environment.items()]
    variables.append({"name": "vip_nodename", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})
    container: dict[str, Any] = {
        "name": "kube-vip",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["manager"],
        "env": variables,
        "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}},
        "volumeMounts": [{"name": "kubeconfig", "mountPath": ADMIN, "readOnly": True}],
    }
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "kube-vip", "namespace": "kube-system"},
        "spec": {
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            # the name by which it goes to the API, and for which every API server has a certificate
            "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["kubernetes"]}],
            "containers": [container],
            "volumes": [
                {"name": "kubeconfig", "hostPath": {"path": SUPER_ADMIN if early else ADMIN, "type": "File"}}
            ],
        },
    }
    return Template(text(dump_yaml(pod), quoted=False).replace(_INTERFACE_HERE, f'"{INTERFACE}"'))


def kubevip_image(plan: ClusterPlan) -> str | None:
    """The reference of its image in the artifacts, which nodes get by digest."""
    if plan.artifacts is None or not plan.kubernetes_from_artifacts:
        return None
    for images in plan.artifacts.images(control_plane=True):
        if images[0].name == IMAGE:
            return images[0].ref or images[0].name
    return None
