"""What state holds, as data.

Sensitive values never enter: specs and attributes are redacted (`HIDDEN`), digests of sensitive
parts are keyed (HMAC) under a key that lives only in the store.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from kubexms.spec.base import FrozenModel
from kubexms.step.observation import Observation

STATE_VERSION = 1


class StepState(FrozenModel):
    """One address that kubexms manages."""

    address: str
    kind: str
    spec: dict[str, JsonValue]
    """The last applied rendered spec, redacted, camelCase."""
    spec_digest: str
    prior: Observation | None = None
    """What was there before kubexms first touched it; None: adopted as found, or imperative."""
    touched: bool = False
    """kubexms has changed the object (False: adopted; removing it from the spec only forgets it)."""
    tainted: bool = False
    """Its last apply acted and failed: nothing recorded here but `prior` can be relied on."""
    observation_digest: str = ""
    """Of the compared attributes after the last apply."""
    attributes: dict[str, JsonValue] = Field(default_factory=dict)
    """Compared attributes after the last apply, redacted."""
    outputs: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[str, str] = Field(default_factory=dict)
    """Facts and outputs that its templates read -> digest of their value then."""
    remembered: JsonValue = None
    """What the kind's `remember` returned."""
    trigger_digest: str = ""
    """Of `triggers`, when it last ran."""
    ignore_changes: tuple[str, ...] = ()
    """The step's `ignoreChanges` then: they outlive the step in the documents."""
    depends_on: tuple[str, ...] = ()
    """Addresses of the same host and join scopes it waited for."""
    object_id: str = ""
    machine_id: str = ""
    order: int = 0
    """Sequence number of its first success: removed steps are deleted in the reverse of it."""
    run: str = ""
    updated: datetime | None = None
    source: str = ""
    """`file:line` of the step, from the root of its project."""


class HostState(FrozenModel):
    """One host, so that it can still be reached and reasoned about after it left the inventory."""

    name: str
    connection: dict[str, JsonValue] = Field(default_factory=dict)
    """The inventory's ConnectionSpec as JSON (secret references, no secrets)."""
    machine_id: str = ""
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    facts_at: datetime | None = None
    missed_at: datetime | None = None
    """When an apply was made that this host took no part in, or only some; None: it missed none."""


class Intent(FrozenModel):
    """Durable before a step's first write; the result closes it."""

    address: str
    run: str
    kind: str
    action: str
    spec: dict[str, JsonValue] = Field(default_factory=dict)
    spec_digest: str = ""
    prior: Observation | None = None
    object_id: str = ""
    machine_id: str = ""
    at: datetime
    living: bool = Field(default=False, exclude=True)
    """Its run goes on now. Never stored: who reads the state finds out (`services.living`)."""


class OpenScope(FrozenModel):
    """A hook scope whose `pre` has begun and whose `post` has not run."""

    scope: str
    """`module`, `module/task`, `module/task@host`; empty for the pipeline; `@host` for hooks on hosts."""
    run: str
    at: datetime


class StepRecord(FrozenModel):
    """The outcome of one step in a run, for `runs show`."""

    address: str
    kind: str
    action: str
    status: str
    """`ok`, `failed`, `skipped`, `interrupted`, `unreachable`; in drift runs `drifted` and `ended`."""
    reason: str = ""
    seconds: float = 0.0
    attempts: int = 1
    exit_status: int | None = None
    output_tail: str = ""
    error_tail: str = ""
    message: str = ""
    detail: str = ""
    changed: tuple[str, ...] = ()
    since: datetime | None = None
    """Of a drifted step: when a drift run first found it so."""


class RunRecord(FrozenModel):
    """One execution of a plan."""

    id: str
    operation: Literal["apply", "destroy", "drift", "repair", "import"] = "apply"
    actor: str
    plan_digest: str = ""
    started: datetime
    finished: datetime | None = None
    status: Literal["running", "succeeded", "failed", "interrupted"] = "running"
    summary: dict[str, int] = Field(default_factory=dict)
    tool_version: str = ""
    repeats: int = 0
    """Drift runs that followed and found the same: they are counted here instead of kept."""
    last: datetime | None = None
    """When the latest of those ended."""


class StateMeta(FrozenModel):
    """Which state this is."""

    version: int = STATE_VERSION
    lineage: str
    serial: int
    workspace: str


class StateSnapshot(FrozenModel):
    """A consistent reading of everything a plan needs."""

    meta: StateMeta
    steps: dict[str, StepState] = Field(default_factory=dict)
    hosts: dict[str, HostState] = Field(default_factory=dict)
    intents: dict[str, Intent] = Field(default_factory=dict)
    scopes: dict[str, OpenScope] = Field(default_factory=dict)
    applied_plans: tuple[str, ...] = ()
    """Digests of saved plans that were applied (or begun)."""


class LockInfo(FrozenModel):
    """Who holds a lock; the fields of Terraform's lock document."""

    id: str
    operation: str
    who: str
    created: datetime
    info: str = ""
    version: str = ""
    path: str = ""
    pid: int = 0
