"""Drift as Prometheus metrics, for the textfile collector of node_exporter.

Format: the text exposition format, written by prometheus-client; without timestamps, as the collector asks.
"""

from __future__ import annotations

from collections import Counter

from kubexms.plan.driftreport import DriftReport
from kubexms.views.extras import missing


def drift_metrics(report: DriftReport) -> str:
    """The document. Raises `OutputError` where prometheus-client is not installed.

    Where nothing was looked at there is no sample: an absent `kubexms_drift_steps` is not a zero.
    """
    try:
        from prometheus_client import CollectorRegistry, Gauge, generate_latest
    except ImportError as error:
        raise missing("--metrics", "reports", error) from error
    registry = CollectorRegistry()
    space = report.workspace

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, ("workspace", *labels), registry=registry)

    steps = gauge("kubexms_drift_steps", "Steps that are not as last applied.", "host", "module")
    drifted = Counter((change.host, change.address.partition("/")[0]) for change in report.drifted)
    looked_at = {(a.rpartition("@")[2], a.partition("/")[0]) for a in report.looked_at}
    for host, module in sorted(looked_at | drifted.keys()):
        steps.labels(space, host, module).set(drifted[host, module])
    lost = gauge("kubexms_host_unreachable", "Whether the host did not answer.", "host")
    for host in report.hosts:
        if host not in report.maintenance:
            lost.labels(space, host).set(host in report.unreachable)
    success = gauge("kubexms_last_success_timestamp_seconds", "When drift was last looked for to the end.")
    success.labels(space).set(report.finished.timestamp())
    duration = gauge("kubexms_plan_duration_seconds", "How long asking all hosts and comparing took.")
    duration.labels(space).set(report.seconds)
    return generate_latest(registry).decode()
