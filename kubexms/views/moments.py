"""Moments and durations for people."""

from __future__ import annotations

from datetime import datetime


def moment(when: datetime | None) -> str:
    """Local time to the second, with its zone; `-` for none."""
    return "-" if when is None else when.isoformat(sep=" ", timespec="seconds")


def duration(start: datetime, end: datetime | None) -> str:
    """`4.2s`, `3m 05s`; `-` while it runs."""
    if end is None:
        return "-"
    seconds = (end - start).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"
