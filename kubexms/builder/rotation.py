"""A cluster's endpoint that changes: what of it a plan refuses, and what a host waits for.

The order in which everybody is brought to the new one is that of the module `clients`.
"""

from __future__ import annotations

from kubexms.builder.floating import CONFIG as KEEPALIVED
from kubexms.builder.kubevip import MANIFEST
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import step
from kubexms.builder.topology import node_address
from kubexms.spec.cluster import VirtualIPSpec
from kubexms.spec.pipeline import StepSpec

KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
HAPROXY = "/etc/haproxy/haproxy.cfg"
ANSWERS_WITHIN = 600
"""Seconds for a load balancer that is being set up."""

# reach PLACE PORT: whether a packet comes there, and back; that nothing listens yet is an answer
_REACH = """\
reach() {
    command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1 || return 0
    said=$(LC_ALL=C timeout 3 bash -c "exec 3<>/dev/tcp/$1/$2" 2>&1) && return 0
    case $said in *refused*) return 0 ;; *) return 1 ;; esac
}
"""

# knock PLACE PORT: whether something takes a connection there; where that cannot be tried, it does
_KNOCK = """\
knock() {
    command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1 || return 0
    timeout 3 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null
}
"""


def endpoint_leads_here(plan: ClusterPlan) -> list[StepSpec]:
    """Asked of nodes that are to go by another endpoint than they do.

    One that nobody here sets up must lead to this cluster already; hosts that are to serve one must be
    reached, whatever runs there now.
    """
    endpoint = plan.endpoint
    same = f"grep -q 'server: https://{_regular(endpoint.text)}$' {KUBELET_CONF}"
    if endpoint.address is not None:
        same = f'{_was(endpoint.host)}{same} && test "$was" = {endpoint.address}'
    asked = f"test -r {KUBELET_CONF} || exit 0\nif {same}; then exit 0; fi\n"
    place, port = endpoint.address or endpoint.host, endpoint.port
    serving = _serving(plan, place)
    if serving:
        check = f"{asked}{_REACH}for place in {' '.join(serving)}; do reach $place {port} || exit 1; done\n"
        message = (
            f"this host does not reach {' and '.join(serving)} at port {port}, which is to be the way to the "
            "API: there is no route, or a firewall drops what is sent there"
        )
        return [step("endpoint", "assert", check=check, message=message)]
    check = (
        f"{asked}{_KNOCK}knock {place} {port} || exit 1\n"
        "command -v openssl >/dev/null 2>&1 || exit 0\n"
        f"timeout 5 openssl s_client -connect {place}:{port} -CAfile /etc/kubernetes/pki/ca.crt "
        "-verify_return_error </dev/null >/dev/null 2>&1\n"
    )
    message = (
        f"no API server of this cluster answers at {place}:{port}, which is to be the endpoint, as seen from "
        "this host: let it lead to the control planes first"
    )
    return [step("endpoint", "assert", check=check, message=message)]


def balancer_stays(plan: ClusterPlan) -> list[StepSpec]:
    """Asked of load balancers: nodes go by what these serve, until they go by something else."""
    port, virtual = plan.endpoint.port, plan.spec.endpoint.virtual_ip
    steps = [
        step(
            "port-in-use",
            "assert",
            check=f"test ! -e {HAPROXY} || ! grep -q '^listen kubernetes$' {HAPROXY} || "
            f"grep -q '^ *bind [*]:{port}$' {HAPROXY}\n",
            message="nodes reach the API by this load balancer at another port, which it would stop to serve "
            "before they know of the new one: put endpoint.port back, or bring the endpoint to another host "
            "first",
        )
    ]
    if virtual is not None:
        pattern = f"^ *{_regular(virtual.address)}/32 dev "
        steps.append(
            step(
                "address-in-use",
                "assert",
                check=f"test ! -e {KEEPALIVED} || ! grep -q '^vrrp_instance endpoint ' {KEEPALIVED} || "
                f"grep -q '{pattern}' {KEEPALIVED}\n",
                message="nodes reach the API by another address that moves, which keepalived would drop "
                "before they know of the new one: bring the endpoint to one load balancer first "
                "(endpoint.host, no virtualIP), and to the new address with the next apply",
            )
        )
    return steps


def kubevip_stays(plan: ClusterPlan, virtual: VirtualIPSpec) -> list[StepSpec]:
    """Asked of control planes with kube-vip, which come to its address after the hosts files."""
    same = f"grep -q 'server: https://{_regular(plan.endpoint.text)}$' {KUBELET_CONF}"
    steps = [
        step(
            "address-in-use",
            "assert",
            check=f"test ! -e {MANIFEST} || grep -q 'value: {_regular(virtual.address)}$' {MANIFEST}\n",
            message="nodes reach the API by another address that moves, which kube-vip would drop "
            "before they know of the new one: bring the endpoint to the address of one control plane first "
            "(endpoint.host, no virtualIP), and to the new address with the next apply",
        )
    ]
    if plan.endpoint.address is not None:
        moves = f'test -n "$was" && test "$was" != {virtual.address}'
        steps.append(
            step(
                "name-in-use",
                "assert",
                check=f"test -r {KUBELET_CONF} || exit 0\n{_was(plan.endpoint.host)}"
                f"if {same} && {moves}; then exit 1; fi\n",
                message=f"nodes reach the API by the name {plan.endpoint.host}, which would lead to "
                f"{virtual.address} before kube-vip is there: leave endpoint.host out first, so that they go "
                "by the address, and give it again with the next apply",
            )
        )
    return steps


def endpoint_answers(plan: ClusterPlan) -> list[StepSpec]:
    """On a node the endpoint's name gets another address only when something answers there."""
    name, address, port = plan.endpoint.host, plan.endpoint.address, plan.endpoint.port
    virtual = plan.spec.endpoint.virtual_ip
    if address is None or (virtual is not None and virtual.provider == "kube-vip"):
        return []
    command = (
        f"# something answers at {address}:{port}, where {name} is to lead to\n"
        f"test -e {KUBELET_CONF} || exit 0\n"
        f'{_was(name)}test -n "$was" && test "$was" != {address} || exit 0\n'
        f"{_KNOCK}knock {address} {port}\n"
    )
    balancing = [f"{plan.module('endpoint')}/{task}/service" for task in _balancing(plan)]
    return [
        step(
            "endpoint",
            "wait",
            description=f"{name} leads to {address} when something answers there",
            command=command,
            limit=ANSWERS_WITHIN,
            guard="off",
            depends_on=balancing or None,
        )
    ]


def _was(name: str) -> str:
    """Sh that sets `was` to the address that the hosts file gives the name."""
    lines = '{ sub(/#.*/, "") } { for (i = 2; i <= NF; i++) if ($i == name) { print $1; exit } }'
    return f"was=$(awk -v name={name} '{lines}' /etc/hosts)\n"


def _balancing(plan: ClusterPlan) -> list[str]:
    """A host that is a load balancer too would wait for itself."""
    if not plan.topology.load_balancers:
        return []
    return ["haproxy"] if plan.spec.endpoint.virtual_ip is None else ["haproxy", "keepalived"]


def _serving(plan: ClusterPlan, place: str) -> list[str]:
    """The addresses of this cluster's own hosts that are the endpoint, or have its address in turn."""
    if plan.spec.endpoint.virtual_ip is not None:
        holders = plan.topology.load_balancers or plan.topology.control_planes
        return [str(node_address(host)) for host in holders]
    return [place] if place in {node_address(host) for host in plan.topology.hosts} else []


def _regular(text: str) -> str:
    """A basic regular expression for a name, an address or a port."""
    return text.replace(".", "\\.")
