"""The module `os`: names, swap, kernel modules, kernel parameters and packages of every node."""

from __future__ import annotations

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.rotation import KUBELET_CONF, endpoint_answers
from kubexms.builder.steps import Template, step, task
from kubexms.builder.topology import node_address
from kubexms.spec.pipeline import StepSpec, TaskSpec

MODULES = ("overlay", "br_netfilter")
IPVS_MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack")
SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
}
AT_LEAST = {"fs.inotify.max_user_instances": "8192", "fs.inotify.max_user_watches": "524288"}
"""Limits that kubelet and containers reach with the kernel's own values; larger ones stay."""


def system_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """What a system needs before a container runs on it."""
    tasks: list[TaskSpec] = []
    names = {of[0]: {"ip": ip, "names": of} for ip, of in names_by_address(plan).items()}
    if names:
        entry = Template("{{ each.value.ip }}"), Template("{{ each.value.names }}")
        hosts = step(
            "entry",
            "hostsEntry",
            for_each=names,
            ip=entry[0],
            names=entry[1],
            # the endpoint's former name stays while the node goes by it
            keep_named_in=KUBELET_CONF,
        )
        tasks.append(task("names", plan.topology.all_roles, [*endpoint_answers(plan), hosts]))
    tasks.append(task("kernel", plan.topology.node_roles, _kernel(plan)))
    if plan.spec.operating_system.packages:
        packages = step("packages", "package", packages=plan.spec.operating_system.packages)
        tasks.append(task("packages", plan.topology.node_roles, [packages]))
    return tasks


def names_by_address(plan: ClusterPlan) -> dict[str, list[str]]:
    """What the hosts files say; the endpoint's name may share a host's address."""
    by_address: dict[str, list[str]] = {}
    if plan.spec.operating_system.hosts_file:
        for host in plan.topology.hosts:
            address = node_address(host)
            assert address is not None  # a check has told
            by_address.setdefault(address, []).append(host.name)
    if plan.endpoint.address is not None:
        by_address.setdefault(plan.endpoint.address, []).append(plan.endpoint.host)
    return by_address


def _kernel(plan: ClusterPlan) -> list[StepSpec]:
    settings = plan.spec.operating_system
    ipvs = IPVS_MODULES if plan.spec.kube_proxy.config.get("mode") == "ipvs" else ()
    modules = dict.fromkeys([*MODULES, *ipvs, *settings.kernel_modules])
    least = {key: value for key, value in AT_LEAST.items() if key not in settings.sysctls}
    key, value = Template("{{ each.key }}"), Template("{{ each.value }}")
    return [
        step("swap", "swap", state="off"),
        step("module", "kernelModule", for_each=list(modules), module=value),
        step("parameter", "sysctl", for_each={**SYSCTLS, **settings.sysctls}, key=key, value=value),
        *([step("limit", "sysctl", for_each=least, key=key, value=value, at_least=True)] if least else []),
    ]
