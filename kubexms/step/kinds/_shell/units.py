"""Asking systemd about many units at once, and starting one so that a failure explains itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from kubexms.step.contract import Source

PROPERTIES = ("Id", "LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "Result")
STARTS = ("InvocationID", "InactiveExitTimestamp", "ExecMainStartTimestamp", "StateChangeTimestamp")
"""Asked for too, and kept in the records of those units alone that watch something: they are volatile."""

_TYPES = "service socket timer path mount automount swap target slice scope device"
_SUFFIXES = tuple(f".{name}" for name in _TYPES.split())

SHOW = r"""
nl='
'
error=
if [ ! -d /run/systemd/system ]; then
  error='this host does not run systemd'
elif ! command -v systemctl >/dev/null; then
  error='systemctl is missing'
fi
# show UNIT...: one block of properties per unit, in order, in $blocks; microseconds need systemd 247
show() {
  [ -z "$error" ] || return
  set -- PROPS -- "$@"
  blocks=$(systemctl show --no-pager --timestamp=us+utc "$@" 2>/dev/null) && return
  old=1
  blocks=$(systemctl show --no-pager "$@" 2>/dev/null) && return
  error=$(systemctl show --no-pager "$@" 2>&1 >/dev/null)
  error="systemctl: ${error:-failed}"
}
# next UNIT [w PATH...]: emits the record of the next unit
next() {
  [ -z "$error" ] || { emit 1 "$error"; return; }
  unit=$1
  shift
  t= starts= l=
  while IFS= read -r l && [ -n "$l" ]; do
    case $l in
      InvocationID=*|*Timestamp=*) starts="$starts$l$nl" ;;
      *) t="$t$l$nl" ;;
    esac
  done
  if [ "$#" -gt 0 ]; then
    shift
    [ -z "$old" ] || bus "$unit"
    t="$t$starts--$nl"
    changes "$@"
  fi
  emit 0 "$t"
}
old=
# changes PATH...: index, change time, and whether it lies in the host's future; missing paths are left out
changes() {
  n=$# at= i=0
  for p do
    if [ -e "$p" ] || [ -L "$p" ]; then at="$at $i"; set -- "$@" "$p"; fi
    i=$((i + 1))
  done
  shift "$n"
  [ "$#" -gt 0 ] || return
  now=$(date +%s)
  # GNU stat knows fractions of a second by %.Z, busybox only whole seconds
  case $(stat -c %.Z / 2>/dev/null) in *[0-9].[0-9]*) f=%.Z ;; *) f=%Z ;; esac
  times=$(stat -c "$f" -- "$@" 2>/dev/null)
  set -- $at
  for c in $times; do
    s=${c%%.*} later=
    [ "$s" -le "$((now + 1))" ] || later=' future'
    t="$t$1 $c$later$nl"
    shift
  done
}
# bus UNIT: the times of an old systemd, by D-Bus, in microseconds
bus() {
  b=org.freedesktop.systemd1
  o=$(busctl call $b /org/freedesktop/systemd1 $b.Manager LoadUnit s "$1" 2>/dev/null)
  o=${o#o }; o=${o#\"}; o=${o%\"}
  for q in Unit.InactiveExitTimestamp Service.ExecMainStartTimestamp Unit.StateChangeTimestamp; do
    v=$(busctl get-property $b "$o" "$b.${q%.*}" "${q#*.}" 2>/dev/null)
    [ -z "$v" ] || starts="$starts${q#*.}=${v#t }$nl"
  done
}
""".replace("PROPS", " ".join(f"-p {name}" for name in (*PROPERTIES, *STARTS)))

START = r"""
command -v systemctl >/dev/null || { echo 'this host does not run systemd: no systemctl' >&2; exit 1; }
known() { case $(systemctl show -p LoadState -- "$u") in *=not-found) return 1 ;; esac; }
installed() {
  known || { echo "unit $u does not exist on this host: install what brings it first" >&2; exit 1; }
}
reread() {
  case $(systemctl show -p NeedDaemonReload -- "$u") in *=yes) systemctl daemon-reload ;; esac
}
explain() {
  systemctl status --no-pager --full --lines=0 -- "$u" >&2 || :
  if command -v journalctl >/dev/null; then journalctl --no-pager -q -n 20 -u "$u" >&2 || :; fi
  exit 1
}
property() { systemctl show -p "$1" -- "$u" | { IFS= read -r l; printf '%s' "${l#*=}"; }; }
# again: one run of a unit that ends
again() {
  systemctl reset-failed -- "$u" 2>/dev/null || :
  systemctl start -- "$u" || { echo "$u has failed again" >&2; explain; }
}
# bring VERB: a unit that dies at once, or cannot stay, is a failure that explains itself
bring() {
  case $1 in try-*) [ "$(property ActiveState)" = active ] || return 0 ;; esac
  # a unit that failed too often is refused; the reason for that may be gone by now
  [ "$(property ActiveState)" != failed ] || systemctl reset-failed -- "$u"
  systemctl "$1" -- "$u" || { echo "systemctl $1 $u failed" >&2; explain; }
  case $(property Type) in
    simple|exec|idle) sleep 0.4 2>/dev/null || sleep 1 ;;
    oneshot)
      if [ "$(property RemainAfterExit)" = no ] && [ "$(property ActiveState)" = inactive ]; then
        echo "$u ran and ended: a oneshot unit without RemainAfterExit never counts as running" >&2
        exit 1
      fi ;;
  esac
  case $(property ActiveState) in
    active|reloading) ;;
    *) echo "$u is not running after $1 ($(property Result))" >&2; explain ;;
  esac
}
"""


def unit_name(name: str) -> str:
    """The full name: `.service` where no type is given."""
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def _moment(text: str) -> float | None:
    """Seconds since the epoch of `Tue 2026-01-06 00:20:50.651244 UTC` or of plain microseconds."""
    if text.isdecimal():
        return int(text) / 1e6 or None
    words = text.split()
    if len(words) != 4:
        return None
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in words[2] else "%Y-%m-%d %H:%M:%S"
    try:
        return datetime.strptime(f"{words[1]} {words[2]}", form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


_COARSE = 0.011
"""Seconds by which a change time may lie before the change: the kernel's coarse clock, at 100 Hz."""


def freshness(
    sources: Sequence[Source], found: Mapping[str, str], times: str, restarting: Sequence[str]
) -> tuple[list[JsonValue], list[str]]:
    """Sources that changed after the unit's start (those that only reload it: after its last change of
    state, which a reload is too), and the paths whose change time lies in the future."""
    start = _moment(found.get("ExecMainStartTimestamp", "")) or _moment(
        found.get("InactiveExitTimestamp", "")
    )
    state = _moment(found.get("StateChangeTimestamp", "")) or start
    changes: dict[int, tuple[str, bool]] = {}
    for line in times.split("\n"):
        words = line.split()
        if len(words) >= 2:
            changes[int(words[0])] = (words[1], len(words) > 2)
    later: list[JsonValue] = []
    future: list[str] = []
    index = 0
    for source in sources:
        taken = start if source.name in restarting else state
        for path in source.paths:
            at, ahead = changes.get(index, ("", False))
            index += 1
            if ahead:
                future.append(path)
            elif at and taken is not None and _after(at, taken) and source.name not in later:
                later.append(source.name)
    return later, future


def _after(changed: str, taken: float) -> bool:
    if "." in changed:
        return float(changed) > taken - _COARSE
    return int(changed) >= int(taken)
