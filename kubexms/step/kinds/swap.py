"""`swap`: no swap, now and after the next boot."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import JsonValue

from kubexms.runtime.protocol import Action, Record
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._shell.etc_files import PUT, SBIN, lists_of, restore
from kubexms.step.observation import Attributes, Observation

_MARK = "#kubexms: "


class SwapSpec(StepArgs):
    """Swap of the host. The kubelet wants none."""

    state: Literal["off"] = "off"
    """`off`: nothing is swapped to now, /etc/fstab names no swap, and no swap unit starts at boot."""


_ASK = r"""
n=0
while read -r p t r; do n=$((n + 1)); [ "$n" = 1 ] || printf 'active=%s\n' "$p"; done </proc/swaps 2>/dev/null
while read -r d m t r; do
  case $d in ''|'#'*) continue ;; esac
  [ "$t" = swap ] && printf 'fstab=%s\n' "$d"
done </etc/fstab 2>/dev/null
if [ -d /run/systemd/system ]; then
  systemctl list-unit-files --no-legend --no-pager --type=swap 2>/dev/null | while read -r u s r; do
    case $s in masked|generated|transient) ;; *) printf 'unit=%s\n' "$u" ;; esac
  done
  for f in /etc/systemd/zram-generator.conf /usr/lib/systemd/zram-generator.conf; do
    [ -s "$f" ] && printf 'unit=%s\n' "$f" && break
  done
fi
exit 0
"""

_OFF = (
    r"""
[ "$(wc -l </proc/swaps)" -le 1 ] || swapoff -a
if [ -e /etc/fstab ]; then
  off() { awk -v m='"""
    + _MARK
    + r"""' '$1 !~ /^#/ && $3 == "swap" { print m $0; next } { print }'; }
  kx_edit /etc/fstab off
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl list-unit-files --no-legend --no-pager --type=swap 2>/dev/null | while read -r u s r; do
    case $s in masked|generated|transient) continue ;; esac
    systemctl stop "$u" || :
    systemctl mask "$u"
    [ -z "$KX_BACKUP" ] || printf '%s\n' "$u" >>"$KX_BACKUP/masked"
  done
  if [ -s /usr/lib/systemd/zram-generator.conf ] || [ -s /etc/systemd/zram-generator.conf ]; then
    [ -e /etc/systemd/zram-generator.conf ] || : >"$KX_BACKUP/no-zram"
    : >/etc/systemd/zram-generator.conf
    systemctl daemon-reload
  fi
fi
"""
)

_UNDO = r"""
if [ -e "$KX_BACKUP/masked" ]; then
  while read -r u; do systemctl unmask "$u"; done <"$KX_BACKUP/masked"
fi
if [ -e "$KX_BACKUP/no-zram" ]; then rm -f /etc/systemd/zram-generator.conf
elif [ -e "$KX_BACKUP/1" ]; then cat "$KX_BACKUP/1" >/etc/systemd/zram-generator.conf; fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
"""


class SwapExecutor(OneByOne[SwapSpec]):
    """There is one per host."""

    kind = "swap"
    spec = SwapSpec
    feeds: ClassVar[dict[str, tuple[str, ...]]] = {"state": ("active", "fstab", "units")}
    changes_facts = frozenset({"swap_mb"})
    example = '- {name: swap, kind: swap, state: "off"}\n'

    def ask(self, spec: SwapSpec) -> str:
        """What is swapped to now, and what would be at the next boot."""
        return _ASK

    def observe(self, spec: SwapSpec, record: Record) -> Observation:
        """Three lists, each empty when swap is off."""
        answer = lists_of(record)
        return Observation.present(
            {
                "active": list[JsonValue](sorted(answer.get("active", []))),
                "fstab": list[JsonValue](sorted(answer.get("fstab", []))),
                "units": list[JsonValue](sorted(answer.get("unit", []))),
            }
        )

    def desired(self, spec: SwapSpec) -> Attributes | None:
        """None of anything."""
        return {"active": [], "fstab": [], "units": []}

    def action(self, spec: SwapSpec, request: ChangeRequest) -> Action:
        """swapoff, fstab's lines commented out, units masked."""
        return Action(SBIN + PUT + _OFF, backup=("/etc/fstab", "/etc/systemd/zram-generator.conf"))

    def undo(self, spec: SwapSpec, prior: Observation) -> Action | None:
        """fstab and units as they were, and what was swapped to is again."""
        script = SBIN + PUT + restore("/etc/fstab", existed=True) + _UNDO
        if prior.attributes.get("active"):
            script += "swapon -a || :\n"
        return Action(script)

    def paths(self, spec: SwapSpec) -> tuple[str, ...]:
        """The file that names swap."""
        return ("/etc/fstab",)
