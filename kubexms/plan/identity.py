"""A plan's digest: what an approver has seen, and what apply then holds them to."""

from __future__ import annotations

import hashlib

from kubexms.plan.model import Plan
from kubexms.state.digest import canonical_json


def plan_digest(plan: Plan) -> str:
    """`sha256:` and the digest of the plan's canonical JSON, without the time at which it was made.

    Two plans of the same documents, state and observations are the same plan, whenever they are made: a
    pipeline may plan again before it applies, and apply only if the digest is the approved one. The
    state's serial is in it, and rises with every apply: a plan that has been applied does not come back.
    """
    data = plan.to_json()
    del data["created"]
    return "sha256:" + hashlib.sha256(canonical_json(data)).hexdigest()
