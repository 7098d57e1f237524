"""Audit policies and keys that the API server would not start with: told before a host is asked."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

from kubexms.builder.places import wrong
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.protection import ENCRYPTION, variable, written_first
from kubexms.builder.steps import Template, step
from kubexms.config.discover import display
from kubexms.config.documents import Building
from kubexms.config.yaml import read_value
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError
from kubexms.spec.base import Json
from kubexms.spec.cluster import ClusterSpec, EncryptionKeySpec, EncryptionSpec
from kubexms.spec.cluster.protection import KEY_LENGTHS
from kubexms.spec.pipeline import StepSpec

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
_AUDIT = ("spec", "kubernetes", "apiServer", "audit")
_ENCRYPTION = ("spec", "kubernetes", "encryptionAtRest")


def protection_problems(building: Building, spec: ClusterSpec) -> Iterator[Diagnostic]:
    """What can be seen of both without asking a host or running a command."""
    yield from _audit(building, spec)
    given = spec.kubernetes.encryption_at_rest
    for index, key in enumerate(given.keys if given is not None else ()):
        assert given is not None
        yield from _key(building, index, key, KEY_LENGTHS[key.provider or given.provider])


def _audit(building: Building, spec: ClusterSpec) -> Iterator[Diagnostic]:
    audit = spec.kubernetes.api_server.audit
    if audit is None:
        return
    if audit.policy is not None:
        for path, summary, detail in _policy(audit.policy, whole=False):
            yield wrong(building, (*_AUDIT, "policy", *path), summary, detail)
    if audit.policy_file is None:
        return
    place, file = (*_AUDIT, "policyFile"), building.directory / audit.policy_file
    try:
        found = read_value(file.read_bytes(), display(file))
    except OSError as error:
        summary = f"the audit policy {audit.policy_file} cannot be read: {error.strerror}"
        yield wrong(building, place, summary, "It is looked for relative to this document.")
    except ConfigError as error:
        yield from error.diagnostics
    else:
        for path, summary, detail in _policy(found.value, whole=True):
            yield found.error(path, summary, detail)


def _policy(value: Json, *, whole: bool) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Where something is wrong with a policy, and what. A `whole` one says its own version and kind."""
    if not isinstance(value, dict):
        yield (), "an audit policy is a mapping with rules", "For example {rules: [{level: Metadata}]}."
        return
    for name, wanted in (("apiVersion", "audit.k8s.io/v1"), ("kind", "Policy")):
        if value.get(name, None if whole else wanted) != wanted:
            yield (name,) if name in value else (), f"an audit policy has {name}: {wanted}", ""
    rules = value.get("rules")
    if not isinstance(rules, list) or not rules:
        where: tuple[str | int, ...] = ("rules",) if "rules" in value else ()
        detail = "Without any the API server does not start. For all requests: [{level: Metadata}]."
        yield where, "an audit policy needs rules", detail
        return
    for index, rule in enumerate(rules):
        level = rule.get("level") if isinstance(rule, dict) else None
        if level not in LEVELS:
            at: tuple[str | int, ...] = ("rules", index, *(("level",) if level is not None else ()))
            yield at, f"the level of a rule is one of {', '.join(LEVELS)}", ""


def _key(
    building: Building, index: int, key: EncryptionKeySpec, lengths: Sequence[int]
) -> Iterator[Diagnostic]:
    if key.value_from.file is None:
        return  # nothing is asked for it here: the hosts' preflight looks at it
    place = (*_ENCRYPTION, "keys", index, "valueFrom", "file")
    try:
        text = (building.directory / key.value_from.file).expanduser().read_bytes().strip()
    except OSError as error:
        summary = f"the key {key.name} cannot be read: {error.strerror}"
        yield wrong(building, place, summary, "It is looked for relative to this document.")
        return
    try:
        length = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        yield wrong(building, place, f"the key {key.name} is not base64", _HOW)
        return
    if length not in lengths:
        wanted = " or ".join(str(one) for one in lengths)
        yield wrong(building, place, f"the key {key.name} has {length} bytes, and needs {wanted}", _HOW)


_HOW = "Make one with `head -c 32 /dev/urandom | base64`."


def protection_checks(plan: ClusterPlan) -> list[StepSpec]:
    """What only the run knows of keys; and whether a control plane could not read any more what it stored."""
    given = plan.spec.kubernetes.encryption_at_rest
    steps = [_kept(given is not None), _readable(plan, given)]
    message = (
        "the key {} of kubernetes.encryptionAtRest is no base64 of as many bytes as its provider needs: "
        "make one with `head -c 32 /dev/urandom | base64`"
    )
    if given is None:
        return steps
    for key in given.keys:
        if key.value_from.file is None:
            form = _form(KEY_LENGTHS[key.provider or given.provider])
            value = f"vars.{variable(plan.name, key.name)} | trim | regex_search('{form}')"
            that = Template(f"{{{{ ({value}) != '' }}}}")
            steps.append(step(f"key-{key.name}", "assert", that=that, message=message.format(key.name)))
    return steps


def _readable(plan: ClusterPlan, given: EncryptionSpec | None) -> StepSpec:
    """That no API server meets what it cannot read; there in any case, as `_kept`."""
    keys = {f"{key.provider or given.provider}:{key.name}": key for key in given.keys} if given else {}
    return step(
        "readable",
        "encryptionKeys",
        cluster=plan.name,
        planes=[host.name for host in plan.topology.control_planes],
        path=ENCRYPTION,
        resources=list(given.resources) if given else None,
        providers=written_first(given) if given else None,
        values={
            name: Template(f"{{{{ vars.{variable(plan.name, key.name)} | trim }}}}")
            for name, key in keys.items()
        }
        or None,
    )


def _form(lengths: Sequence[int]) -> str:
    """A regular expression for base64 of so many bytes."""
    forms = {16: "[A-Za-z0-9+/]{22}==", 24: "[A-Za-z0-9+/]{32}", 32: "[A-Za-z0-9+/]{43}="}
    return f"^(?:{'|'.join(forms[length] for length in lengths)})$"


def _kept(given: bool) -> StepSpec:
    """Without the file nobody could read what is encrypted; with `encrypt: false` it begins with identity.

    There in any case, so that no plan tells that a check comes or goes.
    """
    first = "awk '/providers:/ { getline; sub(/^ *- */, \"\"); print; exit }'"
    message = (
        "this control plane encrypts what it stores, and without kubernetes.encryptionAtRest nobody could "
        "read it: put it back with `encrypt: false` and apply, which writes everything anew, and take it out "
        "then"
    )
    check = "true\n" if given else f"test ! -e {ENCRYPTION} || {first} {ENCRYPTION} | grep -q ^identity:\n"
    return step("encryption", "assert", check=check, message=message)
