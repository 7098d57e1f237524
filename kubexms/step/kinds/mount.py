"""`mount`: a file system, in /etc/fstab and mounted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Disruption, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.etc_files import PUT, SBIN, lists_of
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

_NO_EFFECT = frozenset(
    {
        "defaults",
        "auto",
        "noauto",
        "nofail",
        "user",
        "nouser",
        "users",
        "owner",
        "group",
        "_netdev",
        "rw",
        "async",
    }
)
"""Options of fstab(5) that say when and by whom to mount, or what the kernel does anyway."""


class MountSpec(StepArgs):
    """A file system at a path: what /etc/fstab says, and what is mounted."""

    path: AbsolutePath
    """Where; the directory is made if it is not there."""
    src: str | None = Field(default=None, min_length=1)
    """What: a device, `UUID=…`, `LABEL=…`, `server:/export`, `tmpfs`."""
    fstype: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._,-]+$")
    """The type of file system."""
    opts: str = Field(default="defaults", pattern=r"^[^\s]+$")
    """Options, separated by commas, as fstab(5) has them."""
    dump: int = Field(default=0, ge=0, le=9)
    """The fifth field of fstab(5)."""
    passno: int = Field(default=0, ge=0, le=9)
    """The sixth field of fstab(5): the order of checks at boot."""
    state: Literal["mounted", "present", "unmounted", "absent"] = "mounted"
    """`mounted`: in fstab and mounted; `present`: in fstab; `unmounted`: in fstab and not mounted;
    `absent`: neither."""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.state != "absent" and (self.src is None or self.fstype is None):
            raise PydanticCustomError(
                "mount", "'src' and 'fstype' say what to mount; only 'state: absent' does without"
            )
        return self

    @property
    def entry(self) -> str:
        """The line in /etc/fstab."""
        parts = (self.src or "", self.path, self.fstype or "", self.opts, str(self.dump), str(self.passno))
        return "\t".join(escape(part) for part in parts)


def escape(text: str) -> str:
    """As fstab(5) writes white space and backslashes."""
    return re.sub(r"[\s\\#]", lambda found: f"\\{ord(found.group()):03o}", text)


def unescape(text: str) -> str:
    """What fstab(5) and the kernel escaped."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)


