"""The nearest valid name, for whoever mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that `name` was most likely meant to be, or None."""
    candidates = list(names)
    folded = {candidate.casefold(): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`. Did you mean 'x'?`, to be put after a sentence; empty if nothing is near."""
    near = nearest(name, names)
    return f". Did you mean '{near}'?" if near is not None else ""


def hint(name: str, names: Iterable[str], what: str) -> str:
    """A detail: the nearest name, else all of them (as `what`) if they are few."""
    candidates = sorted(names)
    near = nearest(name, candidates)
    if near is not None:
        return f"Did you mean '{near}'?"
    if not candidates:
        return f"There are no {what}."
    shown = ", ".join(candidates[:25])
    return f"The {what} are: {shown}{', …' if len(candidates) > 25 else ''}."
