"""The kind `directory`: a directory with a mode and an owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption, Part, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, Mode, Owner, octal
from kubexms.step.kinds._shell.atomic import functions, ownership
from kubexms.step.kinds._shell.survey import Question, read_state, survey
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


class DirectorySpec(StepArgs):
    """A directory on the host. What is not given is left as it is.

    Missing directories above it are created with mode 0755, and removed again with it if they are
    empty by then. A symbolic link to a directory counts as the directory it leads to.
    """

    path: AbsolutePath
    """Where the directory is on the host."""
    state: Literal["present", "absent"] = "present"
    """`absent`: nothing is there; only an empty directory is removed, unless `force` is given."""
    mode: Mode | None = None
    """Permission bits, for example "0750". A new directory has "0755" without it."""
    owner: Owner | None = None
    """User that owns the directory, by name or quoted id."""
    group: Owner | None = None
    """Group of the directory, by name or quoted id."""
    force: bool = False
    """Remove the directory with all it holds, where it is to be removed: with `absent`, and when the step
    that has made it goes. That is not undone; a plan that does it needs `--allow-destroy`."""

    @model_validator(mode="after")
    def _absent(self) -> Self:
        if self.state == "absent" and (self.mode or self.owner or self.group):
            raise PydanticCustomError("absent_mode", "'state: absent' takes neither mode nor owner nor group")
        return self


class DirectoryExecutor(StepExecutor[DirectorySpec]):
    """See `DirectorySpec`."""

    kind: ClassVar[str] = "directory"
    spec: ClassVar[type[StepArgs]] = DirectorySpec
    parts: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("path",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"state": ("type",), "force": ()}
    example: ClassVar[str] = """\
