"""Kubeconfigs of the cluster's own parts: files that refer to keys and certificates by their paths."""

from __future__ import annotations

from kubexms.builder.binary.certificates import CA, PKI
from kubexms.builder.steps import NODE_ADDRESS, Template, step, text
from kubexms.builder.topology import API_PORT
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.pipeline import StepSpec

DIRECTORY = "/etc/kubernetes"
HERE = f"https://{NODE_ADDRESS}:{API_PORT}"
"""The API server of the host itself."""


def kubeconfig(step_name: str, file: str, cluster: str, server: str, certificate: str) -> StepSpec:
    """`/etc/kubernetes/FILE.conf` for whom PKI/CERTIFICATE names."""
    content = kubeconfig_text(file, cluster, server, certificate)
    return step(step_name, "file", path=f"{DIRECTORY}/{file}.conf", content=content, mode="0600")


def node_kubeconfig(step_name: str, file: str, cluster: str, server: str) -> StepSpec:
    """One of a node: written where it is not there; once it is, the module `clients` keeps its text."""
    content = kubeconfig_text(file, cluster, server, file)
    path = f"{DIRECTORY}/{file}.conf"
    ignored = ["sha256"]
    return step(step_name, "file", path=path, content=content, mode="0600", ignore_changes=ignored)


def kubeconfig_text(file: str, cluster: str, server: str, certificate: str) -> Template:
    """What is in FILE.conf."""
    document: dict[str, Json] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"certificate-authority": f"{CA}.crt", "server": server}}],
        "users": [
            {
                "name": file,
                "user": {
                    "client-certificate": f"{PKI}/{certificate}.crt",
                    "client-key": f"{PKI}/{certificate}.key",
                },
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": file}}],
        "current-context": cluster,
    }
    return text(dump_yaml(document), quoted=False)
