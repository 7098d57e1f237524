"""The tasks of a control plane whose parts are units: etcd, API server, controller manager, scheduler."""

from __future__ import annotations

from kubexms.builder import etcd
from kubexms.builder.binary.certificates import (
    CA,
    ETCD_CA,
    FRONT_PROXY_CA,
    PKI,
    SERVICE_ACCOUNTS,
    control_plane_certificates,
)
from kubexms.builder.binary.credentials import DIRECTORY, HERE, kubeconfig
from kubexms.builder.binary.nodes import member_steps
from kubexms.builder.binary.units import running, unit
from kubexms.builder.members import lost_tasks
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.protection import api_server_flags, protection_sources, protection_tasks
from kubexms.builder.steps import NODE_ADDRESS, step, task
from kubexms.builder.topology import API_PORT
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.cluster import CONTROL_PLANE
from kubexms.spec.pipeline import StepSpec, TaskSpec

INSECURE_UNTIL = (1, 23)
"""Up to this minor version the programs have ports without TLS, which are switched off by a flag."""
READY = (
    "/usr/bin/timeout 150 /bin/sh -c 'until /usr/local/bin/kubectl --cache-dir /dev/null/no "
    "--kubeconfig /etc/kubernetes/admin.conf get --raw /readyz >/dev/null 2>&1; do sleep 1; done'"
)
"""A start of the API server has ended when it is ready: the next control plane waits for that."""

_TO_KUBELETS: dict[str, Json] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "kubexms:apiserver-to-kubelets"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:kubelet-api-admin",
    },
    "subjects": [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kube-apiserver-kubelet-client"}
    ],
}


def control_plane_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """In the order in which a control plane comes up; the module goes through the hosts one at a time."""
    name = plan.name
    credentials = [
        *control_plane_certificates(plan),
        kubeconfig("admin-conf", "admin", name, HERE, "admin"),
        kubeconfig("controller-manager-conf", "controller-manager", name, HERE, "controller-manager"),
        kubeconfig("scheduler-conf", "scheduler", name, HERE, "scheduler"),
    ]
    access = step("kubelets", "manifest", run_once=True, manifest=dump_yaml(_TO_KUBELETS))
    return [
        *lost_tasks(plan),
        *protection_tasks(plan),
        task("credentials", [CONTROL_PLANE], credentials),
        task("apiserver", [CONTROL_PLANE], _api_server(plan)),
        task("controller-manager", [CONTROL_PLANE], _controllers(plan)),
        task("scheduler", [CONTROL_PLANE], _scheduler(plan)),
        task("member", [CONTROL_PLANE], member_steps(plan, CONTROL_PLANE)),
        # taken away in the opposite order: while there is an API
        task("access", [CONTROL_PLANE], [access]),
        *_fetched(plan),
    ]


def _fetched(plan: ClusterPlan) -> list[TaskSpec]:
    """The administrator's kubeconfig; the one on the host names that host alone."""
    given = plan.spec.kubeconfig
    if given is None:
        return []
    server = given.server or f"https://{plan.endpoint.text}"
    sources = ["credentials/admin", "credentials/admin-conf"]
    fetched = step(
        "kubeconfig", "kubeconfig", run_once=True, path=given.path, server=server, fetch_on=sources
    )
    return [task("fetched", [CONTROL_PLANE], [fetched])]


