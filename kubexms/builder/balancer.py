"""The module `endpoint`: haproxy in front of the API servers, on the hosts with the role `load-balancer`.

With `endpoint.virtualIP` keepalived beside it.
"""

from __future__ import annotations

from kubexms.builder.floating import keepalived_task
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import step, task
from kubexms.builder.topology import API_PORT, node_address
from kubexms.spec.cluster import LOAD_BALANCER
from kubexms.spec.pipeline import TaskSpec

_CONFIG = """\
global
    maxconn 4000
    log stdout format raw local0

defaults
    mode tcp
    log global
    retries 3
    option redispatch 1
    timeout connect 3s
    timeout client 1h
    timeout server 1h

listen kubernetes
    bind *:{port}
    option tcp-check
    default-server check inter 1s fall 2 rise 1
{servers}
"""
"""A server is out after two seconds, and who comes before that and is refused goes to the next one at once;
watches of the API live for up to an hour."""


def endpoint_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Nothing where no host is a load balancer: the endpoint is then a control plane or somebody else's."""
    if not plan.topology.load_balancers:
        return []
    servers = [
        f"    server {host.name} {node_address(host)}:{API_PORT}" for host in plan.topology.control_planes
    ]
    content = _CONFIG.format(port=plan.endpoint.port, servers="\n".join(servers))
    haproxy = task(
        "haproxy",
        [LOAD_BALANCER],
        [
            step("package", "package", packages=["haproxy"]),
            step("config", "file", path="/etc/haproxy/haproxy.cfg", content=content, mode="0644"),
            step("service", "service", unit="haproxy", enabled=True, running=True, reload_on=["config"]),
        ],
    )
    virtual = plan.spec.endpoint.virtual_ip
    return [haproxy] if virtual is None else [haproxy, keepalived_task(plan, virtual)]
