"""`recentFile`: what a timer's unit writes into a directory, and whether it is as recent as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from kubexms.runtime.protocol import Action, Record
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.etc_files import text_of
from kubexms.step.kinds._shell.units import START, unit_name
from kubexms.step.observation import Attributes, Observation
from kubexms.step.shell import quote

RECENT = "recent"
_ONE_RUN = 3600.0
"""Seconds for a unit that runs and ends."""


class RecentFileSpec(StepArgs):
    """A file that a unit writes at set times: the newest one is not older than the times allow.

    Where there is none yet, the age of the timer's own file counts. One that is overdue is drift: the timer
    does not run, or the host was off. The unit is started once more then. Needs systemd 244 or newer
    (`systemd-analyze calendar --base-time`); before that nothing is ever overdue.
    """

    directory: AbsolutePath
    """Where the files are."""
    names: str = Field(pattern=r"^[A-Za-z0-9_*?][A-Za-z0-9._*?@+-]*$", max_length=200)
    """Their names, as the shell matches them: `dump-*.sql`."""
    schedule: str = Field(min_length=1, max_length=200, pattern=r"^[^\n]*$")
    """When there is to be a new one, as the timer's OnCalendar says it (`man systemd.time`)."""
    slack_minutes: int = Field(default=60, ge=0, le=100_000)
    """How long after that it may take: the timer's own delay, and the run of the unit."""
    unit: Annotated[str, AfterValidator(unit_name)] = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*$", max_length=250
    )
    """The oneshot unit that writes one. Its timer has the same name in /etc/systemd/system."""


_ASK = r"""
if [ -e "$d" ] && { [ ! -r "$d" ] || [ ! -x "$d" ]; }; then
  echo "permission denied: $d cannot be read"
  exit 1
fi
newest=
if cd "$d" 2>/dev/null; then
  for f in NAMES; do
    [ -f "$f" ] || continue
    if [ -z "$newest" ] || ! [ "$newest" -nt "$f" ]; then newest=$f; fi
  done
fi
made=$(stat -c %Y -- "${newest:-$timer}" 2>/dev/null) || { echo recent; exit 0; }
l=$(LC_ALL=C systemd-analyze calendar --base-time "@$made" -- "$schedule") || { echo recent; exit 0; }
due=$(printf '%s\n' "$l" | sed -n \
  -e 's/^ *(in UTC): [A-Z][a-z]* \(.*\) UTC$/\1/p' -e 's/^ *Next elapse: [A-Z][a-z]* \(.*\) UTC$/\1/p')
due=$(date -u -d "${due:-never}" +%s) || { echo recent; exit 0; }
now=$(date +%s)
[ "$now" -gt $((due + slack)) ] || { echo recent; exit 0; }
at() { date -u -d "@$1" '+%Y-%m-%d %H:%M'; }
# times, no ages: what a plan shows must be the same a while later
echo "overdue $(at "$due") ${newest:+$(at "$made") $newest}"
"""


class RecentFileExecutor(OneByOne[RecentFileSpec]):
    """The newest file, and when the next one was due by systemd's own reckoning."""

    kind = "recentFile"
    spec = RecentFileSpec
    identity = ("directory", "names")
    can_undo = False
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: ("newest",) if name in ("schedule", "slack_minutes") else ()
        for name in RecentFileSpec.model_fields
    }
    example = """\
- name: recent
  kind: recentFile
  directory: /var/backups/db
  names: dump-*.sql
  schedule: daily
  unit: dump-db
"""

    def ask(self, spec: RecentFileSpec) -> str:
        """`recent`, or `overdue`, when one was due (UTC), and time (UTC) and name of the newest."""
        timer = f"/etc/systemd/system/{spec.unit.removesuffix('.service')}.timer"
        head = f"d={quote(spec.directory)} timer={quote(timer)}\n"
        head += f"schedule={quote(spec.schedule)} slack={spec.slack_minutes * 60}\n"
        return head + _ASK.replace("NAMES", spec.names)

    def observe(self, spec: RecentFileSpec, record: Record) -> Observation:
        """Recent, or of when the newest is, and since when another one is due."""
        text = text_of(record).strip()
        if record.status:
            return Observation.unknown(text or "the host does not tell of its files")
        word, _, rest = text.partition(" ")
        if word != "overdue":
            return Observation.present({"newest": RECENT})
        date, time, *found = rest.split(" ", 4)
        if not found:
            return Observation.present({"newest": f"none; one was due at {date} {time} UTC"})
        made, at, name = found
        newest = f"{name} of {made} {at} UTC; another one was due at {date} {time} UTC"
        return Observation.present({"newest": newest})

    def desired(self, spec: RecentFileSpec) -> Attributes | None:
        """A recent one."""
        return {"newest": RECENT}

    def action(self, spec: RecentFileSpec, request: ChangeRequest) -> Action:
        """One run of the unit. A failed one shows its log."""
        return Action(START + f"u={quote(spec.unit)}\ninstalled\nreread\nagain\n", timeout=_ONE_RUN)

    def owns(self, spec: RecentFileSpec) -> bool:
        """The files are the unit's."""
        return False

    def summary(self, spec: RecentFileSpec) -> str:
        """The files."""
        return f"{spec.directory}/{spec.names}"


__all__ = ["RecentFileExecutor", "RecentFileSpec"]
