"""Colours: every text can be read on every ground that it stands on, in light, in dark, and on paper."""

from __future__ import annotations

import re

import pytest

from kubexms.views.html.plan import plan_html
from tests.unit.views.html.plans import mixed
from tests.unit.views.html.tree import parse

# (text, ground) as the style sheet puts them together
PAIRS = [
    *(
        (text, ground)
        for text in ("text", "muted", "link", "good", "bad", "warn", "run")
        for ground in ("bg", "panel")
    ),
    *((text, f"{text}-bg") for text in ("good", "bad", "warn")),
    *(("text", ground) for ground in ("good-bg", "bad-bg", "warn-bg", "good-in", "bad-in")),
]
ENOUGH = 4.5
"""WCAG 2.2, 1.4.3, level AA."""


def _style() -> str:
    return parse(plan_html(mixed())).one("style").text


def _schemes() -> dict[str, dict[str, str]]:
    light, dark, paper = re.findall(r":root\{([^}]*)\}", _style())
    read = {
        name: dict(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", text))
        for name, text in (("light", light), ("dark", dark), ("paper", paper))
    }
    return read | {"paper": read["light"] | read["paper"]}


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark", "paper"])
def test_texts_stand_out(scheme: str) -> None:
    colours = _schemes()[scheme]
    for text, ground in PAIRS:
        lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= ENOUGH, (text, ground)


def test_every_colour_is_a_variable() -> None:
    rules = re.sub(r":root\{[^}]*\}", "", _style())
    assert not re.findall(r"#[0-9a-f]{3,8}\b(?=[;}])", rules)
