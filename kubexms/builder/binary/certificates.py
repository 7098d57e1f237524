"""Whose certificates there are, and who signs them: `kubernetes.type: binary`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from kubexms.builder import pki
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import ADDRESS, NAME, Arg, Template, step, task
from kubexms.spec.cluster import CONTROL_PLANE, WORKER
from kubexms.spec.pipeline import Dependency, StepSpec, TaskSpec, WaitScope

PKI = "/etc/kubernetes/pki"
CA, ETCD_CA, FRONT_PROXY_CA = f"{PKI}/ca", f"{PKI}/etcd/ca", f"{PKI}/front-proxy-ca"
SERVICE_ACCOUNTS = f"{PKI}/sa"


def authority_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The module `pki`: authorities and the key of service accounts; workers get what they trust."""
    tools, elsewhere = step("openssl", "package", packages=["openssl"]), plan.spec.etcd.external
    held = [
        tools,
        step("directory", "directory", path=PKI),
        *([] if elsewhere else [step("etcd-directory", "directory", path=f"{PKI}/etcd")]),
        _authority(plan, "ca", CA, f"{plan.name}-ca", with_key=True),
        *([] if elsewhere else [_authority(plan, "etcd-ca", ETCD_CA, f"{plan.name}-etcd-ca", with_key=True)]),
        _authority(plan, "front-proxy-ca", FRONT_PROXY_CA, f"{plan.name}-front-proxy-ca", with_key=True),
        step("service-accounts", "keyPair", path=SERVICE_ACCOUNTS, holders=holders(plan)),
    ]
    tasks = [task("authorities", [CONTROL_PLANE], held)]
    if plan.topology.workers:
        trusted = [
            tools,
            step("directory", "directory", path=PKI),
            _authority(plan, "ca", CA, f"{plan.name}-ca", with_key=False),
        ]
        after = [Dependency(task="authorities", scope=WaitScope.ALL)]
        tasks.append(task("trust", [WORKER], trusted, after=after))
    return tasks


def holders(plan: ClusterPlan) -> list[str]:
    """Who has the keys of the authorities."""
    return [host.name for host in plan.topology.control_planes]


def control_plane_certificates(plan: ClusterPlan) -> list[StepSpec]:
    """What a control plane's own parts show to each other."""
    kubelet_client = "kube-apiserver-kubelet-client"
    etcd = _issued(plan, "apiserver-etcd-client", f"{PKI}/apiserver-etcd-client", "kube-apiserver", ETCD_CA)
    return [
        # for an etcd elsewhere it is there already, made with the trust in its authority
        *([] if plan.spec.etcd.external else [etcd]),
        _api_server(plan, "issuedCertificate", {"keep_names": True}),
        _issued(plan, "apiserver-kubelet-client", f"{PKI}/apiserver-kubelet-client", kubelet_client, CA),
        _issued(plan, "front-proxy-client", f"{PKI}/front-proxy-client", "front-proxy", FRONT_PROXY_CA),
        _issued(plan, "admin", f"{PKI}/admin", "kubernetes-admin", CA, groups=["system:masters"]),
        _issued(
            plan, "controller-manager", f"{PKI}/controller-manager", "system:kube-controller-manager", CA
        ),
        _issued(plan, "scheduler", f"{PKI}/scheduler", "system:kube-scheduler", CA),
    ]


def retired_names(plan: ClusterPlan) -> StepSpec:
    """What the API server's certificate says beyond that leaves it, when nobody goes by it."""
    clients = [host.name for host in plan.topology.nodes]
    return _api_server(plan, "retiredNames", {"clients": clients})


def _api_server(plan: ClusterPlan, kind: str, more: Mapping[str, Arg]) -> StepSpec:
    own: list[Arg] = [NAME, ADDRESS, "localhost", "127.0.0.1"]
    return pki.issued(
        plan, "apiserver", f"{PKI}/apiserver", "kube-apiserver",
        authority=CA, holders=holders(plan), usages=["server"], sans=_api_names(plan, own),
        kind=kind, more=more,
    )  # fmt: skip


def node_certificates(plan: ClusterPlan) -> list[StepSpec]:
    """What a node shows: as a client of the API, and to the API server that asks it for logs."""
    user = Template(f"system:node:{NAME}")
    kubelet = _issued(
        plan, "kubelet-certificate", f"{PKI}/kubelet", user, CA,
        sans=[NAME, ADDRESS], client=True, groups=["system:nodes"],
    )  # fmt: skip
    if not plan.spec.kube_proxy.enabled:
        return [kubelet]
    return [
        kubelet,
        _issued(plan, "kube-proxy-certificate", f"{PKI}/kube-proxy", "system:kube-proxy", CA),
    ]


def _authority(plan: ClusterPlan, name: str, path: str, common_name: str, *, with_key: bool) -> StepSpec:
    return pki.authority(plan, name, path, common_name, holders=holders(plan), with_key=with_key)


def _issued(
    plan: ClusterPlan,
    name: str,
    path: str,
    common_name: str,
    authority: str,
    *,
    sans: list[Arg] | None = None,
    client: bool = False,
    groups: list[str] | None = None,
) -> StepSpec:
    """For a server where it has names of its own, else for a client; for both with `client`."""
    usages = [*(["server"] if sans else []), *(["client"] if client or not sans else [])]
    return pki.issued(
        plan, name, path, common_name,
        authority=authority, holders=holders(plan), usages=usages, sans=sans, groups=groups,
    )  # fmt: skip


def _api_names(plan: ClusterPlan, own: list[Arg]) -> list[Arg]:
    """Every name under which somebody may reach the API server of this host."""
    domain = plan.spec.network.dns_domain
    service = IPv4Network(plan.spec.network.service_cidr)[1]
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}"]
    more = [str(service), plan.endpoint.host, *filter(None, [plan.endpoint.address])]
    return [*dict.fromkeys([*own, *names, *more, *plan.spec.kubernetes.api_server.cert_sans])]
