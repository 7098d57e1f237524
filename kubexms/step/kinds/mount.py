"""`mount`: a file system, in /etc/fstab and mounted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Disruption, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.etc_files import PUT, fields_of, text_of
from kubexms.step.kinds._shell.fstab import FSTAB, escaped, unescaped
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

_FLAGS = frozenset(
    {"nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "sync", "dirsync", "nosymfollow"}
)
"""Options that the kernel shows for every file system (and `ro`, `rw`, which it shows twice)."""
_NUMBERS = frozenset({"size", "mode", "uid", "gid", "nr_inodes"})
"""Options whose value the kernel shows as a number."""


def _listed(value: object) -> object:
    return ",".join(str(item) for item in value) if isinstance(value, list | tuple) else value


class MountSpec(StepArgs):
    """A file system: its line in /etc/fstab, and whether it is mounted."""

    path: AbsolutePath
    """Where it is mounted."""
    state: Literal["mounted", "present", "unmounted", "absent"] = "mounted"
    """`mounted`: in fstab and mounted; `present`: in fstab; `unmounted`: not mounted, fstab stays; `absent`:
    neither."""
    src: str | None = Field(default=None, min_length=1, pattern=r"^[^\n]+$")
    """The device, `UUID=…`, `LABEL=…`, `server:/path`, or a name such as `tmpfs`."""
    fstype: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.,-]+$")
    """The type: `ext4`, `xfs`, `nfs`, `tmpfs`, `none` for bind mounts."""
    opts: Annotated[
        str, BeforeValidator(_listed, json_schema_input_type=str | list[str]), Field(pattern=r"^[^\s]+$")
    ] = "defaults"
    """Options, as a list or separated by commas."""
    dump: int = Field(default=0, ge=0, le=9)
    """The fifth field of fstab."""
    passno: int = Field(default=0, ge=0, le=9)
    """The sixth field: in which pass fsck looks at it."""

    @model_validator(mode="after")
    def _needs_source(self) -> Self:
        if self.state in ("mounted", "present") and (self.src is None or self.fstype is None):
            raise PydanticCustomError("mount_source", "a mount needs 'src' and 'fstype'")
        return self

    @property
    def line(self) -> str:
        """Its line in fstab."""
        src, path = escaped(self.src or ""), escaped(self.path)
        return f"{src} {path} {self.fstype} {self.opts} {self.dump} {self.passno}"


_PROBE = r"""
nl='
'
# real SOURCE: the device behind a tag or link, else SOURCE
real() {
  case $1 in
    UUID=*) d=/dev/disk/by-uuid/${1#*=} ;;
    LABEL=*) d=/dev/disk/by-label/${1#*=} ;;
    PARTUUID=*) d=/dev/disk/by-partuuid/${1#*=} ;;
    PARTLABEL=*) d=/dev/disk/by-partlabel/${1#*=} ;;
    /dev/*) d=$1 ;;
    *) printf '%s' "$1"; return ;;
  esac
  readlink -f "$d" 2>/dev/null || printf '%s' "$1"
}
row() {
  t=
  while IFS= read -r l && [ -n "$l" ]; do
    t="$t$l$nl"
    case $l in source=*) s=$(printf %b. "$(printf %s "${l#source=}" | sed 's/\\\([0-7]\)/\\0\1/g')") ;; esac
    case $l in source=*) t="${t}device=$(real "${s%.}")$nl" ;; esac
  done
  [ -z "$1" ] || t="${t}wanted=$(real "$1")$nl"
  case $t in asked=*) emit 0 "$t" ;; *) emit 1 "/proc/self/mountinfo cannot be read" ;; esac
}
"""

_SCAN = r"""
function clean(p) { if (length(p) > 1) sub(/\/+$/, "", p); return p }
BEGIN { n = split(ENVIRON["KX_PATHS"], paths, " "); for (i = 1; i <= n; i++) wanted[paths[i]] = 1 }
FILENAME ~ /fstab$/ {
  p = clean($2)
  if ($1 !~ /^#/ && p in wanted && !(p in entry)) {
    entry[p] = "src=" $1 "\nfstype=" $3 "\nopts=" ($4 == "" ? "defaults" : $4) "\n"
    entry[p] = entry[p] "dump=" ($5 == "" ? 0 : $5) "\npassno=" ($6 == "" ? 0 : $6) "\n"
  }
  next
}
{
  p = $5; gsub(/\\043/, "#", p)
  if (!(p in wanted)) next
  for (i = 7; i <= NF && $i != "-"; i++);
  seen[p] = "mounted=" $6 "\ntype=" $(i + 1) "\nsource=" $(i + 2) "\nsuper=" $(i + 3) "\n"
}
END { if (NR) for (i = 1; i <= n; i++) printf "asked=1\n%s%s\n", entry[paths[i]], seen[paths[i]] }
"""


class MountExecutor(StepExecutor[MountSpec]):
    """One awk over fstab and the kernel's table for all paths."""

    kind: ClassVar[str] = "mount"
    spec: ClassVar[type[StepArgs]] = MountSpec
    identity: ClassVar[tuple[str, ...]] = ("path",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "state": ("mounted",),
        "opts": ("opts", "notInEffect"),
        "src": ("src", "mounted"),
    }
    example: ClassVar[str] = """\
- {name: data, kind: mount, path: /srv/data, src: LABEL=data, fstype: ext4, opts: [noatime, nofail]}
"""

    def probe(self, specs: Sequence[MountSpec]) -> Sequence[Probe]:
        """Both tables, read once."""
        if not specs:
            return ()
        paths = quote(" ".join(escaped(spec.path) for spec in specs))
        rows = "".join(f"row {quote(spec.src or '')}\n" for spec in specs)
        script = (
            f'{_PROBE}set -- /proc/self/mountinfo\n[ -r /etc/fstab ] && set -- /etc/fstab "$@"\n'
            f'KX_PATHS={paths} awk {quote(_SCAN)} "$@" | {{\n{rows}}}\n'
        )
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: MountSpec, record: Record) -> Observation:
        """`mounted` names what is mounted there if that is another device; `notInEffect` lists options."""
        if record.status:
            return Observation.unknown(text_of(record) or "the host did not answer")
        answer = fields_of(record)
        listed, mounted = "src" in answer, "mounted" in answer
        if spec.state == "unmounted":
            return Observation.present({"mounted": mounted})
        if not listed and not mounted:
            return Observation.absent()
        attributes: dict[str, JsonValue] = dict.fromkeys(("src", "fstype", "opts", "dump", "passno"))
        if listed:
            attributes |= {
                "src": unescaped(answer["src"]),
                "fstype": answer["fstype"],
                "opts": answer["opts"],
                "dump": _number(answer["dump"]),
                "passno": _number(answer["passno"]),
            }
        attributes["mounted"] = mounted
        device, wanted = answer.get("device", ""), answer.get("wanted", "")
        if mounted and _comparable(spec, wanted) and device != wanted and device != "/dev/root":
            attributes["mounted"] = device
        lacking = _lacking(spec.opts, answer) if mounted else []
        attributes["notInEffect"] = list[JsonValue](lacking)
        return Observation.present(attributes)

    def desired(self, spec: MountSpec) -> Attributes | None:
        """The line's fields; with `mounted` the kernel's side too."""
        if spec.state == "absent":
            return None
        if spec.state == "unmounted":
            return {"mounted": False}
        line: dict[str, JsonValue] = {
            "src": spec.src,
            "fstype": spec.fstype,
            "opts": spec.opts,
            "dump": spec.dump,
            "passno": spec.passno,
        }
        return line | {"mounted": True, "notInEffect": []} if spec.state == "mounted" else line

    def disruption(self, spec: MountSpec, request: ChangeRequest) -> Disruption:
        """Unmounting takes the files away from who uses them."""
        mounted = request.before.attributes.get("mounted") is True
        goes = spec.state in ("absent", "unmounted") or bool(request.changed & {"src", "fstype"})
        return Disruption.RESTART if mounted and goes and spec.state != "present" else Disruption.NONE

    def action(self, spec: MountSpec, request: ChangeRequest) -> Action:
        """The line first, then the mount by it. What somebody else mounted there is never unmounted."""
        path, key = quote(spec.path), quote(escaped(spec.path))
        script = f"{PUT}{FSTAB}export KX_PATH={key}\n"
        if spec.state in ("absent", "unmounted"):
            script += f"if mounted; then umount {path}; fi\n"
            return Action(script + (f"fstab {key} ''\n" if spec.state == "absent" else ""))
        other = request.before.attributes.get("mounted")
        if isinstance(other, str) and spec.state == "mounted" and not _replaceable(request):
            message = f"{other} is mounted at {spec.path}, not {spec.src}: unmount it first"
            return Action(f"echo {quote(message)} >&2\nexit 1\n")
        script += f"directory {path}\n"
        if request.changed & {"src", "fstype", "opts", "dump", "passno"}:
            script += f"fstab {key} {quote(spec.line)}\n"
        if spec.state == "mounted":
            if request.changed & {"src", "fstype"} and request.before.attributes.get("mounted"):
                script += f"if mounted; then umount {path}; fi\n"
            remount = quote(f"remount,{spec.opts}")
            again = "notInEffect" in request.changed and request.before.attributes.get("mounted") is True
            script += f"if ! mounted; then mount {path}\n"
            script += f"else mount -o {remount} {path}; fi\n" if again else "fi\n"
        return Action(script, timeout=300.0)

    def undo(self, spec: MountSpec, prior: Observation) -> Action | None:
        """The line as it was, to the byte; mounted as it was; directories that were made go."""
        path, key = quote(spec.path), quote(escaped(spec.path))
        was = prior.attributes.get("mounted") if prior.presence is Presence.PRESENT else False
        script = f"{PUT}{FSTAB}export KX_PATH={key}\n"
        if not was:
            script += f"if mounted; then umount {path}; fi\n"
        if spec.state != "unmounted":
            script += f'if [ -e "$KX_BACKUP/entry" ]; then fstab {key} "$(cat "$KX_BACKUP/entry")"; fi\n'
        if was is True:
            opts = prior.attributes.get("opts")
            remount = f"else mount -o {quote(f'remount,{opts}')} {path}\n" if isinstance(opts, str) else ""
            script += f"if ! mounted; then mount {path}\n{remount}fi\n"
        else:
            script += "undirectory\n"
        return Action(script, timeout=300.0)


def _replaceable(request: ChangeRequest) -> bool:
    """Whether what is mounted there is there by the line of fstab that is about to change."""
    return "src" in request.changed and request.before.attributes.get("src") is not None


def _number(text: str) -> JsonValue:
    return int(text) if text.isdecimal() else text


def _comparable(spec: MountSpec, wanted: str) -> bool:
    """Whether the kernel shows the source of such a mount by a name that can be compared."""
    options = spec.opts.split(",")
    if {"bind", "rbind", "loop"} & set(options) or any(option.startswith("loop=") for option in options):
        return False
    return wanted.startswith("/dev/") or ":/" in wanted


def _lacking(opts: str, answer: Mapping[str, str]) -> list[str]:
    """Options that were asked for and that the kernel does not show, as far as it would show them."""
    shown = set(f"{answer.get('mounted', '')},{answer.get('super', '')}".split(","))
    values = dict(option.split("=", 1) for option in shown if "=" in option)
    flags = set(answer.get("mounted", "").split(","))
    missing = []
    for option in opts.split(","):
        name, _, value = option.partition("=")
        wrong = (
            (option in ("ro", "rw") and option not in flags)
            or (option in _FLAGS and option not in shown)
            or (name in _NUMBERS and name in values and not _equal(name, value, values[name]))
        )
        if wrong:
            missing.append(option)
    return missing


def _equal(name: str, wanted: str, seen: str) -> bool:
    """`64m` is `65536k`; `0755` is `755`; what is no number (a percentage) cannot be told apart."""
    numbers = []
    for text in (wanted, seen):
        match = re.fullmatch(r"([0-7]+)()" if name == "mode" else r"([0-9]+)([kmg]?)", text.lower())
        if match is None:
            return True
        numbers.append(int(match[1], 8 if name == "mode" else 10) << (10 * " kmg".index(match[2] or " ")))
    return numbers[0] == numbers[1]


__all__ = ["MountExecutor", "MountSpec"]
