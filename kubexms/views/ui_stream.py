"""The event stream of `plan|apply --json`: Terraform's machine-readable UI, one JSON object a line.

Source of the format: https://developer.hashicorp.com/terraform/internals/machine-readable-ui. Own
data is under `kubexms`. Messages are for people and may change; the fields do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.executor.events import (
    Event,
    RefreshFinished,
    RefreshStarted,
    RunFinished,
    StepFinished,
    StepProgress,
    StepStarted,
    StepStatus,
    Stopping,
    Waiting,
)
from kubexms.plan.model import Change, HostStatus, Plan, Reason
from kubexms.step.contract import ActionKind
from kubexms.views.diagnostic_json import diagnostic_data
from kubexms.views.jsontext import line
from kubexms.views.outcome import Totals, failure_diagnostic, stale_diagnostics
from kubexms.views.plan_diagnostics import plan_diagnostics
from kubexms.views.plan_human import plan_line
from kubexms.views.plan_json import TERRAFORM_VERSION, names, rfc3339

UI_VERSION = "1.2"
MODULE = "kubexms.ui"

_WORDS: Mapping[ActionKind, str] = {
    ActionKind.NO_OP: "noop",
    ActionKind.CREATE: "create",
    ActionKind.UPDATE: "update",
    ActionKind.RUN: "update",
    ActionKind.REPLACE: "replace",
    ActionKind.DELETE: "delete",
    ActionKind.FORGET: "remove",
}
_VERBS: Mapping[ActionKind, tuple[str, str]] = {
    ActionKind.NO_OP: ("checking", "Check"),
    ActionKind.CREATE: ("creating", "Creation"),
    ActionKind.UPDATE: ("modifying", "Modifications"),
    ActionKind.RUN: ("running", "Run"),
    ActionKind.REPLACE: ("replacing", "Replacement"),
    ActionKind.DELETE: ("destroying", "Destruction"),
    ActionKind.FORGET: ("forgetting", "Removal from state"),
}


@dataclass(frozen=True, slots=True)
class Stream:
    """Turns what happens into lines. `write` gets each line without its end; `now` stamps it."""

    write: Callable[[str], None]
    now: Callable[[], datetime]
    version: str
    operation: str = "apply"

    def begin(self) -> None:
        """The first line: `version`."""
        self._emit(
            "info",
            f"kubexms {self.version}",
            "version",
            kubexms=self.version,
            terraform=TERRAFORM_VERSION,
            ui=UI_VERSION,
        )

    def plan(self, plan: Plan, *, operation: str = "plan") -> None:
        """Drift, planned changes, diagnostics and the summary of a plan."""
        for change in plan.drift:
            message = f"{change.address}: Drift detected ({_WORDS[change.action]})"
            self._emit("info", message, "resource_drift", change=planned_change(change))
        for change in plan.changes:
            if change.effective or change.previous_address:
                entry = planned_change(change)
                message = f"{change.address}: Plan to {entry['action']}"
                self._emit("info", message, "planned_change", change=entry)
        for diagnostic in plan_diagnostics(plan):
            self.diagnostic(diagnostic)
        counts = plan.counts()
        self._summary(plan_line(counts), Totals(counts.add, counts.change, counts.remove), operation)

    def saved(self, path: str, digest: str) -> None:
        """A plan was saved; Terraform has no word for that."""
        self._emit("info", f"Saved the plan to: {path}", "log", kubexms={"plan": path, "digest": digest})

    def nothing_done(self) -> None:
        """The summary of an apply that had nothing to do."""
        self._summary(Totals().line(self.operation), Totals(), self.operation)

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """An error or a warning."""
        error = diagnostic.severity is Severity.ERROR
        message = f"{'Error' if error else 'Warning'}: {diagnostic.summary}"
        self._emit(
            "error" if error else "warn", message, "diagnostic", diagnostic=diagnostic_data(diagnostic)
        )

    def __call__(self, event: Event) -> None:
        """A `Listener`. Events that Terraform has no word for become `log` lines."""
        match event:
            case RefreshStarted(host):
                self._emit(
                    "info", f"{host}: Refreshing state...", "refresh_start", hook={"resource": _host(host)}
                )
            case RefreshFinished(report, seconds):
                words = (
                    "Refresh complete"
                    if report.status is HostStatus.OK
                    else f"Refresh incomplete: {report.error}"
                )
                hook: dict[str, JsonValue] = {"resource": _host(report.name), "elapsed_seconds": int(seconds)}
                own: dict[str, JsonValue] = {"status": report.status.value, "error": report.error}
                self._emit("info", f"{report.name}: {words}", "refresh_complete", hook=hook, kubexms=own)
            case StepStarted(change):
                verb = _VERBS[change.action][0].capitalize()
                self._emit("info", f"{change.address}: {verb}...", "apply_start", hook=_hook(change))
            case StepProgress(change, seconds, message):
                doing = f"{change.address}: Still {_VERBS[change.action][0]}... [{int(seconds)}s elapsed]"
                text = f"{doing} {message}".rstrip()
                self._emit("info", text, "apply_progress", hook=_hook(change, seconds))
            case StepFinished():
                self._finished(event)
            case Waiting(what, address):
                self._emit("info", f"Waiting: {what}", "log", kubexms={"address": address})
            case Stopping(count):
                self._emit("warn", f"Stopping: {count} in flight", "log", kubexms={"in_flight": count})
            case RunFinished(result):
                for diagnostic in stale_diagnostics(result):
                    self.diagnostic(diagnostic)
                totals = Totals.of(result)
                done = totals.line(self.operation)
                told = done.replace("complete!", "incomplete.") if result.failed else done
                self._summary(told, totals, self.operation)
            case _:
                pass

    def _finished(self, event: StepFinished) -> None:
        change, result = event.change, event.result
        noun = _VERBS[change.action][1]
        hook = _hook(change, result.seconds)
        own: dict[str, JsonValue] = {
            "status": result.status.value,
            "changed": result.changed,
            "attempts": result.attempts,
            "message": result.message,
        }
        if result.status is StepStatus.OK:
            done = f"{noun} complete after {int(result.seconds)}s"
            self._emit("info", f"{change.address}: {done}", "apply_complete", hook=hook, kubexms=own)
        elif result.status is StepStatus.SKIPPED:
            self._emit(
                "warn",
                f"{change.address}: Skipped: {result.message}",
                "log",
                kubexms={**own, "address": change.address},
            )
        else:
            failed = f"{noun} errored after {int(result.seconds)}s"
            self._emit("error", f"{change.address}: {failed}", "apply_errored", hook=hook, kubexms=own)
            self.diagnostic(failure_diagnostic(result))

    def _summary(self, message: str, totals: Totals, operation: str) -> None:
        changes: dict[str, JsonValue] = {
            "add": totals.added,
            "change": totals.changed,
            "import": 0,
            "remove": totals.destroyed,
            "operation": operation,
        }
        self._emit("info", message, "change_summary", changes=changes)

    def _emit(self, level: str, message: str, kind: str, **fields: JsonValue) -> None:
        head: dict[str, JsonValue] = {
            "@level": level,
            "@message": message,
            "@module": MODULE,
            "@timestamp": rfc3339(self.now()),
        }
        self.write(line({**head, **fields, "type": kind}))


def planned_change(change: Change) -> dict[str, JsonValue]:
    """The `change` of `planned_change` and `resource_drift`: no before, no after."""
    moved = change.previous_address is not None and not change.effective
    entry: dict[str, JsonValue] = {
        "resource": _resource(change),
        "action": "move" if moved else _WORDS[change.action],
    }
    if change.previous_address is not None:
        entry["previous_resource"] = _resource(change, change.previous_address)
    reason = _reason(change)
    if reason is not None:
        entry["reason"] = reason
    if change.reason is not None:
        entry["kubexms"] = {"reason": change.reason.value, "disruption": change.disruption.value}
    return entry


def _reason(change: Change) -> str | None:
    if change.action is ActionKind.REPLACE:
        return "requested" if change.reason is Reason.REPLACE_REQUESTED else "cannot_update"
    if change.action is ActionKind.DELETE and change.reason is Reason.REMOVED_FROM_SPEC:
        return "delete_because_no_resource_config"
    return None


def _hook(change: Change, seconds: float | None = None) -> dict[str, JsonValue]:
    hook: dict[str, JsonValue] = {"resource": _resource(change), "action": _WORDS[change.action]}
    if seconds is not None:
        hook["elapsed_seconds"] = int(seconds)
    return hook


def _resource(change: Change, address: str | None = None) -> dict[str, JsonValue]:
    if address is not None:
        change = change.model_copy(update={"address": address})
    module, name, host = names(change)
    return {
        "addr": change.address,
        "module": module,
        "resource": f"{name}@{host}",
        "implied_provider": "kubexms",
        "resource_type": change.kind,
        "resource_name": name,
        "resource_key": host,
    }


def _host(name: str) -> dict[str, JsonValue]:
    return {
        "addr": f"@{name}",
        "module": "",
        "resource": name,
        "implied_provider": "kubexms",
        "resource_type": "host",
        "resource_name": name,
        "resource_key": None,
    }
