"""kubeadm's multi-document YAML: what of it kinds read and add."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import yaml
from pydantic import PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from kubexms.step.contract import StepArgs
from kubexms.step.kinds._yaml import load_all


def documents(text: str) -> list[dict[str, Any]]:
    """The documents of a kubeadm configuration. Raises `PydanticCustomError` naming what is wrong."""
    try:
        found = [document for document in load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise PydanticCustomError(
            "kubeadm_yaml", "the configuration is not YAML: {error}", {"error": str(error)}
        ) from None
    if not all(isinstance(document, dict) and isinstance(document.get("kind"), str) for document in found):
        raise PydanticCustomError("kubeadm_document", "each document needs 'apiVersion' and 'kind'")
    return found


def holds(text: str, kind: str) -> None:
    """Raises `PydanticCustomError` unless the text holds exactly one document of that kind."""
    kinds = [document["kind"] for document in documents(text)]
    if kinds.count(kind) != 1:
        raise PydanticCustomError(
            "kubeadm_kind",
            "it must hold one {kind} document, and holds: {kinds}",
            {"kind": kind, "kinds": ", ".join(kinds) or "nothing"},
        )


class KubeadmArgs(StepArgs):
    """The fields of a kind that goes by a configuration of kubeadm's."""

    needs: ClassVar[tuple[str, ...]] = ("ClusterConfiguration",)
    """The documents that it must hold, each once."""

    config: str
    """kubeadm's configuration, as in `kubeadmNode`."""

    _basis: str = PrivateAttr(default="")
    """The digest with which what kubeadm makes of it was found right last; see the module `basis`."""

    @model_validator(mode="after")
    def _configured(self) -> Self:
        for kind in self.needs:
            holds(self.config, kind)
        return self


def joining(text: str, *, endpoint: str, token: str, ca_hash: str, certificate_key: str | None) -> bytes:
    """A JoinConfiguration with what was minted for this join."""
    found = documents(text)
    for document in found:
        if document["kind"] == "JoinConfiguration":
            document["discovery"] = {
                "bootstrapToken": {"apiServerEndpoint": endpoint, "token": token, "caCertHashes": [ca_hash]}
            }
            if certificate_key is not None:
                plane = document.get("controlPlane")
                document["controlPlane"] = {**(plane or {}), "certificateKey": certificate_key}
    return yaml.safe_dump_all(found, sort_keys=False).encode()


def cri_socket(text: str) -> str | None:
    """The container runtime's socket that a configuration names."""
    for document in documents(text):
        socket = (document.get("nodeRegistration") or {}).get("criSocket")
        if isinstance(socket, str):
            return socket
    return None


def node_name(text: str) -> str | None:
    """The name that a configuration gives to its node."""
    for document in documents(text):
        name = (document.get("nodeRegistration") or {}).get("name")
        if isinstance(name, str):
            return name
    return None


def explicit(text: str) -> bool:
    """Whether a configuration leaves nothing to be found out: version, the node's name and address."""
    found = {document["kind"]: document for document in documents(text)}
    init, cluster = found.get("InitConfiguration") or {}, found.get("ClusterConfiguration") or {}
    version = str(cluster.get("kubernetesVersion") or "")
    address = (init.get("localAPIEndpoint") or {}).get("advertiseAddress")
    return bool(version[:1] == "v" and version[1:2].isdigit() and node_name(text) and address)


def external_etcd(text: str) -> bool:
    """Whether a configuration says that etcd is elsewhere."""
    return any("external" in (document.get("etcd") or {}) for document in documents(text))


def without_etcd_files(text: str) -> str:
    """A configuration for `upload-certs`: every control plane has files of its own for an etcd elsewhere.

    kubeadm leaves out of what it uploads, and of what it writes at a join, files that are not there.
    """
    found = documents(text)
    for document in found:
        external = (document.get("etcd") or {}).get("external")
        if external:
            document["etcd"] = {"external": external | dict.fromkeys(_ETCD_FILES, "/nonexistent/etcd")}
    return yaml.safe_dump_all(found, sort_keys=False)


_ETCD_FILES = ("caFile", "certFile", "keyFile")


def advertised(text: str) -> str | None:
    """The address of the API server, and so of the etcd member, of a node that joins as a control plane."""
    for document in documents(text):
        local = (document.get("controlPlane") or {}).get("localAPIEndpoint") or {}
        if isinstance(local.get("advertiseAddress"), str):
            return str(local["advertiseAddress"])
    return None
