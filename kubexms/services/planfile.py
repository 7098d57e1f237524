"""Saved plans: one versioned JSON document, written whole, refused unless it is as it was written."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from kubexms.errors import PlanDamaged, PlanError
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import FORMAT_VERSION, Plan
from kubexms.spec.address import Address
from kubexms.state.digest import canonical_json

MAGIC = "kubexms.io/plan"
_MEMBERS = {"format", "version", "digest", "checksum", "plan"}
_AGAIN = "Make a new one with `kubexms plan --out`."


def write_plan(plan: Plan, path: Path) -> str:
    """Write the plan atomically, mode 0600; returns its digest. Raises `PlanError`."""
    digest = plan_digest(plan)
    data = _encoded(plan, digest)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlanError(
            f"cannot write the plan to {path}: {error.strerror}",
            detail="Nothing was saved, and no host was changed. Choose another place with --out.",
        ) from error
    return digest


def read_plan(path: Path) -> Plan:
    """Read a saved plan. Raises `PlanDamaged` unless every byte is as `write_plan` wrote it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlanError(
            f"cannot read the plan {path}: {error.strerror}",
            detail="`kubexms plan --out FILE` writes one. Paths are relative to the project (-C).",
        ) from error
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PlanDamaged(f"{path} is not a saved plan, or is damaged: {error}", detail=_AGAIN) from error
    if not isinstance(document, dict) or document.get("format") != MAGIC:
        raise PlanDamaged(f"{path} is not a saved plan", detail=_AGAIN)
    if document.get("version") != FORMAT_VERSION:
        raise PlanDamaged(
            f"{path} has plan format {document.get('version')!r}; this kubexms reads {FORMAT_VERSION!r}",
            detail="Apply it with the kubexms that made it, or make a new one.",
        )
    try:
        plan = Plan.from_json(document.get("plan"))
        for change in (*plan.changes, *plan.drift):
            Address.parse(change.address)
        digest = plan_digest(plan)
        written = _encoded(plan, digest)
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        raise PlanDamaged(f"{path} is damaged: its contents are not a plan", detail=_AGAIN) from error
    if set(document) != _MEMBERS or digest != document["digest"]:
        raise PlanDamaged(f"{path} is damaged: its digest does not match", detail=_AGAIN)
    if data != written:
        raise PlanDamaged(f"{path} is not as it was written: a saved plan is never edited", detail=_AGAIN)
    return plan


def _encoded(plan: Plan, digest: str) -> bytes:
    """The file's bytes: a function of the plan, so that reading can tell whether they are the same."""
    data = plan.to_json()
    document = {
        "format": MAGIC,
        "version": FORMAT_VERSION,
        "digest": digest,
        # the digest leaves out the time at which the plan was made; this covers it
        "checksum": "sha256:" + hashlib.sha256(canonical_json(data)).hexdigest(),
        "plan": data,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
