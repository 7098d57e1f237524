"""The registry of step kinds. There is no global one: whoever needs kinds is given a registry."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import JsonValue, TypeAdapter
from pydantic_core import PydanticCustomError

from kubexms.errors import ConfigError
from kubexms.step.contract import StepArgs, StepExecutor

ENTRY_POINT_GROUP = "kubexms.steps"
"""Third parties register `kind = "package.module:ExecutorClass"` here."""

BUILT_IN: Mapping[str, str] = {
    "apiServerNames": "api_server_names:ApiServerNamesExecutor",
    "archive": "archive:ArchiveExecutor",
    "assert": "assertion:AssertExecutor",
    "authorizedKey": "authorized_key:AuthorizedKeyExecutor",
    "block": "block:BlockExecutor",
    "certificate": "certificate:CertificateExecutor",
    "certificateAuthority": "certificate_authority:CertificateAuthorityExecutor",
    "command": "command:CommandExecutor",
    "containerdImage": "containerd_image:ContainerdImageExecutor",
    "controlPlaneManifest": "control_plane_manifest:ControlPlaneManifestExecutor",
    "directory": "directory:DirectoryExecutor",
    "download": "download:DownloadExecutor",
    "encryptionKeys": "encryption_keys:EncryptionKeysExecutor",
    "etcdMember": "etcd_member:EtcdMemberExecutor",
    "etcdRestore": "etcd_restore:EtcdRestoreExecutor",
    "file": "file:FileExecutor",
    "group": "group:GroupExecutor",
    "helmRelease": "helm_release:HelmReleaseExecutor",
    "hostname": "hostname:HostnameExecutor",
    "hostsEntry": "hosts_entry:HostsEntryExecutor",
    "issuedCertificate": "issued_certificate:IssuedCertificateExecutor",
    "kernelModule": "kernel_module:KernelModuleExecutor",
    "keyPair": "key_pair:KeyPairExecutor",
    "kubeadmConfig": "kubeadm_config:KubeadmConfigExecutor",
    "kubeadmNode": "kubeadm_node:KubeadmNodeExecutor",
    "kubeletConfig": "kubelet_config:KubeletConfigExecutor",
    "kubeletNode": "kubelet_node:KubeletNodeExecutor",
    "kubeconfig": "kubeconfig:KubeconfigExecutor",
    "line": "line:LineExecutor",
    "manifest": "manifest:ManifestExecutor",
    "mount": "mount:MountExecutor",
    "node": "node:NodeExecutor",
    "nodeEndpoint": "node_endpoint:NodeEndpointExecutor",
    "package": "package:PackageExecutor",
    "podNetwork": "pod_network:PodNetworkExecutor",
    "publishedEndpoint": "published_endpoint:PublishedEndpointExecutor",
    "recentFile": "recent_file:RecentFileExecutor",
    "reboot": "reboot:RebootExecutor",
    "retiredNames": "retired_names:RetiredNamesExecutor",
    "service": "service:ServiceExecutor",
    "storedObjects": "stored_objects:StoredObjectsExecutor",
    "swap": "swap:SwapExecutor",
    "symlink": "symlink:SymlinkExecutor",
    "sysctl": "sysctl:SysctlExecutor",
    "systemdUnit": "systemd_unit:SystemdUnitExecutor",
    "timezone": "timezone:TimezoneExecutor",
    "user": "user:UserExecutor",
    "wait": "wait:WaitExecutor",
}
"""Kind -> module (in `kubexms.step.kinds`) and class, imported when first used: start-up stays quick."""


def has_template(value: JsonValue) -> bool:
    """Whether a source value holds Jinja2 anywhere, so that its type is known only once rendered."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, list):
        return any(has_template(item) for item in value)
    if isinstance(value, dict):
        return any(has_template(item) for item in value.values())
    return False


class Registry:
    """Kinds by name. Immutable after construction; safe to share between threads."""

    def __init__(self, executors: Mapping[str, StepExecutor[Any] | str]) -> None:
        self._targets: dict[str, StepExecutor[Any] | str] = dict(executors)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets))

    def __contains__(self, kind: object) -> bool:
        return kind in self._targets

    def get(self, kind: str) -> StepExecutor[Any]:
        """The executor of `kind`. Raises `ConfigError` that suggests the nearest kind."""
        target = self._targets.get(kind)
        if target is None:
            raise ConfigError(f"unknown step kind '{kind}'", detail=self.suggestion(kind))
        if isinstance(target, str):
            module, _, name = target.partition(":")
            target = getattr(importlib.import_module(module), name)()
            assert isinstance(target, StepExecutor)
            self._targets[kind] = target
        return target

    def suggestion(self, kind: str) -> str:
        """A sentence that helps whoever mistyped `kind`."""
        near = difflib.get_close_matches(kind, list(self), n=1)
        return f"Did you mean '{near[0]}'?" if near else "`kubexms explain` lists the kinds."

    def spec_class(self, kind: str) -> type[StepArgs]:
        """The spec class of `kind`."""
        return self.get(kind).spec

    def check_args(self, kind: str, args: Mapping[str, JsonValue]) -> None:
        """Check source fields: names always, types wherever no template is in the way.

        Raises `PydanticCustomError` for an unknown kind and pydantic's `ValidationError` for fields.
        """
        if kind not in self:
            raise PydanticCustomError(
                "unknown_kind",
                "unknown step kind '{kind}'. {hint}",
                {"kind": kind, "hint": self.suggestion(kind)},
            )
        model = self.spec_class(kind)
        if not any(has_template(value) for value in args.values()):
            model.model_validate(dict(args), context={"source": True})
            return
        _check_fields(model, args)


def _check_fields(model: type[StepArgs], args: Mapping[str, JsonValue]) -> None:
    by_alias = {info.alias or name: info for name, info in model.model_fields.items()}
    unknown = {key: value for key, value in args.items() if key not in by_alias}
    missing = [alias for alias, info in by_alias.items() if info.is_required() and alias not in args]
    if unknown or missing:
        plain = {key: value for key, value in args.items() if not has_template(value)}
        model.model_validate({**plain, **unknown}, context={"source": True})
    for alias, info in by_alias.items():
        if alias in args and not has_template(args[alias]):
            adapter: TypeAdapter[object] = TypeAdapter(info.rebuild_annotation())
            adapter.validate_python(args[alias], context={"source": True})


def default_registry(*, plugins: bool = True) -> Registry:
    """The built-in kinds and, with `plugins`, those of installed packages.

    Raises `ConfigError` when a plugin registers a kind that exists already.
    """
    targets: dict[str, StepExecutor[Any] | str] = {
        kind: f"kubexms.step.kinds.{target}" for kind, target in BUILT_IN.items()
    }
    if plugins:
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            if entry.name in targets:
                raise ConfigError(
                    f"step kind '{entry.name}' is registered twice",
                    detail=f"{entry.value} collides with another kind of that name; uninstall one of them.",
                )
            targets[entry.name] = entry.value
    return Registry(targets)
