"""etcd on hosts of its own, `etcd.type: external`: programs, authority, members, and what clients need."""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.builder.binary.units import running, unit
from kubexms.builder.fixed import moved
from kubexms.builder.pki import authority, issued
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import ADDRESS, NAME, NODE_ADDRESS, NODE_NAME, Arg, Template, step, task
from kubexms.builder.topology import node_address
from kubexms.spec.cluster import CONTROL_PLANE, ETCD
from kubexms.spec.pipeline import Dependency, StepSpec, TaskSpec, WaitScope
from kubexms.step.kinds._etcd.survey import BOOTSTRAP, client_url

PKI = "/etc/etcd"
"""Apart from the directories of Kubernetes, which kubeadm empties when it resets a host."""
CA, MEMBER, CLIENT = f"{PKI}/ca", f"{PKI}/member", f"{PKI}/apiserver-etcd-client"
DATA = "/var/lib/etcd"
USER, NO_SHELL = "etcd", "/usr/sbin/nologin"
PROGRAMS = ("etcd", "etcdctl")

HEALTHY = (
    f"-+/usr/bin/timeout 30 /bin/sh -c 'until [ -e {BOOTSTRAP} ] || ETCDCTL_API=3 /usr/local/bin/etcdctl "
    f"--endpoints https://127.0.0.1:2379 --cacert {CA}.crt --cert {MEMBER}.crt "
    f"--key {MEMBER}.key endpoint health >/dev/null 2>&1; do sleep 1; done'"
)
"""A restart has ended when the member is healthy, so that the next host waits for it. After half a minute it
goes on: health may need members that come later. When the data is made, the member's own step waits."""
CONDITIONS = {"ConditionPathExists": (f"|{DATA}/member", f"|{BOOTSTRAP}")}
"""Without data it does not start: it would begin an empty etcd of its own."""


def endpoints(plan: ClusterPlan) -> list[str]:
    """Where the API servers find etcd; nothing where it is beside them."""
    addresses = [node_address(host) for host in plan.topology.etcd] if plan.spec.etcd.external else []
    return [client_url(address) for address in addresses if address is not None]


def program_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """etcd and its client, on its hosts; nothing is restarted here."""
    if not plan.spec.etcd.external or plan.artifacts is None:
        return []
    names = [name for name in (*PROGRAMS, "etcdutl") if plan.artifacts.program(name)]
    downloads = []
    for name in names:
        found = plan.artifacts.program(name)
        file, digest = plan.artifacts.file(found), plan.artifacts.digest(found)
        path = f"/usr/local/bin/{name}"
        downloads.append(step(name, "download", path=path, source=file, sha256=digest, mode="0755"))
    return [task("etcd", [ETCD], downloads)]


def trust_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The authority, whose key stays with etcd, and what control planes show to it."""
    if not plan.spec.etcd.external:
        return []
    tools = step("openssl", "package", packages=["openssl"])
    directory = step("directory", "directory", path=PKI)
    account: dict[str, Arg] = {"system": True, "home": DATA, "createHome": False, "shell": NO_SHELL}
    after = [Dependency(task="etcd-authority", scope=WaitScope.ALL)]
    client = _issued(plan, "client", CLIENT, "kube-apiserver-etcd-client")
    return [
        task(
            "etcd-authority",
            [ETCD],
            [tools, step("user", "user", user=USER, **account), directory, _authority(plan, with_key=True)],
        ),
        task(
            "etcd-client",
            [CONTROL_PLANE],
            [tools, directory, _authority(plan, with_key=False), client],
            after=after,
        ),
    ]


def member_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """A member on each host; the module goes through them one at a time."""
    own: list[Arg] = [NAME, ADDRESS, "localhost", "127.0.0.1"]
    certificate = _issued(plan, "certificate", MEMBER, NAME, sans=own, owner=USER)
    data = step("data", "directory", path=DATA, mode="0700", owner=USER, group=USER)
    [written, restarted] = running("etcd", _unit(plan), ["unit", "certificate"], switched=False)
    member = step("member", "etcdMember", member_name=NAME, **_etcd(plan))
    return [*_lost(plan), task("member", [ETCD], [certificate, data, written, member, restarted])]


def _lost(plan: ClusterPlan) -> list[TaskSpec]:
    """Before anybody joins: etcd takes nobody in while one of its members does not work."""
    if not plan.spec.lost_nodes:
        return []
    lost = step(
        "member",
        "etcdMember",
        for_each=list(plan.spec.lost_nodes),
        run_once=True,
        state="absent",
        member_name=Template("{{ each.value }}"),
        **_etcd(plan),
    )
    return [task("lost", [ETCD], [lost])]


def _etcd(plan: ClusterPlan) -> dict[str, Arg]:
    members: dict[str, Arg] = {host.name: node_address(host) for host in plan.topology.etcd}
    return {
        "cluster": plan.name, "members": members, "data_dir": DATA, "authority": CA, "certificate": MEMBER,
    }  # fmt: skip


def fixed_etcd(plan: ClusterPlan, name: str) -> StepSpec:
    """Refuses control planes whose etcd is elsewhere than the document says."""
    manifests, units = "/etc/kubernetes/manifests", "/etc/systemd/system"
    here = f"test ! -e {manifests}/etcd.yaml && test ! -e {units}/etcd.service\n"
    there = (
        f"grep -qse '--etcd-cafile={CA}.crt' {manifests}/kube-apiserver.yaml {units}/kube-apiserver.service"
    )
    check = here if plan.spec.etcd.external else f"! {there}\n"
    return step(name, "assert", check=check, message=moved("etcd.type"))


def _unit(plan: ClusterPlan) -> Template:
    """Who the other members are is no part of it: that matters when the data is made, and changes later."""
    peer = f"https://{NODE_ADDRESS}:2380"
    flags = {
        "name": NODE_NAME,
        "data-dir": DATA,
        "listen-client-urls": f"https://127.0.0.1:2379,https://{NODE_ADDRESS}:2379",
        "advertise-client-urls": f"https://{NODE_ADDRESS}:2379",
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "cert-file": f"{MEMBER}.crt",
        "key-file": f"{MEMBER}.key",
        "client-cert-auth": "true",
        "trusted-ca-file": f"{CA}.crt",
        "peer-cert-file": f"{MEMBER}.crt",
        "peer-key-file": f"{MEMBER}.key",
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": f"{CA}.crt",
        "snapshot-count": "10000",
        **plan.spec.etcd.extra_args,
    }
    found = plan.artifacts.program("etcd") if plan.artifacts is not None else []
    service = {
        "Type": "exec",
        "User": USER,
        "EnvironmentFile": f"-{BOOTSTRAP}",
        "ExecStartPost": HEALTHY,
        "OOMScoreAdjust": "-999",
    }
    version = found[0].version if found else ""
    return unit("etcd", "etcd of Kubernetes", flags, version=version, conditions=CONDITIONS, service=service)


def _holders(plan: ClusterPlan) -> list[str]:
    return [host.name for host in plan.topology.etcd]


def _authority(plan: ClusterPlan, *, with_key: bool) -> StepSpec:
    return authority(plan, "ca", CA, f"{plan.name}-etcd-ca", holders=_holders(plan), with_key=with_key)


def _issued(
    plan: ClusterPlan,
    name: str,
    path: str,
    common_name: str,
    *,
    sans: Sequence[Arg] | None = None,
    owner: str | None = None,
) -> StepSpec:
    usages = ["server", "client"] if sans else ["client"]
    return issued(
        plan, name, path, common_name,
        authority=CA, holders=_holders(plan), usages=usages, sans=sans, owner=owner,
    )  # fmt: skip
