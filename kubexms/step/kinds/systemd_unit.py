"""`systemdUnit`: a unit file or a drop-in, and systemd knowing of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.spec.asset import ASSET, TEMPLATE_FILE, Asset
from kubexms.step.contract import ChangeRequest, Part, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import Mode, octal
from kubexms.step.kinds._shell.etc_files import PUT, restore
from kubexms.step.kinds._shell.units import unit_name
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

_DIRECTORY = "/etc/systemd/system"


class SystemdUnitSpec(StepArgs):
    """A unit file below /etc/systemd/system, or a drop-in for a unit; systemd reads it once it changed."""

    unit: Annotated[str, AfterValidator(unit_name)] = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*$", max_length=250
    )
    """The unit; `backup` means `backup.service`."""
    drop_in: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9:_.@-]*$", max_length=200)
    """Name of a drop-in: `10-proxy` means UNIT.d/10-proxy.conf. Without it: the unit file itself."""
    content: str | None = None
    """The text."""
    template: str | None = Field(default=None, json_schema_extra={**TEMPLATE_FILE})
    """A Jinja2 file whose rendered text is the content."""
    source: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """A file of the controller that is copied as it is."""
    mode: Mode = "0644"
    """Permission bits, quoted."""
    verify: bool = False
    """Let `systemd-analyze verify` check a unit file before it is put in place (not drop-ins)."""
    state: Literal["present", "absent"] = "present"
    """`absent` removes the file; a whole unit is stopped and disabled before."""

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [name for name in ("content", "template", "source") if getattr(self, name) is not None]
        if len(given) != (1 if self.state == "present" else 0) and not (self.state == "absent" and given):
            raise PydanticCustomError(
                "one_content", "a unit takes exactly one of 'content', 'template' and 'source'"
            )
        return self

    @property
    def path(self) -> str:
        """Where the file is."""
        if self.drop_in is None:
            return f"{_DIRECTORY}/{self.unit}"
        return f"{_DIRECTORY}/{self.unit}.d/{self.drop_in.removesuffix('.conf')}.conf"

    @property
    def text(self) -> str | None:
        """The content, if it is text that is known here."""
        return self.content if self.content is not None else self.template

    @property
    def sha256(self) -> str:
        """Digest of the desired bytes; empty where the asset has not been read."""
        if isinstance(self.source, Asset):
            return self.source.sha256
        return hashlib.sha256((self.text or "").encode("utf-8", "surrogateescape")).hexdigest()


_ASK = r"""
# needs UNIT...: $need1, $need2 and so on are 1 where systemd has not read the unit's files since they changed
needs() {
  i=0
  [ -d /run/systemd/system ] || return
  for l in $(systemctl show --no-pager -p NeedDaemonReload -- "$@" 2>/dev/null); do
    i=$((i + 1))
    case $l in *=yes) eval "need$i=1" ;; esac
  done
}
# unit PATH NEED SHA256: sum, mode, owner, whether systemd has read it; the text follows if it differs
unit() {
  need=$2
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then emit 1 "need=$need"; return; fi
  if [ -L "$1" ]; then emit 0 "need=$need
link=$(readlink "$1")"; return; fi
  if [ ! -f "$1" ] || [ ! -r "$1" ]; then emit 2 "need=$need"; return; fi
  s=$(sha256sum <"$1"); s=${s%% *}
  t="need=$need
stat=$(stat -c '%a %U %G' "$1")
sum=$s"
  if [ "$s" != "$3" ] && [ "$(stat -c %s "$1")" -le 65536 ]; then t="$t
--
$(cat "$1")"; fi
  emit 0 "$t"
}
"""


class SystemdUnitExecutor(StepExecutor[SystemdUnitSpec]):
    """The file, and whether systemd has read it since it changed."""

    kind = "systemdUnit"
    spec = SystemdUnitSpec
    parts = True
    identity = ("unit", "drop_in")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "content": ("sha256",),
        "template": ("sha256",),
        "source": ("sha256",),
        "verify": (),
    }
    text_attributes = frozenset({"content"})
    example = (
        "- name: proxy\n  kind: systemdUnit\n  unit: containerd\n  dropIn: proxy\n"
        "  content: |\n    [Service]\n    Environment=HTTPS_PROXY=http://proxy.example.com:3128\n"
    )

    def probe(self, specs: Sequence[SystemdUnitSpec]) -> Sequence[Probe]:
        """One fragment."""
        if not specs:
            return ()
        units = words([spec.unit for spec in specs])
        rows = "".join(
            f'unit {quote(spec.path)} "$need{index}" {quote(spec.sha256)}\n'
            for index, spec in enumerate(specs, start=1)
        )
        fragment = Fragment(f"{_ASK}needs {units}\n{rows}", records=len(specs), timeout=30.0 + len(specs))
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: SystemdUnitSpec, record: Record) -> Observation:
        """A file that is gone while systemd still holds it counts as present until systemd has been told."""
        head, _, content = record.text.partition(b"\n--\n")
        found = dict(line.partition("=")[::2] for line in head.decode("utf-8", "surrogateescape").split("\n"))
        need = bool(found.get("need"))
        if record.status == 1:
            left = spec.state == "absent" and need
            return Observation.present({"daemonReloadNeeded": True}) if left else Observation.absent()
        if record.status == 2:
            return Observation.unknown(f"{spec.path} is no plain file, or cannot be read")
        if "link" in found:
            return Observation.present(
                {
                    "link": found["link"],
                    "sha256": None,
                    "mode": None,
                    "owner": None,
                    "daemonReloadNeeded": need,
                }
            )
        mode, user, group = [*found.get("stat", "").split(), "", "", ""][:3]
        extra: dict[str, JsonValue] = {}
        if content:
            with suppress(UnicodeDecodeError):
                extra["content"] = content.decode("utf-8") + "\n"
        return Observation.present(
            {
                "sha256": found.get("sum", ""),
                "mode": octal(mode or "0"),
                "owner": f"{user}:{group}",
                "daemonReloadNeeded": need,
            },
            extra,
        )

    def desired(self, spec: SystemdUnitSpec) -> Attributes | None:
        """The bytes by their digest, the mode, root as owner, systemd informed."""
        if spec.state == "absent":
            return None
        return {
            "sha256": spec.sha256,
            "mode": octal(spec.mode),
            "owner": "root:root",
            "daemonReloadNeeded": False,
        }

    def desired_text(self, spec: SystemdUnitSpec) -> str | None:
        """For the diff: the text to be, if it is known here."""
        return spec.text

    def action(self, spec: SystemdUnitSpec, request: ChangeRequest) -> Action:
        """Writes the file, then tells systemd. A unit that is removed is stopped and disabled first."""
        if spec.state == "absent":
            return Action(self._removal(spec), backup=(spec.path,))
        written = request.changed - {"daemonReloadNeeded"}
        if not written:
            return Action(_RELOAD)
        script = PUT + self._writing(spec, "content") + _RELOAD
        return Action(script, payloads={"content": self._payload(spec)}, backup=(spec.path,))

    def shares(self, spec: SystemdUnitSpec) -> str | None:
        """Units that are written: systemd reads all of its files once for all of them."""
        return "write" if spec.state == "present" else None

    def merge(self, parts: Sequence[Part[SystemdUnitSpec]]) -> Action:
        """One after the other; systemd is told also if one of them fails."""
        writing = [(number, part) for number, part in enumerate(parts) if part.alone.payloads]
        texts = [
            f"KX_BACKUP={part.backup}\n{self._writing(part.spec, f'content{number}')}"
            for number, part in writing
        ]
        ended = f"ended() {{\n{_RELOAD}}}\ntrap ended EXIT\n"
        payloads = {f"content{number}": self._payload(part.spec) for number, part in writing}
        return Action(f"{PUT}{ended}{''.join(texts)}", payloads)

    @staticmethod
    def _writing(spec: SystemdUnitSpec, payload: str) -> str:
        path = quote(spec.path)
        script = _MKDIR.format(directory=quote(spec.path.rpartition("/")[0]))
        if spec.verify and spec.drop_in is None:
            script += _VERIFY.format(unit=quote(spec.unit), payload=payload)
        return f"{script}[ ! -L {path} ] || rm -f {path}\npayload {payload} | kx_put {path} {spec.mode} 0:0\n"

    @staticmethod
    def _payload(spec: SystemdUnitSpec) -> Payload:
        if isinstance(spec.source, Asset):
            return Payload(path=Path(spec.source.path), size=spec.source.size)
        data = (spec.text or "").encode("utf-8", "surrogateescape")
        return Payload(data=data, size=len(data))

    @staticmethod
    def _removal(spec: SystemdUnitSpec) -> str:
        path = quote(spec.path)
        script = ""
        if spec.drop_in is None:
            unit = quote(spec.unit)
            script = (
                f"if [ -d /run/systemd/system ] && [ -e {path} ]; then\n"
                f"  systemctl disable --now -- {unit} || systemctl stop -- {unit} || :\nfi\n"
            )
        return script + f"rm -f {path}\n" + _RELOAD

    def undo(self, spec: SystemdUnitSpec, prior: Observation) -> Action | None:
        """The file as it was, or gone together with the drop-in directory that kubexms made."""
        existed = prior.presence is Presence.PRESENT and "sha256" in prior.attributes
        link = prior.attributes.get("link")
        path, directory = quote(spec.path), quote(spec.path.rpartition("/")[0])
        if isinstance(link, str):
            return Action(f"rm -f {path}\nln -s {quote(link)} {path}\n{_RELOAD}")
        if existed:
            return Action(PUT + restore(spec.path, existed=True) + _RELOAD)
        cleanup = f'[ ! -e "$KX_BACKUP/made" ] || rmdir {directory} 2>/dev/null || :\n'
        return Action(self._removal(spec) + cleanup)

    def paths(self, spec: SystemdUnitSpec) -> tuple[str, ...]:
        """The file."""
        return (spec.path,)


_RELOAD = "if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\n"
_MKDIR = """\
if [ ! -d {directory} ]; then : >"$KX_BACKUP/made"; mkdir -p {directory}; fi
"""
_VERIFY = """\
if command -v systemd-analyze >/dev/null; then
  mkdir -p "$KX_BACKUP/verify"
  payload {payload} >"$KX_BACKUP/verify/"{unit}
  systemd-analyze verify "$KX_BACKUP/verify/"{unit} || {{
    rm -rf "$KX_BACKUP/verify"; echo {unit}': systemd-analyze verify refused it' >&2; exit 1; }}
  rm -rf "$KX_BACKUP/verify"
fi
"""
