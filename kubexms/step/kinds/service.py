"""`service`: a systemd unit, whether it runs, whether boot starts it, and what it must be restarted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Disruption, Probe, Source, StepArgs, StepExecutor
from kubexms.step.kinds._shell.etc_files import text_of
from kubexms.step.kinds._shell.units import SHOW, START, freshness, unit_name
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

NEUTRAL = frozenset({"static", "generated", "transient", "alias", "indirect"})
"""Unit file states that neither enable nor disable changes."""
_ONE_RUN = 3600.0
"""Seconds for a unit that runs and ends."""


class ServiceSpec(StepArgs):
    """A systemd unit (service, timer, socket, …): running, enabled, masked, and what it is restarted for."""

    unit: Annotated[str, AfterValidator(unit_name)] = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*$", max_length=250
    )
    """The unit; `containerd` means `containerd.service`. Instances of templates too: `getty@tty1`."""
    enabled: bool | None = None
    """Whether boot starts it. A static or generated unit, which cannot be enabled, is right either way."""
    running: bool | None = None
    """Whether it runs now."""
    masked: bool | None = None
    """Whether starting it is made impossible."""
    succeeded: Literal[True] | None = None
    """For a oneshot unit: its last run has not failed. One that has is started once more, and what it says is
    shown if it fails again."""
    restart_on: tuple[str, ...] = ()
    """Steps of this module (`step` or `task/step`) whose change restarts the unit if it is running."""
    reload_on: tuple[str, ...] = ()
    """Steps of this module whose change makes the running unit read its configuration again."""
    daemon_reload: bool = True
    """Tell systemd to read the unit's files again when they changed on disk."""

    _watched: tuple[Source, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.masked and (self.running or self.enabled):
            raise PydanticCustomError("masked_unit", "a masked unit can be neither running nor enabled")
        if (self.restart_on or self.reload_on) and self.running is False:
            raise PydanticCustomError(
                "stopped_unit", "'restartOn' and 'reloadOn' mean nothing for a unit with 'running: false'"
            )
        if self.succeeded and (self.running is not None or self.masked):
            raise PydanticCustomError(
                "oneshot_unit",
                "'succeeded' is for a unit that runs and ends: leave 'running' and 'masked' out",
            )
        asked = (self.enabled, self.running, self.masked, self.succeeded)
        if not self.restart_on and not self.reload_on and asked == (None, None, None, None):
            raise PydanticCustomError(
                "nothing_asked",
                "a service needs at least one of 'enabled', 'running', 'masked', 'succeeded', 'restartOn'",
            )
        return self


class ServiceExecutor(StepExecutor[ServiceSpec]):
    """One `systemctl show` for all units; one `stat` per unit that watches something."""

    kind = "service"
    spec = ServiceSpec
    parts = True
    identity = ("unit",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "restart_on": (),
        "reload_on": (),
        "succeeded": ("failed",),
        "daemon_reload": ("daemonReloadNeeded",),
    }
    example = """\
- {name: containerd, kind: service, unit: containerd, enabled: true, running: true, restartOn: [config]}
"""

    def probe(self, specs: Sequence[ServiceSpec]) -> Sequence[Probe]:
        """The units' properties; for those that watch, invocation, start times and change times too."""
        if not specs:
            return ()
        units = words([spec.unit for spec in specs])
        rows = []
        for spec in specs:
            paths = [path for source in spec._watched for path in source.paths]
            rows.append(f"next {quote(spec.unit)} {words(['w', *paths]) if spec._watched else ''}\n")
        timeout = 30.0 + len(specs)
        script = f"{SHOW}show {units}\nprintf '%s\\n\\n' \"$blocks\" | {{\n{''.join(rows)}}}\n"
        fragment = Fragment(script, records=len(specs), timeout=timeout)
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: ServiceSpec, record: Record) -> Observation:
        """A unit that is not installed is absent, unless nothing is wanted of it that it lacks."""
        text = text_of(record)
        if record.status:
            return Observation.unknown(text.strip() or "systemctl did not answer")
        properties, _, times = text.partition("\n--\n")
        found = dict(line.partition("=")[::2] for line in properties.split("\n"))
        missing = found.get("LoadState") == "not-found"
        extra: dict[str, JsonValue] = {
            "loadState": found.get("LoadState", ""),
            "activeState": found.get("ActiveState", ""),
            "result": found.get("Result", ""),
        }
        if missing and (spec.running or spec.enabled or (spec.restart_on and spec.running is not False)):
            return Observation.absent(extra)
        notes = []
        if found.get("ActiveState") == "failed":
            notes.append(f"{spec.unit} has failed: {found.get('Result') or 'no result'}")
        if spec._watched:
            extra["invocation"] = found.get("InvocationID", "")
            extra["changed"], future = freshness(spec._watched, found, times, spec.restart_on)
            notes += [f"{path} on the host changed in the future: is its clock right?" for path in future]
        if notes:
            extra["notes"] = list[JsonValue](notes)
        attributes: dict[str, JsonValue] = {
            "enabled": _enabled(found.get("UnitFileState", "")),
            "running": found.get("ActiveState") in ("active", "reloading"),
            "masked": found.get("LoadState") == "masked",
            "daemonReloadNeeded": found.get("NeedDaemonReload") == "yes",
        }
        if spec.succeeded:
            attributes["failed"] = found.get("ActiveState") == "failed"
        return Observation(
            presence=Presence.PRESENT, attributes=attributes, extra=extra, reason="; ".join(notes)
        )

    def desired(self, spec: ServiceSpec) -> Attributes | None:
        """What the step says, and that systemd knows the unit's files."""
        asked = {"enabled": spec.enabled, "running": spec.running, "masked": spec.masked}
        wanted: dict[str, JsonValue] = {name: value for name, value in asked.items() if value is not None}
        if spec.masked is None and (spec.running or spec.enabled):
            wanted["masked"] = False
        if spec.succeeded:
            wanted["failed"] = False
        if spec.daemon_reload:
            wanted["daemonReloadNeeded"] = False
        return wanted

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """A unit that cannot be enabled or disabled is right as it is."""
        return desired == observed or (name == "enabled" and observed in NEUTRAL)

    def disruption(self, spec: ServiceSpec, request: ChangeRequest) -> Disruption:
        """A running unit is stopped or restarted."""
        if request.before.attributes.get("running") is not True:
            return Disruption.NONE
        stops = spec.running is False and "running" in request.changed
        return Disruption.RESTART if stops or self._restarts(spec, request) else Disruption.NONE

    @staticmethod
    def _restarts(spec: ServiceSpec, request: ChangeRequest) -> bool:
        return any(name in spec.restart_on for name in request.triggered_by)

    def action(self, spec: ServiceSpec, request: ChangeRequest) -> Action:
        """Files first, then whether it may start, then whether it does. A failed start shows its log."""
        unit = quote(spec.unit)
        script = START + f"u={unit}\nreread\n"
        if spec.masked is True:
            script += 'systemctl stop -- "$u" 2>/dev/null || :\nsystemctl mask -- "$u"\n'
        elif "masked" in request.changed and request.before.attributes.get("masked"):
            script += 'systemctl unmask -- "$u"\n'
        if not spec.masked and request.before.presence is not Presence.PRESENT:
            script += "installed\n"
        if "enabled" in request.changed and not spec.masked:
            verb = "enable" if spec.enabled else "disable"
            script += f'systemctl {verb} -- "$u"\n'
        if "running" in request.changed and spec.running is False:
            script += 'systemctl stop -- "$u"\n'
        elif "running" in request.changed and spec.running:
            script += "bring start\n"
        elif self._restarts(spec, request):
            script += "bring try-restart\n"
        elif request.triggered_by:
            script += "bring try-reload-or-restart\n"
        if spec.succeeded and request.before.attributes.get("failed"):
            return Action(script + "again\n", timeout=_ONE_RUN)
        return Action(script)

    def undo(self, spec: ServiceSpec, prior: Observation) -> Action | None:
        """Running, enabled and masked as they were, as far as this step had a say in them."""
        was = prior.attributes if prior.presence is Presence.PRESENT else {}
        # nothing was known of the unit, so nothing was done either where there is no systemd
        script = "[ -d /run/systemd/system ] || exit 0\n" if prior.presence is Presence.UNKNOWN else ""
        script += START + f"u={quote(spec.unit)}\nreread\n"
        if spec.running is not None and not was.get("running"):
            script += 'known || exit 0\nsystemctl stop -- "$u"\n'
        if was.get("masked"):
            return Action(script + 'systemctl mask -- "$u"\n')
        if spec.masked:
            script += 'systemctl unmask -- "$u"\n'
        script += "known || exit 0\n"
        if spec.enabled is not None and was.get("enabled") not in NEUTRAL:
            script += f'systemctl {"enable" if was.get("enabled") is True else "disable"} -- "$u"\n'
        if spec.running is not None and was.get("running"):
            script += "bring start\n"
        return Action(script)

    # watching -----------------------------------------------------------------------------
    def watches(self, spec: ServiceSpec) -> tuple[str, ...]:
        """All of both lists, each once."""
        return tuple(dict.fromkeys((*spec.restart_on, *spec.reload_on)))

    def bind(self, spec: ServiceSpec, sources: Sequence[Source]) -> ServiceSpec:
        """A copy that knows the paths; they are no field, so no document can set them."""
        bound = spec.model_copy()
        bound._watched = tuple(sources)
        return bound

    def stale(
        self, spec: ServiceSpec, observation: Observation, recorded: JsonValue, digests: Mapping[str, str]
    ) -> tuple[str, ...]:
        """What changed since the unit that runs now was started, or was last told by kubexms.

        Same invocation as recorded: digests tell (a chown or touch restarts nothing). Otherwise the
        sources' change times against systemd's own start time.
        """
        if observation.attributes.get("running") is not True:
            return ()
        changed = observation.extra.get("changed")
        later = set(changed) if isinstance(changed, list) else set()
        taken: Mapping[str, JsonValue] = {}
        if isinstance(recorded, dict) and recorded.get("invocation") == observation.extra.get("invocation"):
            known = recorded.get("digests")
            taken = known if isinstance(known, dict) and recorded.get("invocation") else {}
        return tuple(
            name
            for name in self.watches(spec)
            if (name in digests and digests[name] != taken[name] if name in taken else name in later)
        )

    def remember(self, spec: ServiceSpec, observation: Observation, digests: Mapping[str, str]) -> JsonValue:
        """The invocation, and the sources as it took them in."""
        watched = {name: digests[name] for name in self.watches(spec) if name in digests}
        return {
            "invocation": observation.extra.get("invocation", ""),
            "digests": dict[str, JsonValue](watched),
        }


def _enabled(state: str) -> JsonValue:
    if state in NEUTRAL or state == "enabled-runtime":
        return state
    return state == "enabled"


__all__ = ["ServiceExecutor", "ServiceSpec"]
