"""`group`: a group of the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._shell.etc_files import SBIN, fields_of
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

ACCOUNT = r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$"
"""Names that useradd(8) accepts on the systems that matter."""


class GroupSpec(StepArgs):
    """A group in /etc/group."""

    group: str = Field(pattern=ACCOUNT, max_length=32)
    """Its name."""
    state: Literal["present", "absent"] = "present"
    """Whether it is to be there."""
    gid: int | None = Field(default=None, ge=0, le=4294967294)
    """Its number; default: the next free one when it is made."""
    system: bool = False
    """Take a number from the range for system groups when it is made."""


class GroupExecutor(StepExecutor[GroupSpec]):
    """One pass over /etc/group for all steps."""

    kind = "group"
    spec = GroupSpec
    identity = ("group",)
    feeds: ClassVar[dict[str, tuple[str, ...]]] = {"system": (), "state": ()}
    example = "- {name: workers, kind: group, group: workers, gid: 4711}\n"

    def probe(self, specs: Sequence[GroupSpec]) -> Sequence[Probe]:
        """One awk for all groups; those of directories (LDAP) through getent where there is one."""
        if not specs:
            return ()
        asked = "".join(f"group {quote(spec.group)}\n" for spec in specs)
        script = (
            "group() {\n"
            '  l=$(getent group -- "$1" 2>/dev/null) || l=$(grep "^$1:" /etc/group 2>/dev/null)\n'
            '  if [ -z "$l" ]; then emit 1 ""; return; fi\n'
            '  l=${l#*:}; l=${l#*:}; emit 0 "gid=${l%%:*}"\n'
            "}\n" + asked
        )
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: GroupSpec, record: Record) -> Observation:
        """The number, or absent."""
        if record.status != 0:
            return Observation.absent()
        gid = fields_of(record).get("gid", "")
        if not gid.isdigit():
            return Observation.unknown(f"the entry of group {spec.group} is damaged")
        return Observation.present({"gid": int(gid)})

    def desired(self, spec: GroupSpec) -> Attributes | None:
        """Only a given number is compared."""
        if spec.state == "absent":
            return None
        return {"gid": spec.gid} if spec.gid is not None else {}

    def action(self, spec: GroupSpec, request: ChangeRequest) -> Action:
        """groupadd, groupmod or groupdel; busybox's applets where those are missing."""
        name = quote(spec.group)
        if spec.state == "absent":
            return Action(SBIN + _remove(name))
        if request.before.presence is Presence.PRESENT:
            return Action(SBIN + f"groupmod -g {spec.gid} {name}\n")
        number = f"-g {spec.gid} " if spec.gid is not None else ""
        system = "-r " if spec.system else ""
        plain = "-S " if spec.system else ""
        return Action(
            SBIN + f"if command -v groupadd >/dev/null; then groupadd {system}{number}{name}\n"
            f"else addgroup {plain}{number}{name}; fi\n"
        )

    def undo(self, spec: GroupSpec, prior: Observation) -> Action | None:
        """Removed, or with its former number again."""
        name = quote(spec.group)
        if prior.presence is Presence.ABSENT:
            return Action(SBIN + _remove(name))
        gid = prior.attributes.get("gid")
        if not isinstance(gid, int):
            return None
        return Action(
            SBIN + f"if getent group {name} >/dev/null; then groupmod -g {gid} {name}\n"
            f"else groupadd -g {gid} {name}; fi\n"
        )

    def paths(self, spec: GroupSpec) -> tuple[str, ...]:
        """The file that holds groups."""
        return ("/etc/group",)


def _remove(name: str) -> str:
    return (
        f"grep -q ^{name}: /etc/group || exit 0\n"
        f"if command -v groupdel >/dev/null; then groupdel {name}; else delgroup {name}; fi\n"
    )
