"""The report that GitLab shows in a merge request: `artifacts:reports:terraform`.

Source of the format: https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsterraform and the
fields that GitLab's widget reads: `create`, `update`, `delete`, all three of them always there.
"""

from __future__ import annotations

from kubexms.plan.model import Plan
from kubexms.views.jsontext import line


def gitlab_report(plan: Plan) -> str:
    """One line of JSON. A replace counts in `create` and in `delete`; a forget counts nowhere."""
    counts = plan.counts()
    return line({"create": counts.add, "update": counts.change, "delete": counts.remove}) + "\n"
