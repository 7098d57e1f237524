"""Saved plans: one versioned JSON document, written whole, refused when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from kubexms.errors import PlanDamaged, PlanError
from kubexms.plan.model import FORMAT_VERSION, Plan
from kubexms.state.digest import canonical_json

MAGIC = "kubexms.io/plan"


def plan_digest(plan: Plan) -> str:
    """`sha256:` and the digest of the plan's canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical_json(plan.to_json())).hexdigest()


def write_plan(plan: Plan, path: Path) -> str:
    """Write the plan atomically, mode 0600; returns its digest. Raises `PlanError`."""
    document = {
        "format": MAGIC,
        "version": FORMAT_VERSION,
        "digest": plan_digest(plan),
        "plan": plan.to_json(),
    }
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlanError(f"cannot write the plan to {path}: {error.strerror}") from error
    return str(document["digest"])


def read_plan(path: Path) -> Plan:
    """Read a saved plan. Raises `PlanDamaged` for anything that `write_plan` has not written so."""
    again = "Make a new one with `kubexms plan --out`."
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise PlanError(f"cannot read the plan {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PlanDamaged(f"{path} is not a saved plan, or is damaged: {error}", detail=again) from error
    if not isinstance(document, dict) or document.get("format") != MAGIC:
        raise PlanDamaged(f"{path} is not a saved plan", detail=again)
    if document.get("version") != FORMAT_VERSION:
        raise PlanDamaged(
            f"{path} has plan format {document.get('version')!r}; this kubexms reads {FORMAT_VERSION!r}",
            detail="Apply it with the kubexms that made it, or make a new one.",
        )
    try:
        plan = Plan.from_json(document.get("plan"))
        found = plan_digest(plan)
    except (ValidationError, ValueError, TypeError) as error:
        raise PlanDamaged(f"{path} is damaged: its contents are not a plan", detail=again) from error
    if set(document) != {"format", "version", "digest", "plan"} or found != document["digest"]:
        raise PlanDamaged(f"{path} is damaged: its digest does not match", detail=again)
    return plan
