"""Drift as one message for a webhook: the JSON document, with a `text` that chat services show.

`text` is in Slack's mrkdwn (https://docs.slack.dev/messaging/formatting-message-text): `&`, `<` and `>` are
escaped. It names steps, hosts and attributes, and holds no values.
"""

from __future__ import annotations

import json

from kubexms.plan.driftreport import DriftReport
from kubexms.views import wording
from kubexms.views.changes import folded
from kubexms.views.drift_json import drift_json
from kubexms.views.escaping import printable
from kubexms.views.folding import fold_text
from kubexms.views.values import plural

LINES = 20
"""Steps that `text` lists; the document lists all."""


def drift_message(report: DriftReport) -> bytes:
    """The body to send: UTF-8 JSON."""
    return json.dumps({"text": message_text(report), **drift_json(report)}).encode()


def message_text(report: DriftReport) -> str:
    """A headline, and one line for each drifted step and each reason why hosts were not reached."""
    hosts = {change.host for change in report.drifted}
    if report.drifted:
        head = f"Drift: {plural(len(report.drifted), 'step')} on {plural(len(hosts), 'host')}"
    elif report.unreachable:
        head = f"No drift, but {plural(len(report.unreachable), 'host')} did not answer"
    else:
        head = "No drift"
    name = "/".join(part for part in (report.project, report.workspace) if part)
    lines = [f"*{_escaped(f'{name}: ' if name else '')}{head}*"]
    groups = folded(report.drifted)
    for group in groups[:LINES]:
        change = group.change
        names = f": {', '.join(change.changed)}" if change.action.value == "update" else ""
        lines.append(f"• `{_escaped(group.address)}` {wording.happened(change)}{_escaped(names)}")
    if len(groups) > LINES:
        lines.append(f"• and {len(groups) - LINES} more")
    if report.unreachable:
        lines.append(f"Not reached: {_escaped(fold_text(report.unreachable))}")
    if report.repaired:
        lines.append(f"Repaired: {plural(len(report.repaired), 'step')}")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    safe = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("`", "'")
