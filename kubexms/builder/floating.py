"""The endpoint's address that moves between load balancers: keepalived, and what its hosts must have.

Format of keepalived.conf: keepalived.conf(5). VRRP goes from host to host (unicast), as many networks pass no
multicast on; nothing in it is secret.
"""

from __future__ import annotations

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import ADDRESS, ADDRESS_EXPRESSION, Template, step, task
from kubexms.builder.topology import API_PORT, node_address
from kubexms.spec.cluster import LOAD_BALANCER, VirtualIPSpec
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import StepSpec, TaskSpec

CONFIG = "/etc/keepalived/keepalived.conf"
REACHABLE = "/etc/keepalived/kubexms-reachable"
ROUTER_ID = 51
"""Known to the peers alone, as they talk to each other by address; 51 is what keepalived's examples have."""
HIGHEST = 200

INTERFACE = (
    f"{{% for name, link in facts.interfaces.items() if ({ADDRESS_EXPRESSION}) in link.ipv4 %}}"
    "{% if loop.first %}{{ name }}{% endif %}{% endfor %}"
)
"""The interface with the host's own address; that there is one is asked by the check of addresses."""

_SCRIPT = """\
#!/bin/bash
# kubexms-reachable ADDRESS:PORT...   whether one of them takes a connection within a second
for place in "$@"; do
    timeout 1 bash -c "exec 3<>/dev/tcp/${place%:*}/${place##*:}" 2>/dev/null && exit 0
done
exit 1
"""

_TEMPLATE = """\
global_defs {{
    router_id {name}
    script_user nobody
    enable_script_security
}}

# the haproxy of this host
vrrp_script balancer {{
    script "{reachable} 127.0.0.1:{port}"
    interval 1
    timeout 2
    fall 2
    rise 2
}}

# an API server that it can lead to; long enough for a restart of the only one
vrrp_script servers {{
    script "{reachable} {servers}"
    interval 3
    timeout {patience}
    fall 10
    rise 1
}}

# all begin as backup, and who has the address keeps it: a host that comes back takes nothing over
vrrp_instance endpoint {{
    state BACKUP
    nopreempt
    interface {interface}
    virtual_router_id {router}
    priority {priority}
    advert_int 1
{peers}    virtual_ipaddress {{
        {address}/32 dev {interface}
    }}
    track_script {{
        balancer
        servers
    }}
}}
"""


def keepalived_task(plan: ClusterPlan, virtual: VirtualIPSpec) -> TaskSpec:
    """The package, its health check, its configuration (another on each host) and the service."""
    config = step("config", "file", path=CONFIG, content=_config(plan, virtual), mode="0644")
    return task(
        "keepalived",
        [LOAD_BALANCER],
        [
            step("package", "package", packages=["keepalived"]),
            step("check", "file", path=REACHABLE, content=_SCRIPT, mode="0755", owner="root", group="root"),
            config,
            step("service", "service", unit="keepalived", enabled=True, running=True, reload_on=["config"]),
        ],
    )


def _config(plan: ClusterPlan, virtual: VirtualIPSpec) -> Template:
    balancers = plan.topology.load_balancers
    servers = [f"{node_address(host)}:{API_PORT}" for host in plan.topology.control_planes]
    priorities = {host.name: HIGHEST - place for place, host in enumerate(balancers)}
    return Template(
        _TEMPLATE.format(
            name="{{ host.name }}",
            reachable=REACHABLE,
            port=plan.endpoint.port,
            servers=" ".join(servers),
            patience=len(servers) + 1,
            interface=virtual.interface or INTERFACE,
            router=ROUTER_ID,
            priority=f"{{{{ {priorities!r}[host.name] }}}}",
            peers=_peers(balancers),
            address=virtual.address,
        )
    )


def _peers(balancers: tuple[Host, ...]) -> str:
    """The lines about the other hosts; none for a load balancer alone."""
    if len(balancers) == 1:
        return ""
    addresses = [str(node_address(host)) for host in balancers]
    others = (
        f"{{% for peer in {addresses!r} if peer != ({ADDRESS_EXPRESSION}) %}}"
        "        {{ peer }}\n{% endfor %}"
    )
    return f"    unicast_src_ip {ADDRESS}\n    unicast_peer {{\n{others}    }}\n"


def virtual_ip_checks(
    virtual: VirtualIPSpec, port: int, holders: tuple[Host, ...], config: str = CONFIG
) -> list[StepSpec]:
    """What a host must have that is to hold the address; nothing is asked again once `config` is there."""
    steps = []
    if virtual.interface is not None:
        known = Template(f"{{{{ {virtual.interface!r} in facts.interfaces }}}}")
        message = (
            f"this host has no interface {virtual.interface} (it has "
            "{{ facts.interfaces | list | join(', ') }}): give endpoint.virtualIP.interface "
            "another, or leave it out where the address is to be on the interface of the host's own"
        )
        steps.append(step("interface", "assert", that=known, message=Template(message)))
    neighbour = (
        f"test ! -e {config} || exit 0\n"
        "command -v ip >/dev/null 2>&1 || exit 0\n"
        f"ip -4 route get {virtual.address} | grep -q ' via ' && exit 1\nexit 0\n"
    )
    peers = " ".join(str(node_address(host)) for host in holders)
    taken = (
        f"test ! -e {config} || exit 0\n"
        "command -v ip >/dev/null 2>&1 && command -v bash >/dev/null 2>&1 || exit 0\n"
        # knock ADDRESS: prints what is said there; the kernel then knows who has the address
        f'knock() {{ LC_ALL=C timeout 2 bash -c ": >/dev/tcp/$1/{port}" 2>&1 && echo open; }}\n'
        "mac() { ip -4 neigh show to \"$1\" | sed -n 's/.*lladdr \\([^ ]*\\).*/\\1/p'; }\n"
        f"vip={virtual.address}\n"
        # an entry that is merely stale may be of a machine that is gone
        'case "$(knock "$vip") $(ip -4 neigh show to "$vip")" in\n'
        "*open* | *refused* | *REACHABLE*) ;;\n"
        "*) exit 0 ;;\n"
        "esac\n"
        'holder=$(mac "$vip")\n'
        # another one of them may have it already; without a MAC it is this host
        'test -n "$holder" || exit 0\n'
        f"for peer in {peers}; do\n"
        '    knock "$peer" >/dev/null\n'
        '    test "$(mac "$peer")" != "$holder" || exit 0\n'
        "done\n"
        "exit 1\n"
    )
    return [
        *steps,
        step(
            "virtual-ip-network",
            "assert",
            check=neighbour,
            message=f"{virtual.address} is in no network of this host (`ip route get {virtual.address}` goes "
            "through a router), so that nobody would find it here: take a free one in its network",
        ),
        step(
            "virtual-ip",
            "assert",
            check=taken,
            message=f"another machine has the address {virtual.address} already "
            f"(`ip neigh show to {virtual.address}` shows its MAC): give endpoint.virtualIP one that is free",
        ),
    ]
