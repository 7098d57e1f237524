"""`timezone`: the host's time zone."""

from __future__ import annotations

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Record
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._shell.etc_files import PUT, fields_of, put, restore, text_of
from kubexms.step.observation import Attributes, Observation
from kubexms.step.shell import quote

ZONES = "/usr/share/zoneinfo/"
_UTC = frozenset({"UTC", "UCT", "Zulu", "Universal", "Etc/UTC", "Etc/UCT", "Etc/Zulu", "Etc/Universal"})


class TimezoneSpec(StepArgs):
    """The host's time zone."""

    timezone: str = Field(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$", max_length=100)
    """A name of the time zone database: `Europe/Berlin`, `UTC`."""


# A copy instead of a link (old installers made those) is recognised when it is the desired zone's.
_ASK = """
for f in /etc/localtime /etc/timezone; do
  if [ -e "$f" ] && [ ! -r "$f" ]; then echo "$f cannot be read"; exit 1; fi
done
if [ -L /etc/localtime ]; then
  l=$(readlink /etc/localtime)
  case $l in *zoneinfo/*) printf 'link=%s\\n' "${{l#*zoneinfo/}}" ;; *) printf 'link=%s\\n' "$l" ;; esac
elif [ -e /etc/localtime ]; then
  if cmp -s /etc/localtime {zone}; then echo copy=same; else echo copy=other; fi
fi
if [ -e /etc/timezone ]; then printf 'file='; head -n 1 /etc/timezone; fi
exit 0
"""


class TimezoneExecutor(OneByOne[TimezoneSpec]):
    """/etc/localtime, and /etc/timezone on systems that keep one."""

    kind = "timezone"
    spec = TimezoneSpec
    changes_facts = frozenset({"timezone"})
    example = "- {name: timezone, kind: timezone, timezone: Europe/Berlin}\n"

    def ask(self, spec: TimezoneSpec) -> str:
        """The link and the file."""
        return _ASK.format(zone=quote(ZONES + spec.timezone))

    def observe(self, spec: TimezoneSpec, record: Record) -> Observation:
        """A missing /etc/localtime is UTC (localtime(5)); a file that disagrees is shown beside the zone."""
        if record.status:
            return Observation.unknown(text_of(record) or "the host did not answer")
        answer = fields_of(record)
        zone = answer.get("link", "UTC")
        if "copy" in answer:
            zone = spec.timezone if answer["copy"] == "same" else "a copy of another zone"
        file = answer.get("file")
        extra: dict[str, JsonValue] = {"link": answer.get("link"), "file": file, "copy": "copy" in answer}
        if file is not None and file != zone and not {file, zone} <= _UTC:
            zone = f"{zone}, in /etc/timezone: {file or 'nothing'}"
        return Observation.present({"timezone": zone}, extra)

    def desired(self, spec: TimezoneSpec) -> Attributes | None:
        """The zone's name."""
        return {"timezone": spec.timezone}

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """The names of UTC are one zone."""
        return desired == observed or (desired in _UTC and observed in _UTC)

    def action(self, spec: TimezoneSpec, request: ChangeRequest) -> Action:
        """Replaces the link atomically; /etc/timezone only where there is one."""
        zone = ZONES + spec.timezone
        message = quote(f"{zone} does not exist: is tzdata installed, and the name right?")
        script = f"if [ ! -f {quote(zone)} ]; then echo {message} >&2; exit 1; fi\n" + PUT + _link(zone)
        file = put("/etc/timezone", spec.timezone + "\n")
        script += f"if [ -e /etc/timezone ]; then\n{file}fi\n"
        return Action(script, backup=("/etc/localtime", "/etc/timezone"))

    def undo(self, spec: TimezoneSpec, prior: Observation) -> Action | None:
        """The link as it was, or the bytes of a copy."""
        link, file = prior.extra.get("link"), prior.extra.get("file")
        script = PUT
        if isinstance(link, str):
            script += _link(link if link.startswith(("/", ".")) else ZONES + link)
        else:
            script += restore("/etc/localtime", existed=prior.extra.get("copy") is True)
        if isinstance(file, str):
            script += put("/etc/timezone", f"{file}\n")
        return Action(script)


def _link(target: str) -> str:
    temporary = "/etc/.kubexms.localtime"
    return (
        f"rm -f {temporary}\nln -s {quote(target)} {temporary}\n"
        f"mv -f {temporary} /etc/localtime\nsync /etc 2>/dev/null || sync\n"
    )
