"""The frame of a page: templates, styles and script in one file, under a policy that lets nothing else in."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from kubexms.views.escaping import printable
from kubexms.views.html.lines import clip

_PACKAGE = resources.files(__package__)


def render(template: str, **values: object) -> str:
    """A whole page. The same values give the same bytes."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=FunctionLoader(lambda name: _text("templates", name)),
    )
    style, script = _text("assets", "page.css"), _text("assets", "page.js")
    environment.filters.update(clip=clip, printable=printable)
    # both are files of this package, which nothing of a plan gets into
    own = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    environment.globals.update(own, policy=_policy(style, script))
    return environment


def _text(*path: str) -> str:
    return _PACKAGE.joinpath(*path).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere; of inline code only the two texts that belong here, by their digests."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",  # the icon, without which browsers ask the server for one
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_FOR_SCRIPTS = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def data(value: Sequence[object] | Mapping[str, object]) -> Markup:
    """JSON for a `<script>` of data: nothing in it can end the element."""
    return Markup(json.dumps(value, separators=(",", ":")).translate(_FOR_SCRIPTS))  # noqa: S704


def moment(when: datetime) -> str:
    """`2026-03-01 12:00:00 UTC`."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
