"""Plan JSON in Terraform's format_version 1.2, for the tools that read it.

Source of the format: https://developer.hashicorp.com/terraform/internals/json-format. What is
kubexms's own is under `kubexms`, at the top and in each change. Unlike Terraform, sensitive values
are redacted here too: in their place stands `(sensitive value)`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from kubexms.plan.identity import plan_digest
from kubexms.plan.model import Change, HostStatus, Plan, Reason
from kubexms.spec.address import Address
from kubexms.step.contract import ActionKind

FORMAT_VERSION = "1.2"
TERRAFORM_VERSION = "1.9.0"
"""The Terraform that writes such documents: some readers refuse versions that they do not know."""
_VALUES_VERSION = "1.0"

ACTIONS: Mapping[ActionKind, list[JsonValue]] = {
    ActionKind.NO_OP: ["no-op"],
    ActionKind.CREATE: ["create"],
    ActionKind.UPDATE: ["update"],
    ActionKind.RUN: ["update"],
    ActionKind.REPLACE: ["delete", "create"],
    ActionKind.DELETE: ["delete"],
    ActionKind.FORGET: ["forget"],
}


def plan_document(plan: Plan) -> dict[str, JsonValue]:
    """The whole plan as JSON data. Changes are sorted by address, no-ops included."""
    changes = sorted(plan.changes, key=lambda change: change.address)
    return {
        "format_version": FORMAT_VERSION,
        "terraform_version": TERRAFORM_VERSION,
        "variables": {},
        "planned_values": {"root_module": _planned(changes)},
        "resource_drift": [resource_change(change) for change in plan.drift],
        "resource_changes": [resource_change(change) for change in changes],
        "output_changes": {},
        "prior_state": {
            "format_version": _VALUES_VERSION,
            "terraform_version": TERRAFORM_VERSION,
            "values": {"root_module": _prior(changes)},
        },
        "configuration": {"provider_config": {}, "root_module": _configuration(changes)},
        "relevant_attributes": [],
        "checks": [],
        "timestamp": rfc3339(plan.created),
        "applyable": bool(plan.effective) and not plan.errored,
        "complete": _complete(plan),
        "errored": plan.errored,
        "kubexms": _own(plan),
    }


def rfc3339(moment: datetime) -> str:
    """`2026-03-01T12:00:00Z`; fractions of a second only where there are some."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def action_reason(change: Change) -> str | None:
    """Terraform's word for why, where it has one."""
    if change.action is ActionKind.REPLACE:
        requested = change.reason is Reason.REPLACE_REQUESTED
        return "replace_by_request" if requested else "replace_because_cannot_update"
    if change.action is ActionKind.DELETE and change.reason is Reason.REMOVED_FROM_SPEC:
        return "delete_because_no_resource_config"
    return None


def names(change: Change) -> tuple[str, str, str]:
    """Module address (`module/task`), name (`step["key"]`) and host."""
    address = Address.parse(change.address)
    return f"{address.module}/{address.task}", address.path.split("/", 2)[2], change.host


def _identity(change: Change) -> dict[str, JsonValue]:
    module, name, host = names(change)
    return {
        "address": change.address,
        "module_address": module,
        "mode": "managed",
        "type": change.kind,
        "name": name,
        "index": host,
        "provider_name": f"kubexms/{change.kind}",
    }


def resource_change(change: Change) -> dict[str, JsonValue]:
    """One entry of `resource_changes` or `resource_drift`."""
    entry = _identity(change)
    if change.previous_address is not None:
        entry["previous_address"] = change.previous_address
    # `run` has no before: to Terraform's readers an update of nothing is a broken document
    before = {} if change.before is None and change.action in _IN_PLACE else change.before
    after = None if change.action in {ActionKind.DELETE, ActionKind.FORGET} else (change.after or {})
    detail: dict[str, JsonValue] = {
        "actions": ACTIONS[change.action],
        "before": None if before is None else dict(before),
        "after": None if after is None else dict(after),
        "after_unknown": dict.fromkeys(change.after_unknown, True),
        "before_sensitive": _sensitive(change, before),
        "after_sensitive": _sensitive(change, after),
    }
    if change.action is ActionKind.REPLACE:
        detail["replace_paths"] = [[name] for name in change.changed]
    entry["change"] = detail
    reason = action_reason(change)
    if reason is not None:
        entry["action_reason"] = reason
    entry["kubexms"] = _own_change(change)
    return entry