- {name: data, kind: directory, path: /var/lib/app/data, mode: "0750", owner: root}
"""

    def probe(self, specs: Sequence[DirectorySpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        script = survey([Question(spec.path, follow=spec.state == "present") for spec in specs])
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: DirectorySpec, record: Record) -> Observation:
        state = read_state(record)
        if isinstance(state, Observation):
            return state
        extra: dict[str, JsonValue] = {"target": state.target} if state.target else {}
        return Observation.present(state.attributes(spec.owner, spec.group), extra)

    def desired(self, spec: DirectorySpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {"type": "directory"}
        if spec.mode is not None:
            wanted["mode"] = octal(spec.mode)
        if spec.owner is not None:
            wanted["owner"] = spec.owner
        if spec.group is not None:
            wanted["group"] = spec.group
        return wanted

    def disruption(self, spec: DirectorySpec, request: ChangeRequest) -> Disruption:
        if not spec.force or request.before.presence is Presence.ABSENT:
            return Disruption.NONE
        stays = request.prior is not None and request.prior.presence is Presence.PRESENT
        undone = request.action is ActionKind.DELETE and not stays
        goes = spec.state == "absent" or undone or request.action is ActionKind.REPLACE
        return Disruption.DATA_LOSS if goes else Disruption.NONE

    def paths(self, spec: DirectorySpec) -> tuple[str, ...]:
        return (spec.path,)

    def action(self, spec: DirectorySpec, request: ChangeRequest) -> Action:
        if spec.state == "absent":
            return Action(functions(spec.path) + _removal(spec.path, force=spec.force), timeout=3600.0)
        return Action(f"{functions(spec.path)}{_MAKE}{_made(spec)}flush {quote(spec.path)}/..\n")

    def shares(self, spec: DirectorySpec) -> str | None:
        """Directories are made together."""
        return "make" if spec.state == "present" else None

    def merge(self, parts: Sequence[Part[DirectorySpec]]) -> Action:
        """One after the other, and one wait for the disk."""
        made = [f"KX_BACKUP={part.backup}\n{_made(part.spec)}" for part in parts]
        above = " ".join(f"{quote(part.spec.path)}/.." for part in parts)
        ended = f"ended() {{ flush {above}; }}\ntrap ended EXIT\n"
        return Action(f"{functions('')}{_MAKE}{ended}{''.join(made)}")

    def undo(self, spec: DirectorySpec, prior: Observation) -> Action | None:
        if prior.presence is Presence.PRESENT:
            if spec.state == "absent" and spec.force:
                return None
            if prior.attributes.get("type") != "directory":
                return None
            who = (str(prior.attributes["owner"]), str(prior.attributes["group"]))
            script = f"[ -d {quote(spec.path)} ] || mkdir -m 700 {quote(spec.path)}\n"
            return Action(script + _permit(spec.path, str(prior.attributes["mode"]), *who) + "\n")
        lines = [functions(spec.path) + _UNMAKE + _removal(spec.path, force=spec.force)]
        lines += [f"unmake {depth} {quote(path)}" for depth, path in reversed(_ancestors(spec.path)[:-1])]
        return Action("\n".join(lines) + "\n", timeout=3600.0)


def _made(spec: DirectorySpec) -> str:
    """Lines that make it, and what is missing above it, with mode and owner."""
    *above, (depth, _) = _ancestors(spec.path)
    lines = [f"make {depth} {quote(path)} 755" for depth, path in above]
    lines.append(f"make {depth} {quote(spec.path)} {'700' if spec.mode or spec.owner else '755'}")
    if spec.mode or spec.owner or spec.group:
        lines.append(_permit(spec.path, spec.mode or "0755", spec.owner, spec.group, new_mode=not spec.mode))
    return "\n".join(lines) + "\n"


def _ancestors(path: str) -> list[tuple[int, str]]:
    """Every directory from below the root down to `path`, with its depth."""
    parts = path.strip("/").split("/")
    return [(depth, "/" + "/".join(parts[:depth])) for depth in range(1, len(parts) + 1)]


# make DEPTH PATH MODE: what was made is recorded before it is, so that undo knows
_MAKE = """\
new=
make() {
    new=
    [ ! -d "$2" ] || return 0
    if [ -e "$2" ] || [ -L "$2" ]; then fail "$2 is in the way: it is not a directory"; fi
    echo "$1" >>"$KX_BACKUP/created"
    mkdir -m "$3" "$2"
    new=y
    if [ -d /sys/fs/selinux ] && command -v restorecon >/dev/null; then restorecon "$2" || :; fi
}
"""


_UNMAKE = """\
unmake() {
    ! grep -qx "$1" "$KX_BACKUP/created" 2>/dev/null || rmdir -- "$2" 2>/dev/null || :
}
"""


def _permit(path: str, mode: str, owner: str | None, group: str | None, *, new_mode: bool = False) -> str:
    """Follows a link, as the observation does. `new_mode`: the mode is for a new directory only."""
    lines = []
    if owner is not None or group is not None:
        lines.append(f"chown {quote(ownership(owner, group))} {quote(path)}")
    # without a fifth digit GNU chmod keeps the setgid bit of a directory
    chmod = f"chmod 0{octal(mode)} {quote(path)}"
    lines.append(f'[ -z "$new" ] || {chmod}' if new_mode else chmod)
    return "\n".join(lines)


def _removal(path: str, *, force: bool) -> str:
    name = quote(path)
    remove = (
        f'if [ "$(stat -c %d {name})" != "$(stat -c %d {name}/..)" ]; then\n'
        f'    fail {name} "is a mount point: unmount it first"\n'
        f"fi\n"
        f"rm -rf -- {name}"
        if force
        else f"rmdir -- {name} || fail {name} \"is not removed; 'force: true' removes it with all it holds\""
    )
    return (
        f"if [ -L {name} ]; then rm -f -- {name}\n"
        f"elif [ -d {name} ]; then\n{remove}\n"
        f"elif [ -e {name} ]; then fail {name} \"is not a directory: use the kind 'file'\"; fi\n"
    )


__all__ = ["DirectoryExecutor", "DirectorySpec"]
