"""Kubeconfigs of the cluster's own parts: files that refer to keys and certificates by their paths."""

from __future__ import annotations

from kubexms.builder.binary.certificates import CA, PKI
from kubexms.builder.steps import NODE_ADDRESS, step, text
from kubexms.builder.topology import API_PORT
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.pipeline import StepSpec

DIRECTORY = "/etc/kubernetes"
HERE = f"https://{NODE_ADDRESS}:{API_PORT}"
"""The API server of the host itself."""


def kubeconfig(step_name: str, file: str, cluster: str, server: str, certificate: str) -> StepSpec:
    """`/etc/kubernetes/FILE.conf` for whom PKI/CERTIFICATE names."""
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
    content = text(dump_yaml(document), quoted=False)
    return step(step_name, "file", path=f"{DIRECTORY}/{file}.conf", content=content, mode="0600")