class MountExecutor(StepExecutor[MountSpec]):
    """Reads /etc/fstab and the kernel's table once for all steps."""

    kind = "mount"
    spec = MountSpec
    identity = ("path",)
    feeds: ClassVar[dict[str, tuple[str, ...]]] = {
        "src": ("entry", "source"),
        "fstype": ("entry", "type"),
        "opts": ("entry", "options"),
        "dump": ("entry",),
        "passno": ("entry",),
        "state": (),
    }
    example = (
        "- {name: scratch, kind: mount, path: /srv/scratch, src: tmpfs, fstype: tmpfs, opts: size=64m}\n"
    )

    def probe(self, specs: Sequence[MountSpec]) -> Sequence[Probe]:
        """One loop per table and step, without processes."""
        if not specs:
            return ()
        asked = "".join(f"at {quote(escape(spec.path))} {quote(spec.path)}\n" for spec in specs)
        script = (
            "at() {\n"
            "  a=\n"
            "  while read -r s p t o d n r; do\n"
            '    case $s in "#"*) continue ;; esac\n'
            '    if [ "$p" = "$1" ]; then a="$a\nfstab=$s $p $t $o ${d:-0} ${n:-0}"; fi\n'
            "  done </etc/fstab 2>/dev/null\n"
            "  while read -r i j m w p o r; do\n"
            '    if [ "$p" = "$1" ]; then a="$a\nmount=$o ${r#*- }"; fi\n'
            "  done </proc/self/mountinfo\n"
            '  if [ -d "$2" ]; then a="$a\ndirectory=1"; fi\n'
            '  emit 0 "$a"\n'
            "}\n" + asked
        )
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: MountSpec, record: Record) -> Observation:
        """The last line of each table counts; absent when neither table has one."""
        answer = lists_of(record)
        fstab, mounts = answer.get("fstab", []), answer.get("mount", [])
        extra: dict[str, JsonValue] = {"directory": "directory" in answer}
        if not fstab and not mounts:
            return Observation.absent(extra)
        attributes: dict[str, JsonValue] = {
            "entry": "\t".join(fstab[-1].split()) if fstab else "",
            "mounted": bool(mounts),
        }
        if mounts:
            options, kind, source, *rest = [*mounts[-1].split(), "", "", ""]
            have = set(f"{options},{rest[0]}".split(","))
            wanted = [option for option in spec.opts.split(",") if _counts(option)]
            attributes["source"] = unescape(source)
            attributes["type"] = kind
            attributes["options"] = ",".join(option for option in wanted if _holds(option, have))
        return Observation.present(attributes, extra)

    def desired(self, spec: MountSpec) -> Attributes | None:
        """The line, whether it is mounted, and as what."""
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {"entry": spec.entry}
        if spec.state == "unmounted":
            wanted["mounted"] = False
        if spec.state == "mounted":
            wanted |= {
                "mounted": True,
                "options": ",".join(option for option in spec.opts.split(",") if _counts(option)),
            }
            if spec.fstype not in ("auto", "none"):
                wanted["type"] = spec.fstype
        return wanted

    def disruption(self, spec: MountSpec, request: ChangeRequest) -> Disruption:
        """Unmounting interrupts whoever uses the file system."""
        was = request.before.attributes.get("mounted")
        goes = spec.state in ("unmounted", "absent") or bool(request.changed & {"type"})
        return Disruption.RESTART if was and goes else Disruption.NONE

    def action(self, spec: MountSpec, request: ChangeRequest) -> Action:
        """fstab first, then mount, remount or umount."""
        path = quote(spec.path)
        script = SBIN + PUT + _table(spec.path, None if spec.state == "absent" else spec.entry) + _reload()
        before = request.before
        mounted = before.presence is Presence.PRESENT and before.attributes.get("mounted")
        if spec.state in ("unmounted", "absent"):
            script += f"umount {path}\n" if mounted else ""
        elif spec.state == "mounted":
            script += (
                f'if [ ! -d {path} ]; then mkdir -p {path}; [ -z "$KX_BACKUP" ] || : >"$KX_BACKUP/made"; fi\n'
            )
            if mounted and request.changed & {"type"}:
                script += f"umount {path}\nmount {path}\n"
            elif mounted and request.changed & {"options"}:
                script += f"mount -o remount {path}\n"
            elif not mounted:
                script += f"mount {path}\n"
        return Action(script, backup=("/etc/fstab",))

    def undo(self, spec: MountSpec, prior: Observation) -> Action | None:
        """The line as it was, and mounted or not as it was."""
        path = quote(spec.path)
        was = prior.attributes if prior.presence is Presence.PRESENT else {}
        entry = was.get("entry")
        script = (
            SBIN + PUT + _table(spec.path, entry if isinstance(entry, str) and entry else None) + _reload()
        )
        if was.get("mounted"):
            script += f"mountpoint -q {path} || mount {path}\n"
        else:
            script += f"if mountpoint -q {path}; then umount {path}; fi\n"
            script += f'if [ -e "$KX_BACKUP/made" ]; then rmdir {path} 2>/dev/null || :; fi\n'
        return Action(script)

    def paths(self, spec: MountSpec) -> tuple[str, ...]:
        """The table."""
        return ("/etc/fstab",)


def _counts(option: str) -> bool:
    return option not in _NO_EFFECT and not option.startswith(("x-", "comment="))


def _holds(option: str, have: set[str]) -> bool:
    """Whether the kernel shows the option; sizes and modes it may write otherwise."""
    if option in have:
        return True
    name, sign, value = option.partition("=")
    if not sign:
        return False
    shown = next((item.partition("=")[2] for item in have if item.partition("=")[0] == name), None)
    if shown is None:
        return name == "mode" and value.lstrip("0") in ("1777", "777")
    return _number(value) == _number(shown) or value.lstrip("0") == shown.lstrip("0")


def _number(text: str) -> int | str:
    match = re.fullmatch(r"(\d+)([kKmMgG]?)", text)
    if match is None:
        return text
    return int(match.group(1)) << {"": 0, "k": 10, "m": 20, "g": 30}[match.group(2).lower()]


def _table(path: str, entry: str | None) -> str:
    """A command that replaces, adds or removes the line of a path; other lines stay byte for byte."""
    new = quote(entry or "")
    return (
        "[ -e /etc/fstab ] || : >/etc/fstab\n"
        f"KX_PATH={quote(escape(path))} KX_LINE={new}\nexport KX_PATH KX_LINE\n"
        'edit() { awk \'BEGIN { l = ENVIRON["KX_LINE"] } '
        '$1 !~ /^#/ && $2 == ENVIRON["KX_PATH"] { if (l != "" && !n++) print l; next } '
        '{ print } END { if (l != "" && !n) print l }\'; }\n'
        "kx_edit /etc/fstab edit\n"
    )


def _reload() -> str:
    return "if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\n"
