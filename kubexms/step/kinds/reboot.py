"""The kind `reboot`: restarts the host when it says that it needs it, and waits for it to come back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from kubexms.errors import ConnectionFailed, HostKeyRejected, StepTimeout
from kubexms.runtime.protocol import Action, Fragment, Outcome, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, Probe, StepArgs, StepContext, StepExecutor
from kubexms.step.kinds._shell.checks import Asked, Condition, ask_all, program, read_said, undecided
from kubexms.step.observation import Attributes, Observation

NOT_READY = 75
_PATIENCE = 120.0
"""Seconds that the host's own services get to start; then later steps go on regardless."""

_BOOT_ID = Fragment('IFS= read -r b </proc/sys/kernel/random/boot_id\nemit "$?" "$b"\n', timeout=20.0)

_REBOOT = """\
sync
if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
    systemctl --no-block reboot
elif command -v shutdown >/dev/null; then
    shutdown -r now
else
    reboot
fi
"""

_STARTED = """\
command -v systemctl >/dev/null || exit 0
[ -d /run/systemd/system ] || exit 0
n=0
while [ "$n" -lt 10 ]; do
    case $(systemctl is-system-running 2>/dev/null || :) in initializing | starting) ;; *) exit 0 ;; esac
    sleep 1
    n=$((n + 1))
done
exit 75
"""

_READY = """\
command -v timeout >/dev/null || timeout() { shift; "$@"; }
payload ready | timeout 30 sh -c 'eval "$(cat)" </dev/null' >/dev/null || exit 75
"""


class RebootSpec(StepArgs):
    """Reboots the host when it is needed, once, and goes on when it is back with another boot id.

    A plan cannot foresee that a package will ask for a reboot: name its step in `rebootOn`. Together
    with `triggers` (a list of inputs) it also reboots when one of them changes.
    """

    check: str | None = None
    """A check in shell that succeeds if a reboot is needed. It only looks: plans run it, in a
    read-only guard. Default: a file `/run/reboot-required` (or below `/var/run`) is there. Where the
    system does not write it: `needs-restarting -r; test $? = 1`; for `triggers` alone: `false`."""
    reboot_on: tuple[str, ...] = ()
    """Steps of this module (`step` or `task/step`) after whose change the host is rebooted, needed or not."""
    ready: str | None = None
    """A check in shell that must succeed after the reboot before later steps go on. Default: systemd
    has started everything that it is to start, waited for at most two minutes."""
    limit: float = Field(default=600.0, gt=0)
    """Seconds for the host to come back and be ready; then the step has failed."""
    check_timeout: float = Field(default=20.0, gt=0, le=600)
    """Seconds for `check`."""
    guard: Literal["on", "off"] = "on"
    """`off`: `check` runs outside of the read-only guard, as it must write something harmless."""