def _api_server(plan: ClusterPlan) -> list[StepSpec]:
    network, elsewhere = plan.spec.network, plan.spec.etcd.external
    authority, client = ETCD_CA, f"{PKI}/apiserver-etcd-client"
    if elsewhere:
        authority, client = etcd.CA, etcd.CLIENT
    flags = {
        "advertise-address": NODE_ADDRESS,
        "secure-port": str(API_PORT),
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "client-ca-file": f"{CA}.crt",
        "tls-cert-file": f"{PKI}/apiserver.crt",
        "tls-private-key-file": f"{PKI}/apiserver.key",
        "etcd-servers": ",".join(etcd.endpoints(plan)) or "https://127.0.0.1:2379",
        "etcd-cafile": f"{authority}.crt",
        "etcd-certfile": f"{client}.crt",
        "etcd-keyfile": f"{client}.key",
        "kubelet-certificate-authority": f"{CA}.crt",
        "kubelet-client-certificate": f"{PKI}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{PKI}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,Hostname",
        "proxy-client-cert-file": f"{PKI}/front-proxy-client.crt",
        "proxy-client-key-file": f"{PKI}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy",
        "requestheader-client-ca-file": f"{FRONT_PROXY_CA}.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "service-account-issuer": f"https://kubernetes.default.svc.{network.dns_domain}",
        "service-account-key-file": f"{SERVICE_ACCOUNTS}.pub",
        "service-account-signing-key-file": f"{SERVICE_ACCOUNTS}.key",
        "service-cluster-ip-range": network.service_cidr,
        **_without_insecure_port(plan, "insecure-port"),
        **api_server_flags(plan.spec),
        **plan.spec.kubernetes.api_server.extra_args,
    }
    service = {"Type": "notify", "ExecStartPost": READY, "TimeoutStartSec": "300"}
    after = "network-online.target" if elsewhere else "network-online.target etcd.service"
    content = unit(
        "kube-apiserver", "API server of Kubernetes", flags,
        version=str(plan.version), after=after, service=service,
    )  # fmt: skip
    # what it shows to an etcd elsewhere it reads anew at each connection
    used = ["apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"]
    if elsewhere:
        used.remove("apiserver-etcd-client")
    sources = ["unit", *(f"credentials/{name}" for name in used), *protection_sources(plan.spec)]
    return running("kube-apiserver", content, sources)


def _controllers(plan: ClusterPlan) -> list[StepSpec]:
    conf, network = f"{DIRECTORY}/controller-manager.conf", plan.spec.network
    flags = {
        "kubeconfig": conf,
        "authentication-kubeconfig": conf,
        "authorization-kubeconfig": conf,
        "bind-address": "127.0.0.1",
        "allocate-node-cidrs": "true",
        "node-cidr-mask-size": str(network.node_cidr_mask),
        "cluster-cidr": network.pod_cidr,
        "cluster-name": plan.name,
        "client-ca-file": f"{CA}.crt",
        "cluster-signing-cert-file": f"{CA}.crt",
        "cluster-signing-key-file": f"{CA}.key",
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{FRONT_PROXY_CA}.crt",
        "root-ca-file": f"{CA}.crt",
        "service-account-private-key-file": f"{SERVICE_ACCOUNTS}.key",
        "service-cluster-ip-range": network.service_cidr,
        "use-service-account-credentials": "true",
        **_without_insecure_port(plan, "port"),
        **plan.spec.kubernetes.controller_manager.extra_args,
    }
    name = "kube-controller-manager"
    content = unit(name, "Controllers of Kubernetes", flags, version=str(plan.version))
    used = ("controller-manager", "controller-manager-conf")
    return running(name, content, ["unit", *(f"credentials/{item}" for item in used)])


def _scheduler(plan: ClusterPlan) -> list[StepSpec]:
    conf = f"{DIRECTORY}/scheduler.conf"
    flags = {
        "kubeconfig": conf,
        "authentication-kubeconfig": conf,
        "authorization-kubeconfig": conf,
        "bind-address": "127.0.0.1",
        "leader-elect": "true",
        **_without_insecure_port(plan, "port"),
        **plan.spec.kubernetes.scheduler.extra_args,
    }
    content = unit("kube-scheduler", "Scheduler of Kubernetes", flags, version=str(plan.version))
    return running("kube-scheduler", content, ["unit", "credentials/scheduler", "credentials/scheduler-conf"])


def _without_insecure_port(plan: ClusterPlan, flag: str) -> dict[str, str]:
    return {flag: "0"} if plan.version.release <= INSECURE_UNTIL else {}
