"""`group`: a group of the host, and who is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ActionKind, ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._shell.etc_files import text_of
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

_NAME = r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$"


class GroupSpec(StepArgs):
    """A group."""

    group: str = Field(pattern=_NAME, max_length=32)
    """The group's name."""
    state: Literal["present", "absent"] = "present"
    """`absent`: there is no such group."""
    gid: int | None = Field(default=None, ge=0, le=4294967294)
    """The numeric id; default: the next free one."""
    system: bool = False
    """Take the id from the system's range, when the group is created."""
    members: tuple[Annotated[str, Field(pattern=_NAME)], ...] | None = None
    """Accounts that are in the group (beside those whose primary group it is)."""
    append: bool = True
    """Members that are not listed stay; `false` takes them out."""


_PROBE = r"""
nl='
'
if command -v getent >/dev/null; then all=$nl$(getent group NAMES)$nl; else all=$nl$(cat /etc/group)$nl; fi
row() {
  case $all in
    *"$nl$1:"*) l=${all#*"$nl$1:"}; emit 0 "$1:${l%%"$nl"*}" ;;
    *) emit 1 '' ;;
  esac
}
"""

_TOOLS = r"""
PATH=$PATH:/usr/sbin:/sbin
has() { grep "^$name:" /etc/group | cut -d: -f4 | tr , '\n' | grep -qx -e "$1"; }
# need TOOL OTHER: one of them is there
need() {
  command -v "$1" >/dev/null || command -v "$2" >/dev/null ||
    { echo "this host has neither $1 nor $2, so $name cannot be changed" >&2; exit 1; }
}
# enter USER and leave USER: one membership
enter() {
  if has "$1"; then return 0; fi
  need gpasswd addgroup
  if command -v gpasswd >/dev/null; then gpasswd -a "$1" "$name" >/dev/null; else addgroup "$1" "$name"; fi
}
leave() {
  has "$1" || return 0
  need gpasswd delgroup
  if command -v gpasswd >/dev/null; then gpasswd -d "$1" "$name" >/dev/null; else delgroup "$1" "$name"; fi
}
drop() {
  grep -q "^$name:" /etc/group || return 0
  need groupdel delgroup
  if command -v groupdel >/dev/null; then groupdel "$name"; else delgroup "$name"; fi
}
make() {
  ! grep -q "^$name:" /etc/group || return 0
  need groupadd addgroup
  if command -v groupadd >/dev/null; then
    groupadd ${gid:+-g "$gid"} ${system:+-r} "$name"
  else
    addgroup ${gid:+-g "$gid"} ${system:+-S} "$name"
  fi
}
number() {
  command -v groupmod >/dev/null || { echo "without groupmod the id of $name cannot be changed" >&2; exit 1; }
  groupmod -g "$1" "$name"
}
"""


class GroupExecutor(StepExecutor[GroupSpec]):
    """One getent for all groups."""

    kind: ClassVar[str] = "group"
    spec: ClassVar[type[StepArgs]] = GroupSpec
    identity: ClassVar[tuple[str, ...]] = ("group",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"append": ("members",), "system": ()}
    example: ClassVar[str] = "- {name: etcd-group, kind: group, group: etcd, system: true}\n"

    def probe(self, specs: Sequence[GroupSpec]) -> Sequence[Probe]:
        """The groups' lines."""
        if not specs:
            return ()
        names = words(sorted({spec.group for spec in specs}))
        rows = "".join(f"row {quote(spec.group)}\n" for spec in specs)
        fragment = Fragment(_PROBE.replace("NAMES", names) + rows, records=len(specs))
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: GroupSpec, record: Record) -> Observation:
        """Members that nobody asked about are left out when the listed ones are only added."""
        if record.status:
            return Observation.absent()
        _, _, gid, members = (text_of(record).split(":") + [""] * 4)[:4]
        every = sorted({name for name in members.split(",") if name})
        shown = every if spec.members is None or not spec.append else [n for n in every if n in spec.members]
        attributes: dict[str, JsonValue] = {
            "group": spec.group,
            "gid": int(gid) if gid.isdecimal() else None,
            "members": list[JsonValue](shown),
        }
        return Observation.present(attributes, {"allMembers": list[JsonValue](every)})

    def desired(self, spec: GroupSpec) -> Attributes | None:
        """What the step says, and nothing else."""
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {"group": spec.group}
        if spec.gid is not None:
            wanted["gid"] = spec.gid
        if spec.members is not None:
            wanted["members"] = list[JsonValue](sorted(set(spec.members)))
        return wanted

    def action(self, spec: GroupSpec, request: ChangeRequest) -> Action:
        """groupadd, groupmod, gpasswd, or busybox's tools."""
        script = f"{_TOOLS}name={quote(spec.group)}\n"
        if spec.state == "absent":
            return Action(f"{script}drop\n")
        if request.action is ActionKind.CREATE:
            gid = "" if spec.gid is None else str(spec.gid)
            script += f"gid={gid} system={'1' if spec.system else ''}\nmake\n"
        elif "gid" in request.changed:
            script += f"number {spec.gid}\n"
        if spec.members is not None and "members" in request.changed:
            there = request.before.extra.get("allMembers")
            script += _membership(sorted(set(spec.members)), there, exact=not spec.append)
        return Action(script)

    def undo(self, spec: GroupSpec, prior: Observation) -> Action | None:
        """The group with its members as it was, or gone."""
        script = f"{_TOOLS}name={quote(spec.group)}\n"
        if prior.presence is not Presence.PRESENT:
            return Action(f"{script}drop\n")
        gid = prior.attributes.get("gid")
        script += f"gid={gid} system=\nmake\n"
        if spec.gid is not None and spec.gid != gid:
            script += f"number {gid}\n"
        was = prior.extra.get("allMembers")
        if spec.members is not None and isinstance(was, list):
            before = [str(name) for name in was]
            script += _membership(before, list(spec.members), exact=True)
        elif spec.state == "absent" and isinstance(was, list):
            script += _membership([str(name) for name in was], [], exact=False)
        return Action(script)


def _membership(wanted: Sequence[str], there: JsonValue | Sequence[str], *, exact: bool) -> str:
    """Commands from the members that are there to the wanted ones."""
    present = [str(name) for name in there] if isinstance(there, list) else []
    script = "".join(f"enter {quote(name)}\n" for name in wanted if name not in present)
    if exact:
        script += "".join(f"leave {quote(name)}\n" for name in present if name not in wanted)
    return script
