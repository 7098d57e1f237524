"""Drift as one JSON document, for files, webhooks and whatever reads them."""

from __future__ import annotations

from pydantic import JsonValue

from kubexms.plan.driftreport import DriftReport
from kubexms.views.plan_json import resource_change, rfc3339

FORMAT_VERSION = "1.0"


def drift_json(report: DriftReport) -> dict[str, JsonValue]:
    """Everything that was found, clean or not. Each drifted step is as in a plan's `resource_drift`.

    Addresses and hosts are whole, never folded; moments are RFC 3339, durations seconds.
    """
    drifted: list[JsonValue] = []
    for change in report.drifted:
        entry = resource_change(change)
        since = report.since.get(change.address)
        entry["since"] = rfc3339(since) if since is not None else None
        drifted.append(entry)
    return {
        "format_version": FORMAT_VERSION,
        "kubexms_version": report.tool_version,
        "project": report.project,
        "workspace": report.workspace,
        "timestamp": rfc3339(report.started),
        "seconds": round(report.seconds, 3),
        "exit_code": report.exit_code,
        "drifted": drifted,
        "checked": len(report.looked_at),
        "pending": [change.address for change in report.pending],
        "unreachable": dict(report.unreachable),
        "behind": list(report.behind),
        "untracked": list(report.untracked),
        "unknown": dict(report.unknown),
        "maintenance": dict(report.maintenance),
        "applying": dict(report.applying),
        "facts_at": {host: rfc3339(when) for host, when in report.facts_at.items()},
        "repaired": list(report.repaired),
        "left": dict(report.left),
        "notes": list(report.notes),
    }
