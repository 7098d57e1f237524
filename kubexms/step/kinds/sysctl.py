"""`sysctl`: a kernel parameter, as it runs and as it will be after the next boot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._shell.etc_files import PUT, fields_of, lists_of, put, restore, text_of
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
"""In the order of `sysctl --system` (sysctl.d(5)): a file hides those of the same name further right."""

MISSING = "(missing)"
"""Stands for the value of a key that the kernel does not have, where that is tolerated."""


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Value = Annotated[str, BeforeValidator(_text), Field(min_length=1, pattern=r"^[^\n\x00]+$")]


class SysctlSpec(StepArgs):
    """A kernel parameter: its running value and the one that boot sets."""

    key: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:@/+-]*$", max_length=250)
    """The parameter: `net.ipv4.ip_forward`, or with slashes where a part holds dots
    (`net/ipv4/conf/eth0.100/forwarding`)."""
    value: Value | None = None
    """The desired value; several numbers are separated by blanks (`"4096 131072 6291456"`)."""
    at_least: bool = False
    """Numbers that are larger than `value` already are right too."""
    persistent: bool = True
    """Keep it over a reboot, in a file below /etc/sysctl.d."""
    file: str | None = Field(default=None, pattern=r"^/etc/sysctl\.d/[^/]+\.conf$")
    """The file that keeps it, which holds this key alone (default: `/etc/sysctl.d/90-kubexms-KEY.conf`)."""
    ignore_missing: bool = False
    """A key that the kernel does not have (its module is not loaded) is no error."""
    state: Literal["present", "absent"] = "present"
    """`absent` removes the file; the running value stays until the next boot."""

    @model_validator(mode="after")
    def _needs_value(self) -> Self:
        if self.state == "present" and self.value is None:
            raise PydanticCustomError("missing_value", "sysctl needs a 'value' (or 'state: absent')")
        if self.at_least and self.value is not None and _numbers(self.value) is None:
            raise PydanticCustomError("at_least", "'atLeast' compares numbers; 'value' is not one")
        return self

    @property
    def proc(self) -> str:
        """The parameter's path below /proc/sys."""
        first_dot, first_slash = self.key.find("."), self.key.find("/")
        if first_slash >= 0 and (first_dot < 0 or first_slash < first_dot):
            return self.key
        return self.key.translate(str.maketrans("./", "/."))

    @property
    def dotted(self) -> str:
        """The parameter as sysctl.conf(5) writes it."""
        return self.proc.translate(str.maketrans("./", "/."))

    @property
    def conf(self) -> str:
        """The file that keeps it."""
        return self.file or f"/etc/sysctl.d/90-kubexms-{self.dotted.replace('/', '%2F')}.conf"


def _numbers(text: str) -> list[int] | None:
    try:
        return [int(word) for word in text.split()]
    except ValueError:
        return None


def _plain(text: str) -> str:
    return " ".join(text.split())


def satisfies(desired: str, observed: str) -> bool:
    """Whether a value is as desired; `>= N` asks for at least N, number by number."""
    if not desired.startswith(">= "):
        return _plain(desired) == _plain(observed)
    wanted, seen = _numbers(desired[3:]), _numbers(observed)
    if wanted is None or seen is None or len(wanted) != len(seen):
        return False
    return all(have >= want for want, have in zip(wanted, seen, strict=True))


# Reads the list of files in boot order and prints, per wanted key, what runs and who assigns what.
_SCAN = r"""
function plain(s) { gsub(/[ \t\r]+/, " ", s); sub(/^ /, "", s); sub(/ $/, "", s); return s }
function proc(k,  d, s, out, i, c) {
  d = index(k, "."); s = index(k, "/")
  if (s && (!d || s < d)) return k
  out = ""
  for (i = 1; i <= length(k); i++) { c = substr(k, i, 1); out = out (c == "." ? "/" : c == "/" ? "." : c) }
  return out
}
BEGIN { n = split(ENVIRON["KX_KEYS"], keys, " "); for (i = 1; i <= n; i++) wanted[keys[i]] = 1 }
{
  file = $0
  while ((getline line < file) > 0) {
    if (line ~ /^[ \t]*([#;]|$)/) continue
    at = index(line, "="); if (!at) continue
    key = plain(substr(line, 1, at - 1)); sub(/^-/, "", key); key = proc(key)
    if (key in wanted) found[key] = found[key] "set=" plain(substr(line, at + 1)) "\t" file "\n"
  }
  close(file)
}
END {
  for (i = 1; i <= n; i++) {
    path = "/proc/sys/" keys[i]; value = ""
    read = (getline value < path); close(path)
    printf "%s%s\n%s\n", (read >= 0 ? "value=" : "unread="), plain(value), found[keys[i]]
  }
}
"""


