"""Colour for terminals. Imported only where there is one: rich is not cheap to load."""

from __future__ import annotations

from functools import cache

from rich.color import ColorSystem
from rich.style import Style

from kubexms.views.paint import Paint, Role

_STYLES = {
    Role.ADD: "green",
    Role.CHANGE: "yellow",
    Role.REMOVE: "red",
    Role.DIM: "bright_black",
    Role.BOLD: "bold",
    Role.ERROR: "bold red",
    Role.WARNING: "bold yellow",
    Role.GOOD: "bold green",
    Role.SKIPPED: "cyan",
}


@cache
def coloured(system: ColorSystem = ColorSystem.STANDARD) -> Paint:
    """A paint of the sixteen colours that every terminal has and themes know."""
    styles = {role: Style.parse(text) for role, text in _STYLES.items()}

    def paint(role: Role, text: str) -> str:
        return styles[role].render(text, color_system=system) if text else text

    return paint