class RebootExecutor(StepExecutor[RebootSpec]):
    """See `RebootSpec`."""

    kind: ClassVar[str] = "reboot"
    spec: ClassVar[type[StepArgs]] = RebootSpec
    identity: ClassVar[tuple[str, ...]] = ("check",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: ("pending",) if name == "check" else () for name in RebootSpec.model_fields
    }
    changes_facts: ClassVar[frozenset[str]] = frozenset({"kernel"})
    imperative: ClassVar[bool] = True
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- {name: reboot, kind: reboot, check: test -e /run/reboot-required, limit: 300}
"""

    def probe(self, specs: Sequence[RebootSpec]) -> Sequence[Probe]:
        return ask_all([_asked(spec) for spec in specs])

    def observe(self, spec: RebootSpec, record: Record) -> Observation:
        said = read_said(record)
        unknown = undecided(said, _asked(spec))
        if unknown is not None:
            return unknown
        return Observation.present({"pending": any(one.holds for one in said.values())})

    def desired(self, spec: RebootSpec) -> Attributes | None:
        return {"pending": False}

    def watches(self, spec: RebootSpec) -> tuple[str, ...]:
        return spec.reboot_on

    def remember(self, spec: RebootSpec, observation: Observation, digests: Mapping[str, str]) -> JsonValue:
        return {name: digests[name] for name in spec.reboot_on if name in digests}

    def stale(
        self, spec: RebootSpec, observation: Observation, recorded: JsonValue, digests: Mapping[str, str]
    ) -> tuple[str, ...]:
        known = recorded if isinstance(recorded, dict) else {}
        return tuple(
            name
            for name in spec.reboot_on
            if name in known and name in digests and known[name] != digests[name]
        )

    def disruption(self, spec: RebootSpec, request: ChangeRequest) -> Disruption:
        return Disruption.REBOOT

    def action(self, spec: RebootSpec, request: ChangeRequest) -> Action:
        return Action(_REBOOT, expect_disconnect=True, timeout=60.0)

    def run(self, context: StepContext, spec: RebootSpec, request: ChangeRequest) -> Outcome:
        """Reboot, connect again, and be sure by the boot id that it is another boot."""
        began = context.monotonic()
        before = _boot_id(context)
        outcome = context.exchange(self.action(spec, request), verify=False)
        if not outcome.acted or (outcome.status not in (0, None) and not outcome.disconnected):
            return outcome
        self._come_back(context, before, began, spec.limit)
        self._be_ready(context, spec, began)
        return context.exchange(Action(":\n"))

    def _come_back(self, context: StepContext, before: str, began: float, limit: float) -> None:
        while True:
            context.sleep(1.0)
            left = limit - (context.monotonic() - began)
            if left <= 0:
                raise StepTimeout(
                    f"the host has not come back within {limit:g} s of its reboot",
                    detail="Look at its console; once it is up, a new apply goes on from what it finds.",
                )
            context.progress(f"waiting for the host to come back ({limit - left:.0f} s of {limit:g} s)")
            try:
                context.connection.reconnect(timeout=min(left, 15.0))
                if _boot_id(context) != before:
                    return
            except HostKeyRejected:
                raise
            except ConnectionFailed:  # still going down, or on its way up
                continue

    def _be_ready(self, context: StepContext, spec: RebootSpec, began: float) -> None:
        payloads = {}
        script, end = _STARTED, context.monotonic() + _PATIENCE
        if spec.ready is not None:
            text = program(spec.ready).encode("utf-8", "surrogateescape")
            script, payloads, end = _READY, {"ready": Payload(data=text)}, began + spec.limit
        while True:
            outcome = context.exchange(Action(script, payloads, timeout=60.0), verify=False)
            if outcome.status != NOT_READY:
                return
            if context.monotonic() >= end:
                if spec.ready is None:
                    return
                said = outcome.stderr.decode("utf-8", "replace").strip()
                raise StepTimeout(
                    f"the host is back, and its 'ready' check has not succeeded within {spec.limit:g} s",
                    detail=f"It said: {said}" if said else "",
                )
            context.progress("the host is back; waiting until it is ready")
            context.sleep(1.0)

    def owns(self, spec: RebootSpec) -> bool:
        return False

    def object_id(self, spec: RebootSpec) -> str:
        text = json.dumps([self.kind, spec.to_json()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _boot_id(context: StepContext) -> str:
    """Raises `ConnectionFailed` if the host does not answer."""
    answer = context.connection.ask((_BOOT_ID,), deadline=20.0).answers[0]
    if not answer.records or answer.records[0].status != 0:
        raise ConnectionFailed("the host does not tell its boot id")
    return answer.records[0].text.decode("ascii", "replace")


def _asked(spec: RebootSpec) -> Asked:
    if spec.check is None:
        paths = ("/run/reboot-required", "/var/run/reboot-required")
        return Asked(tuple(Condition(f"file{index}", path=path) for index, path in enumerate(paths)))
    condition = Condition("check", text=program(spec.check), timeout=spec.check_timeout)
    return Asked((condition,), guarded=spec.guard == "on")


__all__ = ["RebootExecutor", "RebootSpec"]
