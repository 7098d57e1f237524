"""The formats that a plan can be shown in, by name: each a function of the plan alone.

`human` is not among them: it also depends on the terminal that it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from kubexms.plan.model import Plan

PlanView: TypeAlias = "Callable[[Plan], str]"
"""The whole plan as text that ends with a newline."""


def _json(plan: Plan) -> str:
    from kubexms.views.jsontext import line
    from kubexms.views.plan_json import plan_document

    # readers of Terraform's plans expect what Terraform writes: a single line
    return line(plan_document(plan)) + "\n"


def _markdown(plan: Plan) -> str:
    from kubexms.views.markdown import plan_markdown

    return plan_markdown(plan)


def _github(plan: Plan) -> str:
    from kubexms.views.github import github_annotations

    return github_annotations(plan)


def _gitlab(plan: Plan) -> str:
    from kubexms.views.gitlab import gitlab_report

    return gitlab_report(plan)


def _html(plan: Plan) -> str:
    from kubexms.views.html.plan import plan_html

    return plan_html(plan)


# each view is imported when it is asked for: most runs need none of them
PLAN_FORMATS: Mapping[str, PlanView] = {
    "json": _json,
    "markdown": _markdown,
    "html": _html,
    "gitlab": _gitlab,
    "github": _github,
}
