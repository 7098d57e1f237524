"""Two steps that want one object of a host otherwise: no apply could satisfy both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubexms.plan.model import PlanDiagnostic
from kubexms.plan.working import HostWork, PlannedStep


def at_odds(works: Mapping[str, HostWork]) -> Iterator[PlanDiagnostic]:
    """One error for each step that undoes what an earlier one brings about.

    Steps may share an object as long as what they want of it can hold together. What is known only
    after apply, is ignored, or is imperative cannot be told apart here.
    """
    for work in works.values():
        first: dict[str, PlannedStep] = {}
        for address, step in work.steps.items():
            rendered = step.instance.rendered
            if (
                rendered.unknown_identity is not None
                or not rendered.executor.owns(rendered.spec)
                or rendered.executor.runs(rendered.spec) != "observed"
            ):
                continue
            other = first.setdefault(rendered.object_id, step)
            wanted = _difference(other, step) if other is not step else ""
            if wanted:
                yield PlanDiagnostic(
                    severity="error",
                    summary=f"{address} and {other.change.address} are about one object, and {wanted}",
                    detail="Each would undo the other at every apply. Keep one, or let `when` choose.",
                    address=address,
                )


def _difference(one: PlannedStep, two: PlannedStep) -> str:
    left, right = one.instance.rendered, two.instance.rendered
    if left.desired is None or right.desired is None:
        return "" if left.desired is right.desired else "one wants it absent"
    silent = {
        *left.unknown_attributes, *right.unknown_attributes,
        *one.instance.step.ignore_changes, *two.instance.step.ignore_changes,
    }  # fmt: skip
    same = left.executor.same
    names = [
        name
        for name, value in left.desired.items()
        if name in right.desired
        and name not in silent
        and value != right.desired[name]
        and not same(name, value, right.desired[name])
        and not same(name, right.desired[name], value)
    ]
    return f"differ in {', '.join(names)}" if names else ""
