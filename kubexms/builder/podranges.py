"""Where the manifest of a pod network says that pods get their addresses, and what it is compared with.

Sources of the forms: Flannel's kube-flannel.yml (`net-conf.json`), Calico's calico.yaml and operator
(`CALICO_IPV4POOL_CIDR`, IPPool, Installation), Cilium's cilium-config (`cluster-pool-ipv4-cidr`).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.runtime import cni_directory
from kubexms.config.yaml import Document, Path
from kubexms.diagnostics import Diagnostic
from kubexms.spec.base import Json

CALICO = "CALICO_IPV4POOL_CIDR"
PLUGINS = "/cni/bin"


@dataclass(frozen=True)
class Said:
    """A network that a manifest names."""

    path: Path
    text: str
    whole: bool = False
    """It must be the cluster's, as nodes get parts of that one; else a part of it will do."""


def range_problems(documents: Sequence[Document], plan: ClusterPlan) -> Iterator[Diagnostic]:
    """Networks of pods that are not the document's."""
    pods = ipaddress.IPv4Network(plan.spec.network.pod_cidr)
    for document in documents:
        for said in _said(document.value):
            try:
                network = ipaddress.ip_network(said.text)
            except ValueError:
                yield document.error(said.path, f"'{said.text}' is no network", f"It is to be {pods}.")
                continue
            if not isinstance(network, ipaddress.IPv4Network):
                continue
            if network != pods and (said.whole or not network.subnet_of(pods)):
                detail = f"network.podCidr is {pods}: write that here, or the other way round."
                summary = f"the manifest has pods in {network}, the cluster in {pods}"
                yield document.error(said.path, summary, detail)


def directory_problems(documents: Sequence[Document], plan: ClusterPlan) -> Iterator[Diagnostic]:
    """A directory for CNI plugins that containerd does not look into."""
    wanted = cni_directory(plan.spec.container_runtime, plan.runtime_from_artifacts)
    for document in documents:
        for path, text in _host_paths(document.value, ()):
            if text.rstrip("/").endswith(PLUGINS) and text.rstrip("/") != wanted.rstrip("/"):
                detail = f"Write {wanted} here, or name this one in containerRuntime.cniBinDir."
                summary = f"the manifest puts CNI plugins into {text}, and containerd looks into {wanted}"
                yield document.error(path, summary, detail)


def _said(value: Json) -> Iterator[Said]:
    if not isinstance(value, dict):
        return
    kind, data = value.get("kind"), value.get("data")
    if kind == "ConfigMap" and isinstance(data, dict):
        yield from _flannel(data)
        yield from _cilium(data)
    elif kind == "IPPool":
        yield from _texts(value, ("spec", "cidr"))
    elif kind == "Installation":
        for index in range(len(_list(value, ("spec", "calicoNetwork", "ipPools")))):
            yield from _texts(value, ("spec", "calicoNetwork", "ipPools", index, "cidr"))
    elif kind == "DaemonSet":
        place: Path = ("spec", "template", "spec", "containers")
        for index in range(len(_list(value, place))):
            for number, entry in enumerate(_list(value, (*place, index, "env"))):
                if isinstance(entry, dict) and entry.get("name") == CALICO:
                    yield from _texts(value, (*place, index, "env", number, "value"))


def _flannel(data: dict[str, Json]) -> Iterator[Said]:
    text = data.get("net-conf.json")
    if not isinstance(text, str):
        return
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    network = found.get("Network") if isinstance(found, dict) else None
    if isinstance(network, str):
        yield Said(("data", "net-conf.json"), network, whole=True)


def _cilium(data: dict[str, Json]) -> Iterator[Said]:
    text = data.get("cluster-pool-ipv4-cidr")
    if isinstance(text, str) and data.get("ipam", "cluster-pool") == "cluster-pool":
        for one in re.split(r"[\s,]+", text.strip()):
            yield Said(("data", "cluster-pool-ipv4-cidr"), one)


def _texts(value: Json, path: Path) -> Iterator[Said]:
    found = _at(value, path)
    if isinstance(found, str):
        yield Said(path, found)


def _list(value: Json, path: Path) -> list[Json]:
    found = _at(value, path)
    return found if isinstance(found, list) else []


def _at(value: Json, path: Path) -> Json:
    for part in path:
        if isinstance(part, int) and isinstance(value, list):
            value = value[part]
        elif isinstance(part, str) and isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def _host_paths(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _host_paths(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "hostPath" and isinstance(item, dict) and isinstance(item.get("path"), str):
                yield (*path, key, "path"), str(item["path"])
            else:
                yield from _host_paths(item, (*path, key))