class SysctlExecutor(StepExecutor[SysctlSpec]):
    """One pass over all sysctl files and one read per key."""

    kind = "sysctl"
    spec = SysctlSpec
    parts = True
    identity = ("key",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "value": ("value", "persistent"),
        "persistent": ("persistent", "overriddenBy"),
        "file": (),
        "at_least": ("value", "persistent"),
    }
    example = '- {name: ip-forward, kind: sysctl, key: net.ipv4.ip_forward, value: "1"}\n'

    def probe(self, specs: Sequence[SysctlSpec]) -> Sequence[Probe]:
        """One fragment; values may be read by anybody, so nothing here needs root."""
        if not specs:
            return ()
        keys = quote(" ".join(spec.proc for spec in specs))
        script = (
            f"list() {{\n  for d in {words(DIRECTORIES)}; do\n"
            '    for f in "$d"/*.conf; do [ -e "$f" ] && printf \'%s\\t%s\\n\' "${f##*/}" "$f"; done\n'
            "  done | awk -F '\\t' '!seen[$1]++' | sort | cut -f2\n"
            "  [ -e /etc/sysctl.conf ] && echo /etc/sysctl.conf\n}\n"
            f"set -- {words([path for spec in specs for path in (spec.conf, f'/proc/sys/{spec.proc}')])}\n"
            f"list | KX_KEYS={keys} awk {quote(_SCAN)} |\n"
            'while [ "$#" -gt 0 ]; do\n'
            "  t=\n"
            '  while IFS= read -r l && [ -n "$l" ]; do t="$t$l\n"; done\n'
            '  case $t in "") emit 1 "awk did not answer"; shift 2; continue ;; esac\n'
            '  [ -e "$1" ] && t="${t}file=1\n"\n'
            '  [ -e "$2" ] && t="${t}exists=1\n"\n'
            '  emit 0 "$t"\n'
            "  shift 2\ndone\n"
        )
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: SysctlSpec, record: Record) -> Observation:
        """`value` runs, `persistent` is what boot sets, `overriddenBy` a later file that wins over ours."""
        if record.status:
            return Observation.unknown(text_of(record) or "the host did not answer")
        answer, every = fields_of(record), lists_of(record)
        kept = "file" in answer
        if spec.state == "absent":
            return Observation.present({"file": spec.conf}, {"kept": True}) if kept else Observation.absent()
        if "value" not in answer and "exists" in answer:
            return Observation.unknown(f"/proc/sys/{spec.proc} cannot be read")
        if "value" not in answer and not spec.ignore_missing:
            return Observation.absent({"missing": f"/proc/sys/{spec.proc}", "kept": kept})
        attributes: dict[str, JsonValue] = {"value": answer.get("value", MISSING)}
        assigned = [entry.partition("\t")[::2] for entry in every.get("set", ())]
        attributes["persistent"] = assigned[-1][0] if assigned else None
        if spec.at_least and not assigned and not kept:
            # nothing assigns it, so what runs is the kernel's own default: a smaller line would lower it
            attributes["persistent"] = attributes["value"]
        attributes["overriddenBy"] = self._winner(spec, assigned)
        return Observation.present(attributes, {"setBy": assigned[-1][1] if assigned else None, "kept": kept})

    @staticmethod
    def _winner(spec: SysctlSpec, assigned: Sequence[tuple[str, str]]) -> str | None:
        if not assigned or spec.value is None:
            return None
        value, path = assigned[-1]
        later = path == "/etc/sysctl.conf" or path.rpartition("/")[2] > spec.conf.rpartition("/")[2]
        wanted = f">= {spec.value}" if spec.at_least else spec.value
        return path if later and path != spec.conf and not satisfies(wanted, value) else None

    def desired(self, spec: SysctlSpec) -> Attributes | None:
        """The value twice: as it runs and as boot sets it."""
        if spec.state == "absent" or spec.value is None:
            return None
        value = f">= {_plain(spec.value)}" if spec.at_least else _plain(spec.value)
        if not spec.persistent:
            return {"value": value}
        return {"value": value, "persistent": value, "overriddenBy": None}

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """Blanks do not count; `>= N` is met by more."""
        if not isinstance(desired, str) or not isinstance(observed, str):
            return desired == observed
        return observed == MISSING or satisfies(desired, observed)

    def action(self, spec: SysctlSpec, request: ChangeRequest) -> Action:
        """Runs it first: a value that the kernel refuses never reaches the file.

        With `atLeast` the file is first: what runs and is in no file counts as the kernel's own, so that
        whoever is killed in between would have set a value that no boot sets.
        """
        if spec.state == "absent" or spec.value is None:
            return Action(f"rm -f {quote(spec.conf)}\n", backup=(spec.conf,))
        writes = spec.persistent and request.changed & {"persistent", "overriddenBy"}
        keeps = put(spec.conf, f"{spec.dotted} = {_plain(spec.value)}\n") if writes else ""
        existed = request.before.extra.get("kept") is True
        script = PUT
        if "value" not in request.changed:
            script += keeps
        elif spec.at_least and not existed:
            script += keeps + self._running(spec, f"rm -f {quote(spec.conf)}; " if keeps else "")
        else:
            script += self._running(spec, "") + keeps
        winner = request.before.attributes.get("overriddenBy")
        if spec.persistent and isinstance(winner, str):
            message = (
                f"{winner} sets {spec.dotted} to another value and is read after {spec.conf}: "
                "remove the line there, or give this step a 'file' that sorts later"
            )
            script += f"echo {quote(message)} >&2\nexit 1\n"
        return Action(script, backup=(spec.conf,))

    @staticmethod
    def _running(spec: SysctlSpec, refused: str) -> str:
        """Sets what runs; `refused` is done before it fails."""
        proc, value = quote(f"/proc/sys/{spec.proc}"), _plain(spec.value or "")
        # "was" is written once: the value that ran before kubexms first touched it
        script = (
            f"if [ -e {proc} ]; then\n"
            '  was="$KX_BACKUP/was"\n'
            f'  [ -e "$was" ] || cat {proc} >"$was" 2>/dev/null || rm -f "$was"\n'
            f"  printf '%s\\n' {quote(value)} >{proc} || {{\n"
            f"    {refused}echo {quote(f'the kernel refused {spec.dotted} = {value}')} >&2; exit 1; }}\n"
        )
        if not spec.ignore_missing:
            hint = "load the module that provides it first (net.bridge.*: br_netfilter)"
            message = f"the kernel has no {spec.dotted}: {hint}"
            script += f"else {refused}echo {quote(message)} >&2; exit 1\n"
        return script + "fi\n"

    def undo(self, spec: SysctlSpec, prior: Observation) -> Action | None:
        """The file as it was, and the value that ran."""
        proc = quote(f"/proc/sys/{spec.proc}")
        was = prior.attributes.get("value") if prior.presence is Presence.PRESENT else None
        script = PUT + restore(spec.conf, existed=prior.extra.get("kept") is True)
        if spec.state == "present":
            known = f"printf '%s\\n' {quote(was)}" if isinstance(was, str) and was != MISSING else "false"
            script += (
                f'if [ -e {proc} ]; then\n  if [ -e "$KX_BACKUP/was" ]; then cat "$KX_BACKUP/was" >{proc}\n'
                f"  elif {known} >/dev/null; then {known} >{proc}; fi\nfi\n"
            )
        return Action(script)
