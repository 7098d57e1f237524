"""The module `preflight`: what hosts must have before anything is done to them. It changes nothing.

A plan in which one of these does not hold is an error, and says what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.builder.binary.fixed import fixed_in_units
from kubexms.builder.etcd import fixed_etcd
from kubexms.builder.fixed import fixed_on_control_planes
from kubexms.builder.floating import virtual_ip_checks
from kubexms.builder.kubevip import MANIFEST
from kubexms.builder.packagechecks import packages_there
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.protectionchecks import protection_checks
from kubexms.builder.rotation import balancer_stays, endpoint_leads_here, kubevip_stays
from kubexms.builder.snapshots import schedule_checks
from kubexms.builder.steps import ADDRESS, ADDRESS_EXPRESSION, Template, step, task
from kubexms.builder.topology import API_PORT
from kubexms.spec.cluster import CONTROL_PLANE, ETCD, LOAD_BALANCER, WORKER
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import StepSpec, TaskSpec

NODE_PORTS = {"10250": "kubelet", "10256": "kube-proxy"}
CONTROL_PLANE_PORTS = {
    str(API_PORT): "kube-apiserver",
    "10257": "kube-controller",
    "10259": "kube-scheduler",
}
ETCD_PORTS = {"2379": "etcd", "2380": "etcd"}
"""Ports, and the beginning of the name of the program that may have them."""

JOINED = "/etc/kubernetes/kubelet.conf"
"""Is there on a host that is a node already; what a new node must have is not asked of it again."""


def preflight_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """One task for every host of the cluster, then one per role."""
    tasks = [task("host", plan.topology.all_roles, _identity(plan))]
    tasks.append(task("node", plan.topology.node_roles, _node(plan)))
    tasks.append(task("control-plane", [CONTROL_PLANE], _control_plane(plan)))
    if plan.spec.etcd.external:
        tasks.append(task("etcd", [ETCD], [*schedule_checks(plan), _ports("port", ETCD_PORTS)]))
    if plan.topology.workers:
        tasks.append(task("worker", [WORKER], endpoint_leads_here(plan)))
    if plan.topology.load_balancers:
        ports = {str(plan.endpoint.port): "haproxy"}
        virtual = plan.spec.endpoint.virtual_ip
        balancers = plan.topology.load_balancers
        floating = [] if virtual is None else virtual_ip_checks(virtual, plan.endpoint.port, balancers)
        stays = balancer_stays(plan)
        tasks.append(task("load-balancer", [LOAD_BALANCER], [_ports("port", ports), *stays, *floating]))
    return tasks


def _identity(plan: ClusterPlan) -> list[StepSpec]:
    hosts = plan.topology.hosts
    steps = [
        step(
            "systemd",
            "assert",
            that=Template("{{ facts.init == 'systemd' }}"),
            message="this host does not run systemd, which kubexms needs on every host of a cluster",
        ),
        step(
            "root",
            "assert",
            that=Template("{{ facts.uid == 0 }}"),
            message=Template(
                "kubexms is {{ facts.user }} on this host, and a cluster needs root: have it say "
                "`become: {method: sudo}` in its connection"
            ),
        ),
        step(
            "address",
            "assert",
            that=Template(f"{{{{ ({ADDRESS_EXPRESSION}) in facts.addresses.ipv4 }}}}"),
            message=Template(
                f"{ADDRESS} is no address of this host (it has {{{{ facts.addresses.ipv4 | join(', ') }}}}): "
                "give its own one in the host's variable nodeAddress"
            ),
        ),
    ]
    if len(hosts) > 1:
        copies = "they are copies of one image: remove /etc/machine-id and run systemd-machine-id-setup"
        names = "give every host a name of its own (hostnamectl)"
        steps += [
            _unique("hostname", "hostname", names, hosts),
            _unique("machine-id", "machine_id", copies, hosts),
        ]
    if plan.spec.preflight.clock_skew:
        steps.append(_clock(plan.spec.preflight.clock_skew))
    return steps


def _unique(name: str, fact: str, advice: str, hosts: Sequence[Host]) -> StepSpec:
    same = f"selectattr('facts.{fact}', 'equalto', facts.{fact})"
    shared = f"{_members(hosts)} | {same} | map(attribute='name') | list"
    return step(
        name,
        "assert",
        that=Template(f"{{{{ ({shared}) | length <= 1 }}}}"),
        message=Template(
            f"the {name} {{{{ facts.{fact} }}}} is that of {{{{ ({shared}) | join(', ') }}}}: {advice}"
        ),
    )


def _clock(limit: int) -> StepSpec:
    return step(
        "clock",
        "assert",
        that=Template(f"{{{{ (facts.clock_skew | abs) <= {limit} }}}}"),
        message=Template(
            "this host's clock is {{ facts.clock_skew | abs }} seconds "
            "{{ 'ahead of' if facts.clock_skew > 0 else 'behind' }} that of this machine: let chrony or "
            "systemd-timesyncd set both"
        ),
    )


def _members(hosts: Sequence[Host]) -> str:
    names = ", ".join(repr(host.name) for host in hosts)
    return f"hosts.all | selectattr('name', 'in', [{names}])"


def _node(plan: ClusterPlan) -> list[StepSpec]:
    settings = plan.spec.preflight
    steps: list[StepSpec] = []
    if plan.artifacts is not None and plan.artifacts.architectures:
        known = list(plan.artifacts.architectures)
        steps.append(
            step(
                "architecture",
                "assert",
                that=Template(f"{{{{ facts.arch in {known!r} }}}}"),
                message=Template(
                    f"there are artifacts for {', '.join(known)}, and this host is {{{{ facts.arch }}}}"
                ),
            )
        )
    steps += packages_there(plan)
    if settings.worker_memory_mb:
        steps.append(_memory("memory", settings.worker_memory_mb, "a node"))
    if settings.disk_mb:
        steps.append(_disk(settings.disk_mb))
    network = plan.spec.network
    for name, cidr in (("pod-network", network.pod_cidr), ("service-network", network.service_cidr)):
        steps.append(_no_route(name, cidr))
    steps.append(_ports("port", NODE_PORTS if plan.spec.kube_proxy.enabled else {"10250": "kubelet"}))
    return steps


def _control_plane(plan: ClusterPlan) -> list[StepSpec]:
    settings = plan.spec.preflight
    steps: list[StepSpec] = []
    if settings.cpus:
        steps.append(
            step(
                "cpus",
                "assert",
                that=Template(f"{{{{ facts.cpus >= {settings.cpus} }}}}"),
                message=Template(
                    f"a control plane needs {settings.cpus} processors; this host has {{{{ facts.cpus }}}}"
                ),
            )
        )
    if settings.control_plane_memory_mb:
        steps.append(_memory("memory", settings.control_plane_memory_mb, "a control plane"))
    steps += protection_checks(plan)
    ports = CONTROL_PLANE_PORTS if plan.spec.etcd.external else CONTROL_PLANE_PORTS | ETCD_PORTS
    if plan.binary:
        return [*steps, *fixed_in_units(plan), _ports("port", ports)]
    steps += [] if plan.spec.etcd.external else schedule_checks(plan)
    return [
        *steps,
        *fixed_on_control_planes(plan),
        fixed_etcd(plan, "etcd"),
        *_kubevip(plan),
        _ports("port", ports),
    ]


def _kubevip(plan: ClusterPlan) -> list[StepSpec]:
    virtual = plan.spec.endpoint.virtual_ip
    if virtual is None or virtual.provider != "kube-vip":
        return []
    checks = virtual_ip_checks(virtual, API_PORT, plan.topology.control_planes, MANIFEST)
    return [*checks, *kubevip_stays(plan, virtual)]


def _memory(name: str, least: int, what: str) -> StepSpec:
    return step(
        name,
        "assert",
        that=Template(f"{{{{ facts.memory_mb >= {least} }}}}"),
        message=Template(f"{what} needs {least} MiB of memory, and this host has {{{{ facts.memory_mb }}}}"),
    )


def _disk(least: int) -> StepSpec:
    check = (
        f"test ! -e {JOINED} || exit 0\n"
        "df -Pk /var/lib | awk 'NR == 2 { device = $1; room = int($4 / 1024); at = $NF }\n"
        "    END {\n"
        f"        if (room >= {least}) exit 0\n"
        '        print room " MiB are free there, on " device ", mounted at " at "."\n'
        "        exit 1\n"
        "    }'\n"
    )
    message = f"a node needs {least} MiB of room below /var/lib: make room, or set preflight.diskMb"
    return step("disk", "assert", check=check, message=message, show_output=True)


def _no_route(name: str, cidr: str) -> StepSpec:
    """Neither a route into the network nor one around it; the default route is none of these."""
    check = (
        f"test ! -e {JOINED} || exit 0\n"
        "command -v ip >/dev/null 2>&1 || exit 0\n"
        f'test -z "$(ip -4 route show root {cidr}; ip -4 route show match {cidr} | grep -v "^default")"\n'
    )
    what = name.replace("-", " ")
    return step(
        name,
        "assert",
        check=check,
        message=f"this host has a route into {cidr}, the {what}: choose another (`ip route` shows it)",
    )


def _ports(name: str, ports: dict[str, str]) -> StepSpec:
    message = "another program than {{ each.value }} listens on port {{ each.key }}: stop it"
    return step(
        name,
        "assert",
        for_each=ports,
        check=Template(_PORT),
        message=Template(message),
        show_output=True,
    )


# Without ss it is told who has a port, but not whether the cluster's own program has the others: a search
# through all processes is for refusals only.
_PORT = f"""\
if command -v ss >/dev/null 2>&1; then
    ss -H -ltnp 'sport = :{{{{ each.key }}}}' | grep -v '"{{{{ each.value }}}}' | awk '{{
        bad = 1
        if (!match($0, /"[^"]*",pid=[0-9]+/)) next
        split(substr($0, RSTART, RLENGTH), part, /",pid=/)
        who = substr(part[1], 2) " (process " part[2] ")"
        if (!seen[who " " $4]++) print who " listens on " $4 "."
    }} END {{ exit bad }}'
    exit
fi
test ! -e {JOINED} || exit 0
sockets=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '
    $2 ~ /:{{{{ '%04X' % (each.key | int) }}}}$/ && $4 == "0A" {{ print "socket:[" $10 "]" }}')
test -n "$sockets" || exit 0
for process in /proc/[0-9]*; do
    for handle in "$process"/fd/*; do
        case $(readlink "$handle") in socket:*) ;; *) continue ;; esac
        printf '%s\\n' "$sockets" | grep -qxF "$(readlink "$handle")" || continue
        echo "$(cat "$process/comm") (process ${{process#/proc/}}) listens on it."
        break
    done
done 2>/dev/null
exit 1
"""
