"""etcd by units: on hosts of its own (`etcd.type: external`), and on control planes without kubeadm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.builder.binary.units import running, unit
from kubexms.builder.fixed import moved
from kubexms.builder.pki import authority, issued
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import ADDRESS, NAME, NODE_ADDRESS, NODE_NAME, Arg, Template, step, task
from kubexms.builder.topology import node_address
from kubexms.spec.cluster import CONTROL_PLANE, ETCD
from kubexms.spec.inventory import Host
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
    "--endpoints https://127.0.0.1:2379 --cacert AUTHORITY.crt --cert CERTIFICATE.crt "
    "--key CERTIFICATE.key endpoint health >/dev/null 2>&1; do sleep 1; done'"
)
"""A restart has ended when the member is healthy, so that the next host waits for it. After half a minute it
goes on: health may need members that come later. When the data is made, the member's own step waits."""
CONDITIONS = {"ConditionPathExists": (f"|{DATA}/member", f"|{BOOTSTRAP}")}
"""Without data it does not start: it would begin an empty etcd of its own."""


@dataclass(frozen=True)
class Members:
    """Which hosts have a member, and what it shows to others: base paths."""

    role: str
    hosts: Sequence[Host]
    authority: str
    certificate: str
    user: str | None = None
    """Who it runs as; None: root."""
    adopts: bool = False
    """Members that earlier versions have begun are there without a record of it."""


def separate(plan: ClusterPlan) -> Members:
    """Those on hosts of their own."""
    return Members(ETCD, plan.topology.etcd, CA, MEMBER, USER)


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
    client = issued(
        plan, "client", CLIENT, "kube-apiserver-etcd-client",
        authority=CA, holders=_holders(plan), usages=["client"],
    )  # fmt: skip
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


def certificate(plan: ClusterPlan, of: Members) -> StepSpec:
    """What a member shows to clients, and to the other members, whose client it is."""
    own: list[Arg] = [NAME, ADDRESS, "localhost", "127.0.0.1"]
    return issued(
        plan, "certificate", of.certificate, NAME, authority=of.authority,
        holders=[host.name for host in of.hosts], usages=["server", "client"], sans=own, owner=of.user,
    )  # fmt: skip


def member_tasks(plan: ClusterPlan, of: Members) -> list[TaskSpec]:
    """A member on each host; the module goes through them one at a time."""
    data = step("data", "directory", path=DATA, mode="0700", owner=of.user, group=of.user)
    [written, restarted] = running("etcd", _unit(plan, of), ["unit", "certificate"], switched=False)
    member = step("member", "etcdMember", member_name=NAME, **_etcd(plan, of), adopts=of.adopts or None)
    steps = [certificate(plan, of), data, written, member, restarted]
    return [*_lost(plan, of), task("member", [of.role], steps)]


def _lost(plan: ClusterPlan, of: Members) -> list[TaskSpec]:
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
        **_etcd(plan, of),
    )
    return [task("lost", [of.role], [lost])]


def _etcd(plan: ClusterPlan, of: Members) -> dict[str, Arg]:
    members: dict[str, Arg] = {host.name: node_address(host) for host in of.hosts}
    return {
        "cluster": plan.name, "members": members, "data_dir": DATA,
        "authority": of.authority, "certificate": of.certificate,
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


def _unit(plan: ClusterPlan, of: Members) -> Template:
    """Who the other members are is no part of it: that matters when the data is made, and changes later."""
    peer = f"https://{NODE_ADDRESS}:2380"
    flags = {
        "name": NODE_NAME,
        "data-dir": DATA,
        "listen-client-urls": f"https://127.0.0.1:2379,https://{NODE_ADDRESS}:2379",
        "advertise-client-urls": f"https://{NODE_ADDRESS}:2379",
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "cert-file": f"{of.certificate}.crt",
        "key-file": f"{of.certificate}.key",
        "client-cert-auth": "true",
        "trusted-ca-file": f"{of.authority}.crt",
        "peer-cert-file": f"{of.certificate}.crt",
        "peer-key-file": f"{of.certificate}.key",
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": f"{of.authority}.crt",
        "snapshot-count": "10000",
        **plan.spec.etcd.extra_args,
    }
    found = plan.artifacts.program("etcd") if plan.artifacts is not None else []
    service = {
        "Type": "exec",
        **({"User": of.user} if of.user else {}),
        "EnvironmentFile": f"-{BOOTSTRAP}",
        "ExecStartPost": HEALTHY.replace("AUTHORITY", of.authority).replace("CERTIFICATE", of.certificate),
        "OOMScoreAdjust": "-999",
    }
    version = found[0].version if found else ""
    return unit("etcd", "etcd of Kubernetes", flags, version=version, conditions=CONDITIONS, service=service)


def _holders(plan: ClusterPlan) -> list[str]:
    return [host.name for host in plan.topology.etcd]


def _authority(plan: ClusterPlan, *, with_key: bool) -> StepSpec:
    return authority(plan, "ca", CA, f"{plan.name}-etcd-ca", holders=_holders(plan), with_key=with_key)
