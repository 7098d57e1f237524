"""The kind `manifest`: objects of a cluster as a manifest says, compared by the API server itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Outcome, Payload, Record
from kubexms.spec.asset import ASSET, Asset
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, Probe, StepArgs, StepContext
from kubexms.step.kinds._manifest.differences import differences
from kubexms.step.kinds._manifest.objects import Thing, first, objects, sent
from kubexms.step.kinds._manifest.remembered import (
    LEFT,
    Told,
    in_order,
    leaving,
    lossy,
    notes,
    told,
)
from kubexms.step.kinds._manifest.scripts import (
    NO_CLUSTER,
    TOO_EARLY,
    applying,
    asking,
    removing,
)
from kubexms.step.observation import Attributes, Observation, Presence

AS_SPECIFIED = "as specified"
_TIMEOUT = 300.0
_PER_OBJECT = 1.0
"""Seconds: each is asked for, compared, and looked up."""


class ManifestSpec(StepArgs):
    """Objects of a cluster, applied on the server's side. It runs on a control plane (`runOnce`).

    What differs is found by the API server itself (a dry run of the same request), so that defaults and
    what controllers add are no differences. Namespaces and definitions of kinds are applied before the rest.

    With `set` the cluster remembers what was applied: an object that leaves the manifest is deleted, and all
    are when the step goes; only those that kubexms made, and that nobody else manages. Without it, objects
    that leave stay, and when the step goes, those that were last applied go if none was there before.
    """

    manifest: str | None = None
    """The objects as YAML, written here."""
    source: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """A file on the controller instead, relative to this document."""
    set: str | None = Field(default=None, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=200)
    """A name under which the cluster remembers the objects: of its own for each step, and kept for good."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.manifest is None) == (self.source is None):
            raise PydanticCustomError("manifest_origin", "give either 'manifest' or 'source'")
        there = isinstance(self.source, Asset) and Path(self.source.path).is_file()
        if (self.manifest is not None or there) and not objects(_text(self)):
            raise PydanticCustomError("manifest_empty", "the manifest holds no object")
        return self


class _Leaving(ManifestSpec):
    """A manifest with a set that goes: nothing of it is wanted any more."""


class ManifestExecutor(OneByOne[ManifestSpec]):
    """See `ManifestSpec`."""

    kind: ClassVar[str] = "manifest"
    spec: ClassVar[type[StepArgs]] = ManifestSpec
    identity: ClassVar[tuple[str, ...]] = ("manifest", "source", "set")
    undone_without: ClassVar[frozenset[str]] = frozenset({"manifest"})
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "manifest": ("objects", "content"),  # a text that was made of secrets shows no lines either
        "source": ("objects",),
        "set": ("objects",),
    }
    puts_back: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: quota
  kind: manifest
  runOnce: true
  set: quota
  manifest: |
    apiVersion: v1
    kind: ResourceQuota
    metadata: {name: pods, namespace: default}
    spec: {hard: {pods: "50"}}
