"""Audit and encryption at rest: files on the control planes, and flags and mounts of the API server.

Formats: audit.k8s.io/v1 Policy, apiserver.config.k8s.io/v1 EncryptionConfiguration.
"""

from __future__ import annotations

import posixpath
from typing import Any

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import Template, escaped, step, task
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.cluster import CONTROL_PLANE, AuditSpec, ClusterSpec, EncryptionSpec
from kubexms.spec.pipeline import StepSpec, TaskSpec
from kubexms.spec.variable import VariableSpec

DIRECTORY = "/etc/kubexms/apiserver"
"""What the API server reads. A directory is mounted: of a file that is replaced it would keep the old one."""
POLICY = f"{DIRECTORY}/audit-policy.yaml"
ENCRYPTION = f"{DIRECTORY}/encryption.yaml"
FILES = "files"
"""The task that puts them there, before anybody becomes a member."""

_DEFAULT: dict[str, Json] = {"rules": [{"level": "Metadata"}]}
_LETTERS = {"-": "_", "_": "__", ".": "___"}
"""What a name of a variable has in the place of what it cannot have, so that no two names become one."""
_KEY = "__KUBEXMS_KEY_{}__"


def api_server_flags(spec: ClusterSpec) -> dict[str, str]:
    """What `audit` and `encryptionAtRest` mean to the API server."""
    flags: dict[str, str] = {}
    audit = spec.kubernetes.api_server.audit
    if audit is not None:
        flags |= {
            "audit-policy-file": POLICY,
            "audit-log-path": audit.log_path,
            "audit-log-maxage": str(audit.max_age),
            "audit-log-maxbackup": str(audit.max_backup),
            "audit-log-maxsize": str(audit.max_size),
        }
    if spec.kubernetes.encryption_at_rest is not None:
        flags["encryption-provider-config"] = ENCRYPTION
    return flags


def api_server_volumes(spec: ClusterSpec) -> list[dict[str, Any]]:
    """What a static pod must have of its host for these flags, as kubeadm's `extraVolumes`."""
    audit, volumes = spec.kubernetes.api_server.audit, list[dict[str, Any]]()
    if api_server_flags(spec):
        volumes.append(_volume("kubexms", DIRECTORY, readOnly=True))
    if audit is not None:
        volumes.append(_volume("audit-log", posixpath.dirname(audit.log_path)))
    return volumes


def _volume(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "hostPath": path, "mountPath": path, **more, "pathType": "DirectoryOrCreate"}


def protection_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The files on each control plane."""
    audit, encryption = _of(plan.spec)
    steps: list[StepSpec] = []
    if audit is not None or encryption is not None:
        steps.append(step("directory", "directory", path=DIRECTORY, mode="0755", owner="root", group="root"))
    if audit is not None:
        policy = step(
            "audit-policy", "file", path=POLICY, source=audit.policy_file, content=_policy(audit), mode="0644"
        )
        steps.append(policy)
    if encryption is not None:
        content = encryption_file(plan.name, encryption)
        secret = step("encryption", "file", path=ENCRYPTION, content=content, mode="0600", owner="root")
        steps.append(secret)
    return [task(FILES, [CONTROL_PLANE], steps)] if steps else []


def stored_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """What is stored is written anew, when all API servers write with another key than before."""
    _, given = _of(plan.spec)
    if given is None:
        return []
    first = written_first(given)[0]
    anew = step("anew", "storedObjects", run_once=True, resources=list(given.resources), written_with=first)
    return [task("stored", [CONTROL_PLANE], [anew])]


def protection_sources(spec: ClusterSpec) -> list[str]:
    """The steps whose change restarts API servers: they read these files when they start."""
    audit, encryption = _of(spec)
    names = {"audit-policy": audit, "encryption": encryption}
    return [f"{FILES}/{name}" for name, given in names.items() if given is not None]


def secret_variables(plan: ClusterPlan) -> dict[str, VariableSpec]:
    """The keys, as variables of the pipeline: where each comes from, and never what it is."""
    _, encryption = _of(plan.spec)
    keys = encryption.keys if encryption is not None else ()
    return {
        variable(plan.name, key.name): VariableSpec(
            type="string",
            value_from=key.value_from,
            description=f"Key {key.name} of what cluster {plan.name} stores",
        )
        for key in keys
    }


def variable(cluster: str, key: str) -> str:
    """The name of the variable that holds a key."""
    return "_".join("".join(_LETTERS.get(x, x) for x in part) for part in (cluster, "encryption", key))


def encryption_file(cluster: str, given: EncryptionSpec) -> Template:
    """The API server's file, with templates where the keys are to be."""
    providers: list[dict[str, Any]] = []
    for key in given.keys:
        provider = key.provider or given.provider
        entry = {"name": key.name, "secret": _KEY.format(key.name)}
        if not providers or provider not in providers[-1]:
            providers.append({provider: {"keys": []}})
        providers[-1][provider]["keys"].append(entry)
    # who is first encrypts; identity, which does not, reads what is not encrypted
    plain: dict[str, Any] = {"identity": {}}
    document: dict[str, Json] = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {
                "resources": list(given.resources),
                "providers": [*providers, plain] if given.encrypt else [plain, *providers],
            }
        ],
    }
    text = escaped(dump_yaml(document))
    for key in given.keys:
        text = text.replace(_KEY.format(key.name), f"{{{{ vars.{variable(cluster, key.name)} | trim }}}}")
    return Template(text)


def written_first(given: EncryptionSpec) -> list[str]:
    """The providers of that file, in order: `identity`, or `PROVIDER:KEY`."""
    keys = [f"{key.provider or given.provider}:{key.name}" for key in given.keys]
    return [*keys, "identity"] if given.encrypt else ["identity", *keys]


def _policy(audit: AuditSpec) -> str | None:
    if audit.policy_file is not None:
        return None
    head: dict[str, Json] = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
    return dump_yaml({**head, **(audit.policy if audit.policy is not None else _DEFAULT)})


def _of(spec: ClusterSpec) -> tuple[AuditSpec | None, EncryptionSpec | None]:
    return spec.kubernetes.api_server.audit, spec.kubernetes.encryption_at_rest