_IN_PLACE = frozenset({ActionKind.NO_OP, ActionKind.UPDATE, ActionKind.RUN})


def _sensitive(change: Change, values: Mapping[str, JsonValue] | None) -> JsonValue:
    if values is None:
        return False
    unknown = set(change.after_unknown) if values == change.after else set()
    return {name: True for name in change.sensitive if name in values or name in unknown}


def _own_change(change: Change) -> dict[str, JsonValue]:
    return {
        "action": change.action.value,
        "reason": change.reason.value if change.reason is not None else None,
        "summary": change.summary,
        "changed": list(change.changed),
        "disruption": change.disruption.value,
        "triggered_by": list(change.triggered_by),
        "unknown": change.unknown,
        "notes": list(change.notes),
        "text": {
            name: {"before": diff.before, "after": diff.after} for name, diff in sorted(change.text.items())
        },
    }


def _own(plan: Plan) -> dict[str, JsonValue]:
    counts = plan.counts()
    # values given on the command line may be secrets: their names only
    options: dict[str, JsonValue] = plan.options.model_dump(mode="json", exclude={"variables"})
    options["variables"] = [*sorted(plan.options.variables)]
    return {
        "version": plan.tool_version,
        "project": plan.project,
        "workspace": plan.workspace,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "spec_digest": plan.spec_digest,
        "digest": plan_digest(plan),
        "options": options,
        "counts": {**counts.model_dump()},
        "hosts": [report.model_dump(mode="json") for report in plan.hosts],
        "hooks": [hook.model_dump(mode="json") for hook in plan.hooks],
        "removals": [removal.model_dump(mode="json") for removal in plan.removals],
        "diagnostics": [item.model_dump(mode="json") for item in plan.diagnostics],
        "origin": plan.origin.model_dump(mode="json") if plan.origin is not None else None,
    }


def _complete(plan: Plan) -> bool:
    """Whether nothing would be left to do after an apply of this plan."""
    options = plan.options
    narrowed = bool(options.targets or options.excludes or options.limit)
    missing = any(report.status is not HostStatus.OK for report in plan.hosts)
    return not (narrowed or missing or plan.errored)


def _planned(changes: Iterable[Change]) -> dict[str, JsonValue]:
    there = (
        change for change in changes if change.after is not None and change.action is not ActionKind.FORGET
    )
    return _modules(_resource(change, change.after or {}) for change in there)


def _prior(changes: Iterable[Change]) -> dict[str, JsonValue]:
    return _modules(_resource(change, change.before) for change in changes if change.before is not None)


def _resource(change: Change, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        **_identity(change),
        "schema_version": 0,
        "values": dict(values),
        "sensitive_values": {name: True for name in change.sensitive if name in values},
    }


def _modules(resources: Iterable[dict[str, JsonValue]]) -> dict[str, JsonValue]:
    """Resources below their `module/task`, as Terraform nests those of child modules."""
    grouped: dict[str, list[JsonValue]] = defaultdict(list)
    for resource in resources:
        module = str(resource.pop("module_address"))
        grouped[module].append(resource)
    if not grouped:
        return {}
    return {
        "child_modules": [{"address": module, "resources": grouped[module]} for module in sorted(grouped)]
    }


def _configuration(changes: Iterable[Change]) -> dict[str, JsonValue]:
    """The declared steps, each once however many hosts it is for. Expressions stay in the documents."""
    steps: dict[str, JsonValue] = {}
    for change in changes:
        if change.action in {ActionKind.DELETE, ActionKind.FORGET}:
            continue
        path = change.address.rpartition("@")[0]
        steps[path] = {
            "address": path,
            "mode": "managed",
            "type": change.kind,
            "name": names(change)[1],
            "provider_config_key": change.kind,
            "expressions": {},
            "schema_version": 0,
        }
    return {"resources": [steps[path] for path in sorted(steps)]} if steps else {}