"""

    def probe(self, specs: Sequence[ManifestSpec]) -> Sequence[Probe]:
        """With the time that many objects take: an older kubectl asks five times a second at most."""
        asked = super().probe(specs)
        more = _PER_OBJECT * sum(len(_wanted(spec)) for spec in specs)
        return [
            replace(probe, fragment=replace(probe.fragment, timeout=probe.fragment.timeout + more))
            for probe in asked
        ]

    def ask(self, spec: ManifestSpec) -> str:
        text = "" if isinstance(spec, _Leaving) else sent(_text(spec))
        return asking(text, _lines(_wanted(spec)), spec.set)

    def observe(self, spec: ManifestSpec, record: Record) -> Observation:
        """Absent where none of the objects is there, also because their namespace or kind is not yet."""
        text = record.text.decode("utf-8", "replace")
        if record.status in (NO_CLUSTER, TOO_EARLY):
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(f"the API does not say: {text.strip() or 'no reason given'}")
        wanted, answer = _wanted(spec), told(text, spec.set or "")
        found = differences(text)
        states: dict[str, JsonValue] = {}
        before, after = [], []
        for thing in wanted:
            lines = next((found[name] for name in thing.files if name in found), [])
            states[thing.shown] = _state(thing, lines, answer)
            if lines:
                before += [f"# {thing.shown}", *(line[1:] for line in lines if line.startswith("-"))]
                after += [f"# {thing.shown}", *(line[1:] for line in lines if line.startswith("+"))]
        going = leaving(wanted, answer)
        if not going and all(state == "missing" for state in states.values()):
            return Observation.absent()
        extra: dict[str, JsonValue] = {}
        if before:
            extra = {"content": "\n".join(before) + "\n", "wanted": "\n".join(after) + "\n"}
        states |= {entry.shown: fate for entry, fate in going.items()}
        deleted = [entry for entry, fate in going.items() if fate == LEFT]
        if deleted:
            extra["deletions"] = list[JsonValue](in_order(deleted))
            extra["lossy"] = lossy(deleted, answer)
            if said := list[JsonValue](notes(deleted, answer)):
                extra["notes"] = said
        return Observation.present({"objects": states}, extra)

    def desired(self, spec: ManifestSpec) -> Attributes | None:
        if isinstance(spec, _Leaving):
            return None
        return {"objects": {thing.shown: AS_SPECIFIED for thing in _wanted(spec)}}

    def disruption(self, spec: ManifestSpec, request: ChangeRequest) -> Disruption:
        """Data are lost where a namespace or kind takes along what is none of the manifest's, and volumes."""
        return Disruption.DATA_LOSS if request.before.extra.get("lossy") is True else Disruption.NONE

    def action(self, spec: ManifestSpec, request: ChangeRequest) -> Action:
        text = _text(spec)
        if isinstance(spec.source, Asset) and hashlib.sha256(text.encode()).hexdigest() != spec.source.sha256:
            raise StepError(f"{spec.source.path} has changed since the plan", detail="Plan again.")
        early, definitions = first(text)
        payloads = {
            name: value
            for name, value in (("early", early), ("definitions", definitions), ("manifest", sent(text)))
            if value
        }
        deletions = _deletions(request.before)
        script = applying(tuple(payloads), _lines(_wanted(spec)), spec.set, len(deletions))
        return Action(script, _payloads(payloads | deletions), timeout=_TIMEOUT * (1 + len(deletions)))

    def leaving(self, spec: ManifestSpec) -> ManifestSpec:
        """Of a set, all that it remembers goes."""
        return spec if spec.set is None else _Leaving.model_construct(**dict(spec))

    def undo(self, spec: ManifestSpec, prior: Observation) -> Action | None:
        """Without a set only where nothing of it was there before: nobody keeps what else was."""
        if spec.set is None and prior.presence is Presence.PRESENT:
            return None
        return Action(removing(spec.set, 0), timeout=_TIMEOUT)

    def run_undo(self, context: StepContext, spec: ManifestSpec, prior: Observation) -> Outcome:
        """Of a set, what the API says now is to go."""
        if spec.set is None:
            return super().run_undo(context, spec, prior)
        seen = context.observe()
        if seen.presence is Presence.UNKNOWN:
            raise StepError(f"what is to be deleted cannot be seen: {seen.reason}")
        deletions = _deletions(seen)
        timeout = _TIMEOUT * (1 + len(deletions))
        return context.exchange(
            Action(removing(spec.set, len(deletions)), _payloads(deletions), timeout=timeout)
        )

    def summary(self, spec: ManifestSpec) -> str:
        """The first object, and how many there are besides."""
        names = [thing.shown for thing in objects(_text(spec))]
        return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""

    def object_id(self, spec: ManifestSpec) -> str:
        """Which set; without, which objects, whatever they are to be, or which file of the controller."""
        names = sorted(thing.shown for thing in objects(spec.manifest or ""))
        if spec.source is not None:
            names = [spec.source.path if isinstance(spec.source, Asset) else spec.source]
        if spec.set is not None:
            names = ["set", spec.set]
        return hashlib.sha256(json.dumps([self.kind, names]).encode()).hexdigest()[:32]


def _text(spec: ManifestSpec) -> str:
    if spec.manifest is not None:
        return spec.manifest
    if not isinstance(spec.source, Asset):
        return ""
    path = Path(spec.source.path)
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""


def _wanted(spec: ManifestSpec) -> tuple[Thing, ...]:
    return () if isinstance(spec, _Leaving) else objects(_text(spec))


def _lines(things: tuple[Thing, ...]) -> str:
    """What the host is told of what is wanted."""
    return "\n".join(f"w {one.api_version} {one.kind} {one.namespace or '-'} {one.name}" for one in things)


def _state(thing: Thing, lines: list[str], answer: Told) -> str:
    """What is to be said of an object that is wanted."""
    if answer.early:
        known = any(entry.key == thing.key for entry in answer.own)
        return "not compared yet" if known else "missing"
    if "new" in lines:
        return "missing"
    if lines:
        return "differs"
    lent = answer.others.get(thing.key)
    if lent is not None and all(entry.key != thing.key for entry in answer.own):
        return f"{AS_SPECIFIED}, by {lent}"
    return AS_SPECIFIED


def _deletions(observation: Observation) -> dict[str, str]:
    found = observation.extra.get("deletions")
    texts = found if isinstance(found, list) else []
    return {f"leaving-{index}": str(text) for index, text in enumerate(texts)}


def _payloads(texts: Mapping[str, str]) -> dict[str, Payload]:
    return {name: Payload(data=text.encode()) for name, text in texts.items()}


__all__ = ["ManifestExecutor", "ManifestSpec"]
