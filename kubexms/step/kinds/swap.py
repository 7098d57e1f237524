"""`swap`: swapping switched off, now and at every boot, as Kubernetes wants it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, JsonValue
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Record
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._shell.etc_files import PUT, lists_of, text_of
from kubexms.step.kinds._shell.fstab import unescaped
from kubexms.step.observation import Attributes, Observation
from kubexms.step.shell import quote


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("unquoted_off", 'quote it: state: "off" (YAML reads a bare off as false)')
    return value


class SwapSpec(StepArgs):
    """Swapping, which is switched off: nothing is swapped to now, and nothing will be after a boot."""

    state: Annotated[Literal["off"], BeforeValidator(_word)] = "off"
    """`"off"`, in quotes."""


_MARK = "#kubexms-swap-off# "

# /proc/swaps is the kernel's; fstab and systemd's units (of zram generators too) are what boot will use.
_ASK = r"""
if [ -e /etc/fstab ] && [ ! -r /etc/fstab ]; then echo '/etc/fstab cannot be read'; exit 1; fi
awk 'NR > 1 && NF { print "active=" $1 }' /proc/swaps 2>/dev/null
awk '$1 !~ /^#/ && $3 == "swap" { print "fstab=" $1 }' /etc/fstab 2>/dev/null
[ -d /run/systemd/system ] || exit 0
{
  # enabled: as `systemctl list-unit-files` sees it, for which it reads every unit file of the host
  for l in /etc/systemd/system/*.wants/*.swap /etc/systemd/system/*.requires/*.swap \
      /run/systemd/system/*.wants/*.swap /run/systemd/system/*.requires/*.swap; do
    [ -L "$l" ] && [ -e "$l" ] || continue
    u=${l##*/}
    for d in /etc /run; do
      # masked
      f=$d/systemd/system/$u
      if [ -L "$f" ] && [ /dev/null -ef "$f" ]; then continue 2; fi
    done
    echo "unit=$u"
  done
  systemctl show --no-pager -p Id -p LoadState -p ActiveState -p UnitFileState -p SourcePath -p FragmentPath \
    -- '*.swap' 2>/dev/null | awk -F = '
      function note() {
        wanted = u["ActiveState"] == "active" || u["UnitFileState"] == "generated"
        real = u["LoadState"] == "loaded" && u["FragmentPath"] != "" && u["SourcePath"] != "/etc/fstab"
        if (wanted && real) print "unit=" u["Id"]
        split("", u)
      }
      NF == 0 { note(); next }
      { u[$1] = substr($0, length($1) + 2) }
      END { note() }'
} | sort -u
exit 0
"""

_OFF = r"""
PATH=$PATH:/usr/sbin:/sbin
# units first: systemd would switch a swap on again that it wants
for unit in $units; do
  # a unit file below /etc cannot be masked, and need not: it is wanted because it is enabled
  case $(systemctl show -p UnitFileState -- "$unit") in *=enabled) verb=disable ;; *) verb=mask ;; esac
  grep -qx -e "[a-z]* $unit" "$KX_BACKUP/units" 2>/dev/null || echo "$verb $unit" >>"$KX_BACKUP/units"
  systemctl "$verb" --now -- "$unit" || systemctl "$verb" -- "$unit"
done
if [ -e /etc/fstab ]; then
  kx_edit /etc/fstab awk '$1 !~ /^#/ && $3 == "swap" { print "MARK" $0; next } { print }'
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ -n "$(sed 1d /proc/swaps 2>/dev/null)" ]; then swapoff -a; fi
# swapoff -a leaves out what neither fstab nor a unit names
while read -r device rest; do
  case $device in Filename|'') continue ;; esac
  swapoff "$(printf %b "$(printf %s "$device" | sed 's/\\\([0-7]\)/\\0\1/g')")"
done </proc/swaps
""".replace("MARK", _MARK)

_ON = r"""
PATH=$PATH:/usr/sbin:/sbin
if [ -e /etc/fstab ]; then
  kx_edit /etc/fstab awk 'index($0, "MARK") == 1 { print substr($0, length("MARK") + 1); next } { print }'
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ -s "$KX_BACKUP/units" ]; then
  while read -r verb unit; do
    if [ "$verb" = disable ]; then systemctl enable -- "$unit"; else systemctl unmask -- "$unit"; fi
  done <"$KX_BACKUP/units"
fi
""".replace("MARK", _MARK)


class SwapExecutor(OneByOne[SwapSpec]):
    """There is one per host."""

    kind: ClassVar[str] = "swap"
    spec: ClassVar[type[StepArgs]] = SwapSpec
    changes_facts: ClassVar[frozenset[str]] = frozenset({"swap_mb"})
    example: ClassVar[str] = '- {name: swap, kind: swap, state: "off"}\n'

    def ask(self, spec: SwapSpec) -> str:
        """What is swapped to, and what boot will swap to."""
        return _ASK

    def observe(self, spec: SwapSpec, record: Record) -> Observation:
        """Three lists, which are to be empty."""
        if record.status:
            return Observation.unknown(text_of(record) or "the host did not answer")
        answer = lists_of(record)
        return Observation.present(
            {
                "active": [unescaped(name) for name in answer.get("active", ())],
                "fstab": [unescaped(name) for name in answer.get("fstab", ())],
                "units": list[JsonValue](answer.get("unit", ())),
            }
        )

    def desired(self, spec: SwapSpec) -> Attributes | None:
        """Nothing."""
        return {"active": [], "fstab": [], "units": []}

    def action(self, spec: SwapSpec, request: ChangeRequest) -> Action:
        """Masks or disables units, comments the lines in fstab with a mark, and switches off what is on."""
        units = request.before.attributes.get("units")
        names = " ".join(str(unit) for unit in units) if isinstance(units, list) else ""
        return Action(f"{PUT}units={quote(names)}\n{_OFF}", timeout=1800.0)

    def undo(self, spec: SwapSpec, prior: Observation) -> Action | None:
        """The marked lines come back to the byte; what was on is switched on."""
        active = prior.attributes.get("active")
        script = PUT + _ON
        for device in active if isinstance(active, list) else ():
            path = quote(str(device))
            listed = 'while read -r d rest; do printf "%b\\n" "$d"; done </proc/swaps'
            script += f"if [ -e {path} ] && ! {{ {listed} | grep -qxF -e {path}; }}; then swapon {path}; fi\n"
        return Action(script)
