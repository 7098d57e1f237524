"""A Kubernetes cluster: what it is to be, as one document. A builder makes a pipeline of it.

Values here are data, never templates: a `{{` in them is passed on as it stands.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel, Name
from kubexms.spec.inventory import HostSpec

CONTROL_PLANE = "control-plane"
WORKER = "worker"
LOAD_BALANCER = "load-balancer"
ROLES = (CONTROL_PLANE, WORKER, LOAD_BALANCER)
"""What hosts can be in a cluster; a host may have other roles besides, which mean nothing here."""

NODE_ADDRESS = "nodeAddress"
"""The host variable that names a node's own address where it is not the one kubexms connects to."""

Arguments = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], str]
"""Command-line flags without their dashes, and their values."""
Source = Literal["artifacts", "packages"]
LabelKey = Annotated[
    str, Field(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]


class ComponentSpec(FrozenModel):
    """A component of the control plane."""

    extra_args: Arguments = Field(default_factory=dict)
    """Flags without their dashes: `{v: "2"}`. They win over what is set otherwise."""


class ApiServerSpec(ComponentSpec):
    """The API server."""

    cert_sans: tuple[str, ...] = Field(default=(), alias="certSANs")
    """Further names and addresses that its certificate is valid for. The endpoint's are in it anyway, and on
    each control plane its own."""


class KubeletSpec(FrozenModel):
    """The kubelet of every node."""

    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of the KubeletConfiguration: `{maxPods: 60}`. They win over what is set otherwise. Taken in when
    the cluster is made."""
    extra_args: Arguments = Field(default_factory=dict)
    """Flags without their dashes, for what the configuration has no field for."""


class KubernetesSpec(FrozenModel):
    """Which Kubernetes, and how its parts are set up."""

    version: str = Field(pattern=r"^v?1\.[0-9]{1,3}\.[0-9]{1,3}$")
    """The exact version, quoted: `"1.31.4"`. Another one of the same minor version is an upgrade."""
    source: Source | None = None
    """Where kubeadm, kubelet, kubectl and the images come from: `artifacts`, the directory that is named in
    `artifacts`, or `packages`, repositories that the hosts know already (images are then pulled). Default:
    `artifacts` where such a directory is given."""
    image_repository: str | None = Field(default=None, pattern=r"^[^\s]+$")
    """Where the control plane's images come from. Default: what this version of kubeadm says itself."""
    schedulable_control_planes: bool = False
    """Control planes run ordinary pods too, from when they join. Say so for a cluster without workers."""
    api_server: ApiServerSpec = ApiServerSpec()
    controller_manager: ComponentSpec = ComponentSpec()
    scheduler: ComponentSpec = ComponentSpec()
    kubelet: KubeletSpec = KubeletSpec()

    @property
    def number(self) -> str:
        """The version without a leading `v`."""
        return self.version.removeprefix("v")


class EtcdSpec(FrozenModel):
    """etcd, one member on every control plane."""

    extra_args: Arguments = Field(default_factory=dict)
    """Flags without their dashes: `{heartbeat-interval: "500", election-timeout: "5000"}` for slow disks. A
    member takes them in when it joins."""


class KubeProxySpec(FrozenModel):
    """kube-proxy, which makes Services work."""

    enabled: bool = True
    """False: the pod network replaces it."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of the KubeProxyConfiguration: `{mode: ipvs}`. Taken in when the cluster is made."""


class DnsSpec(FrozenModel):
    """CoreDNS, as kubeadm brings it when the cluster is made."""

    enabled: bool = True
    """False: there is none, or an addon brings one."""


class RegistrySpec(FrozenModel):
    """How containerd reaches one image registry."""

    mirrors: tuple[Annotated[str, Field(pattern=r"^https?://[^\s\"]+$")], ...] = Field(min_length=1)
    """URLs that are asked before the registry itself, in this order."""
    skip_verify: bool = False
    """Take any certificate of the mirrors."""


class ContainerRuntimeSpec(FrozenModel):
    """containerd."""

    source: Source | None = None
    """Where containerd, runc and the CNI plugins come from: `artifacts` or the hosts' `packages`. Default:
    `artifacts` where a directory of artifacts is given."""
    packages: tuple[str, ...] = ("containerd", "containernetworking-plugins")
    """With `source: packages`: what to install."""
    cni_bin_dir: str | None = Field(default=None, pattern=r"^/[^\s]*$")
    """Where the CNI plugins are. Default: `/usr/lib/cni` with Debian's package, else `/opt/cni/bin`."""
    sandbox_image: str | None = None
    """The pause image. Default: the one that this version of kubeadm wants."""
    registries: dict[str, RegistrySpec] = Field(default_factory=dict)
    """Mirrors, by the name of the registry as images have it: `docker.io`."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Merged into containerd's config.toml (version 2, which containerd 2 reads too):
    `{plugins: {"io.containerd.grpc.v1.cri": {restrict_oom_score_adj: true}}}`."""


class NetworkSpec(FrozenModel):
    """Addresses of pods and services, and how pods reach each other. IPv4."""

    pod_cidr: str = "10.244.0.0/16"
    """Where pods get their addresses from; every node gets a part of it. Cannot change later."""
    service_cidr: str = "10.96.0.0/12"
    """Where Services get their addresses from. Cannot change later."""
    node_cidr_mask: int = Field(default=24, ge=16, le=28)
    """The size of the part that every node gets."""
    dns_domain: str = Field(default="cluster.local", pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    """The domain of Services."""
    plugin: Literal["bridge", "none"] = "bridge"
    """`bridge`: a bridge on each node and static routes between the nodes, which must be in one network; no
    image is needed. `none`: an addon brings a network."""


class EndpointSpec(FrozenModel):
    """How everybody reaches the API server. Cannot change later: begin with a name if it may move."""

    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")
    """A name or an address. Default: the load balancer's address where a host has that role, else that of the
    only control plane."""
    port: int = Field(default=6443, ge=1, le=65535)
    address: str | None = None
    """What the name in `host` stands for, written into the hosts file of every host. Default: the address of
    the load balancer, else of the only control plane."""
    resolve: bool = True
    """False: name servers know the name already, and the hosts files say nothing of it."""


class Taint(FrozenModel):
    """What keeps pods away from a node that do not tolerate it."""

    key: LabelKey
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class NodeSettings(FrozenModel):
    """Labels and taints of nodes. Others that are there stay."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    taints: tuple[Taint, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.labels and not self.taints:
            raise PydanticCustomError("node_settings", "give 'labels' or 'taints'")
        return self


class AddonSpec(FrozenModel):
    """Objects in the cluster, from a file."""

    name: Name
    manifest: str
    """A file of Kubernetes objects (YAML, several documents), relative to this document."""


class CertificatesSpec(FrozenModel):
    """The certificates of the control planes, which kubeadm makes for a year."""

    renew_before_days: int = Field(default=30, ge=1, le=300)
    """Renew those that end within so many days, at the next apply, one control plane at a time."""


class KubeconfigSpec(FrozenModel):
    """The administrator's credentials, as a file that only its owner can read."""

    path: str = Field(pattern=r"^~?/[^\x00\r\n]+$")
    """The file: `~/.kube/prod`. It begins with `~/` or `/`."""
    server: str | None = Field(default=None, pattern=r"^https://[^\s\"]+$")
    """The API's URL as it is reached from there. Default: the endpoint."""


class OperatingSystemSpec(FrozenModel):
    """What every node's system needs. Swap is always switched off."""

    packages: tuple[str, ...] = ("conntrack", "ebtables", "ethtool", "iptables", "socat")
    """Installed from the hosts' repositories; names as the distribution has them (`conntrack-tools` for RPM).
    Empty: nothing is installed."""
    kernel_modules: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ...] = ()
    """Loaded besides overlay, br_netfilter and what kube-proxy needs."""
    sysctls: dict[Annotated[str, Field(pattern=r"^[a-z0-9_./-]+$")], str] = Field(default_factory=dict)
    """Set besides those that Kubernetes needs: `{fs.inotify.max_user_instances: "8192"}`."""
    hosts_file: bool = True
    """Write every node into the hosts file of every node."""


class PreflightSpec(FrozenModel):
    """What hosts must have before anything is done to them, else the plan is an error. 0: anything does."""

    cpus: int = Field(default=2, ge=0)
    """Processors of a control plane."""
    control_plane_memory_mb: int = Field(default=1700, ge=0)
    """Memory of a control plane, in MiB."""
    worker_memory_mb: int = Field(default=700, ge=0)
    """Memory of a worker, in MiB."""
    disk_mb: int = Field(default=5000, ge=0)
    """Room below /var/lib before a host joins, in MiB."""
    clock_skew: int = Field(default=30, ge=0)
    """Seconds that a host's clock may differ from that of the machine which runs kubexms, roughly."""


class ClusterSpec(FrozenModel):
    """A Kubernetes cluster, set up with kubeadm.

    Hosts have the role `control-plane`, `worker` or `load-balancer`, here or in an Inventory. A node has
    the name of its host, and the address that kubexms connects to unless its variable `nodeAddress` says
    another.
    """

    hosts: tuple[HostSpec, ...] = ()
    """Hosts of the cluster, as in an Inventory, besides those of inventories."""
    artifacts: str | None = None
    """A directory of artifacts (binaries and images with their digests), relative to this document."""
    kubernetes: KubernetesSpec
    etcd: EtcdSpec = EtcdSpec()
    kube_proxy: KubeProxySpec = KubeProxySpec()
    dns: DnsSpec = DnsSpec()
    container_runtime: ContainerRuntimeSpec = ContainerRuntimeSpec()
    network: NetworkSpec = NetworkSpec()
    endpoint: EndpointSpec = EndpointSpec()
    nodes: dict[str, NodeSettings] = Field(default_factory=dict)
    """Labels and taints by the name of the node or a glob: `{"w*": {labels: {disk: ssd}}}`. Several that
    match add up, the later one winning."""
    addons: tuple[AddonSpec, ...] = ()
    """Applied in this order when all nodes are there. What leaves the list is removed from the cluster."""
    certificates: CertificatesSpec = CertificatesSpec()
    kubeconfig: KubeconfigSpec | None = None
    """Where the administrator's kubeconfig is to be on the machine that runs kubexms. Default: nowhere."""
    operating_system: OperatingSystemSpec = OperatingSystemSpec()
    preflight: PreflightSpec = PreflightSpec()

    @model_validator(mode="after")
    def _names(self) -> Self:
        seen: set[str] = set()
        for addon in self.addons:
            if addon.name in seen:
                raise PydanticCustomError(
                    "duplicate_name", "duplicate {what} name '{name}'", {"what": "addon", "name": addon.name}
                )
            seen.add(addon.name)
        return self
