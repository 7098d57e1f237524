"""The kind `symlink`: a symbolic link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.atomic import functions, ownership
from kubexms.step.kinds._shell.survey import Question, read_state, survey
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


class SymlinkSpec(StepArgs):
    """A symbolic link on the host, replaced in one rename when it leads elsewhere."""

    path: AbsolutePath
    """Where the link is on the host. Its directory must exist."""
    target: str | None = Field(default=None, min_length=1)
    """What the link says, as it is written into it: absolute, or relative to the link's directory."""
    state: Literal["present", "absent"] = "present"
    """`absent`: no link is there."""
    force: bool = False
    """Replace a file or an empty directory that is in the way. The file is kept for `destroy`."""

    @model_validator(mode="after")
    def _target(self) -> Self:
        if (self.state == "present") != (self.target is not None):
            raise PydanticCustomError("link_target", "'target' is needed, except with 'state: absent'")
        if self.target is not None and "\0" in self.target:
            raise PydanticCustomError("nul_in_target", "a target cannot hold a NUL character")
        return self


class SymlinkExecutor(StepExecutor[SymlinkSpec]):
    """See `SymlinkSpec`."""

    kind: ClassVar[str] = "symlink"
    spec: ClassVar[type[StepArgs]] = SymlinkSpec
    parts: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("path",)
    undone_without: ClassVar[frozenset[str]] = frozenset({"target"})
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"state": ("type",), "force": ()}
    example: ClassVar[str] = """\
- {name: current, kind: symlink, path: /opt/app/current, target: releases/1.4}
"""

    def probe(self, specs: Sequence[SymlinkSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        script = survey([Question(spec.path) for spec in specs])
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: SymlinkSpec, record: Record) -> Observation:
        state = read_state(record)
        if isinstance(state, Observation):
            return state
        attributes: dict[str, JsonValue] = {"type": state.type}
        if state.type == "symlink":
            return Observation.present({**attributes, "target": state.target})
        who: dict[str, JsonValue] = {"mode": state.mode, "owner": state.owner, "group": state.group}
        return Observation.present({**attributes, **who})

    def desired(self, spec: SymlinkSpec) -> Attributes | None:
        return None if spec.state == "absent" else {"type": "symlink", "target": spec.target}

    def paths(self, spec: SymlinkSpec) -> tuple[str, ...]:
        return (spec.path,)

    def action(self, spec: SymlinkSpec, request: ChangeRequest) -> Action:
        path = quote(spec.path)
        if spec.target is None:
            return Action(functions(spec.path) + _remove(path), backup=(spec.path,))
        way = (
            f"if [ -d {path} ]; then rmdir -- {path}; fi"
            if spec.force
            else f"fail {path} \"exists and is not a symbolic link; with 'force: true' it is replaced\""
        )
        script = f"if [ -e {path} ] && [ ! -L {path} ]; then\n    {way}\nfi\n" + _link(path, spec.target)
        return Action(functions(spec.path) + script, backup=(spec.path,))

    def undo(self, spec: SymlinkSpec, prior: Observation) -> Action | None:
        path = quote(spec.path)
        if prior.presence is not Presence.PRESENT:
            return Action(functions(spec.path) + _remove(path))
        seen = prior.attributes
        if seen.get("type") == "symlink":
            return Action(functions(spec.path) + _link(path, str(seen["target"])))
        mode, who = str(seen.get("mode")), ownership(str(seen.get("owner")), str(seen.get("group")))
        if seen.get("type") == "directory":
            script = f"[ ! -L {path} ] || rm -f {path}\n[ -d {path} ] || mkdir -m 700 {path}\n"
            return Action(script + f"chown {quote(who)} {path}\nchmod {quote(mode)} {path}\n")
        if seen.get("type") != "file":
            return None
        script = (
            f"if [ -L {path} ] || [ ! -e {path} ]; then\n"
            f'begin {path}\ncat <"$KX_BACKUP/0" >"$t"\npermit {quote(who)} {quote(mode)}\ncommit\nfi\n'
        )
        return Action(functions(spec.path) + script)


def _remove(path: str) -> str:
    return (
        f'if [ -e {path} ] && [ ! -L {path} ]; then fail {path} "is not a symbolic link"; fi\n'
        f'rm -f -- {path}\nd={path}\nflush "${{d%/*}}/"\n'
    )


def _link(path: str, target: str) -> str:
    """The temporary file's name is taken for the link; `commit` renames it over what is there."""
    return f'begin {path}\nrm -f "$t"\nln -s -- {quote(target)} "$t"\ncommit\n'


__all__ = ["SymlinkExecutor", "SymlinkSpec"]
