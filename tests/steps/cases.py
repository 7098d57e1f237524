"""The data-driven cases of `tests/steps/<kind>/*.yaml`: one spec, one scripted record, what must follow."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

from kubexms.runtime.protocol import Record

ROOT = Path(__file__).parent


class CaseModel(BaseModel):
    """A mistyped key in a case is an error, never a check that silently does not run."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Scripted(CaseModel):
    """What the host would have answered: `text`, or `base64` for bytes that YAML cannot hold."""

    status: int = 0
    text: str = ""
    base64: str | None = None

    def record(self) -> Record:
        """The record that `observe` gets. One final newline, which YAML's `|` adds, is taken off."""
        raw = self.text.removesuffix("\n").encode() if self.base64 is None else base64.b64decode(self.base64)
        return Record(self.status, raw)


class Expected(CaseModel):
    """An observation: what is given is compared; `reason` is a part of the sentence."""

    presence: str = "present"
    attributes: dict[str, JsonValue] | None = None
    extra: dict[str, JsonValue] | None = None
    reason: str = ""


class ExpectedAction(CaseModel):
    """An action: texts that its script does or does not hold, and its payloads as text."""

    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    payloads: dict[str, str] | None = None
    backup: tuple[str, ...] | None = None
    user: str | None = None
    timeout: float | None = None
    expect_disconnect: bool = False
    none: bool = False
    """The kind cannot do it: `undo` returns None."""


class Prior(CaseModel):
    """What was there before kubexms: the argument of `undo`."""

    presence: str = "absent"
    attributes: dict[str, JsonValue] = {}
    extra: dict[str, JsonValue] = {}


class ExpectedUndo(ExpectedAction):
    """What `undo` returns for `prior`."""

    prior: Prior = Prior()
    disruption: str | None = None
    """What it interrupts that the step is undone, as the record says that the host is."""


class Case(CaseModel):
    """One case; every key but `name` and `spec` is a check that is made only if it is given."""

    name: str
    spec: dict[str, JsonValue]
    invalid: str | None = None
    """The spec is refused, with a message that holds this text. Nothing else is checked then."""
    record: Scripted | None = None
    observe: Expected | None = None
    desired: dict[str, JsonValue] | None = None
    absent: bool = False
    """`desired` is None: the object is to be absent."""
    change: str | None = None
    """`no-op`, `create`, `update`, `replace`, `delete`: what follows from the record."""
    differs: tuple[str, ...] | None = None
    """The attributes that differ, in any order."""
    disruption: str | None = None
    runs: str | None = None
    awaits: tuple[str, ...] | None = None
    """The attributes that are left to another host, in any order."""
    verdict: str | None = None
    """A part of the message that fails the plan; `""` for none."""
    secrets: tuple[str, ...] | None = None
    watches: tuple[str, ...] | None = None
    triggered_by: tuple[str, ...] = ()
    probe: ExpectedAction | None = None
    """What the fragments of the probe hold (`contains`, `lacks`, `user`)."""
    action: ExpectedAction | None = None
    undo: tuple[ExpectedUndo, ...] = ()


class CaseFile(CaseModel):
    """One YAML file: `kind` defaults to the name of its directory."""

    kind: str
    cases: tuple[Case, ...]


def load(path: Path) -> CaseFile:
    """The cases of one file, a plain YAML list. Raises pydantic's `ValidationError`."""
    return CaseFile(kind=path.parent.name, cases=yaml.safe_load(path.read_text()))


def case_files() -> list[CaseFile]:
    """All files, sorted by path."""
    return [load(path) for path in sorted(ROOT.glob("*/*.yaml"))]
