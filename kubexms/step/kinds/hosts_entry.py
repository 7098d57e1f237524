"""The kind `hostsEntry`: the names of one address in `/etc/hosts`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.edit import READ_FILE, REASONS, edit_functions
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words


def as_address(value: str) -> str:
    """An address as it is written in full. Raises `PydanticCustomError` if it is none."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise PydanticCustomError("ip_address", "'{value}' is not an IP address", {"value": value}) from error


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$", max_length=253)]


class HostsEntrySpec(StepArgs):
    """One address in the hosts file, and exactly these names for it. Comments and other lines stay."""

    ip: Annotated[str, AfterValidator(as_address)]
    """The address, IPv4 or IPv6."""
    names: tuple[HostName, ...] = ()
    """All names of this address, the canonical one first."""
    state: Literal["present", "absent"] = "present"
    """`absent`: no line is there for this address."""
    exclusive: bool = True
    """Take these names from other addresses of the same family: the first line with a name wins, so
    that one left from before would hide this entry. `127.0.1.1 myname` of Debian is such a line."""
    keep_named_in: AbsolutePath | None = None
    """A kubeconfig on the host: while its server has a name of this address, that one stays beside `names`.
    Who changes the server takes the name away (`nodeEndpoint`), or the next apply."""
    path: AbsolutePath = "/etc/hosts"
    """The hosts file."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.state == "present" and not self.names:
            raise PydanticCustomError("hosts_names", "'names' is needed, except with 'state: absent'")
        if len(set(self.names)) != len(self.names):
            raise PydanticCustomError("hosts_twice", "a name stands twice in 'names'")
        return self


_KEPT = """\
# kept FILE: the name by which a kubeconfig reaches its server; `-` for none
kept() {
    k=$(sed -n 's|^ *server: *https://\\([^:/]*\\).*|\\1|p' "$1" 2>/dev/null | head -n 1)
    printf '%s\\n' "${k:--}"
}
"""

# One awk for all entries of a file. For each: `names;address=name …`, what is there and what is in the way.
_ASK = (
    READ_FILE
    + _KEPT
    + """\
entries() {
    printf '%s\\n' "$2" | awk -v kept="$3" '
        BEGIN { split(kept, used, " ") }
        function family(a) { return index(a, ":") ? 6 : 4 }
        !reading {
            n++; ip[n] = $1; other[n] = $2; stays[n] = $3 ? used[$3] : ""
            for (i = 4; i <= NF; i++) wanted[n, $i] = 1
            next
        }
        { sub(/#.*/, "") }
        NF > 1 {
            for (k = 1; k <= n; k++) for (i = 2; i <= NF; i++) {
                if ($1 == ip[k]) {
                    if ($i == stays[k] && !((k, $i) in wanted)) continue
                    if (!((k, $i) in seen)) { names[k] = names[k] " " $i; seen[k, $i] = 1 }
                }
                else if (other[k] && (k, $i) in wanted && family($1) == family(ip[k]))
                    conflicts[k] = conflicts[k] " " $1 "=" $i
            }
            for (k = 1; k <= n; k++) if ($1 == ip[k]) lines[k]++
        }
        END {
            for (k = 1; k <= n; k++)
                print lines[k] + 0 ";" substr(names[k], 2) ";" substr(conflicts[k], 2)
        }
    ' - reading=1 "$1"
}
ask() {
    f=$1 n=$2
    s=$(emit() { printf %s "$1"; }; readable "$f")
    if [ -n "$s" ]; then
        while [ "$n" -gt 0 ]; do
            emit "$s" ''
            n=$((n - 1))
        done
        return
    fi
    IFS=$nl
    set -f
    for l in $(entries "$f" "$3" "$4"); do emit 0 "$l"; done
    IFS=' '
}
"""
)

# The first line of the address becomes the entry; its other lines go, and the names elsewhere.
_SET = """\
ip={ip} names={names} other={other}
"""

_STAYS = """\
case " $names " in
*" $used "*) ;;
*)
    if awk -v ip="$ip" -v name="$used" '
        { sub(/#.*/, "") }
        $1 == ip { for (i = 2; i <= NF; i++) if ($i == name) found = 1 }
        END { exit !found }' <"$src"; then names="$names${names:+ }$used"; fi ;;
esac
"""

_WRITE = """\
export ip names other
awk '
    function family(a) { return index(a, ":") ? 6 : 4 }
    BEGIN {
        ip = ENVIRON["ip"]; n = split(ENVIRON["names"], name, " ")
        for (i = 1; i <= n; i++) mine[name[i]] = 1
        entry = n ? ENVIRON["names"] : ""
    }
    {
        text = $0; comment = ""
        if (at = index(text, "#")) { comment = substr(text, at); text = substr(text, 1, at - 1) }
        n = split(text, word, " ")
        if (n < 2) { print; next }
        # blanks or tabs, as this line has them: what is undone is the line of before
        match(text, /^[ \\t]*[^ \\t]+[ \\t]+/)
        head = substr(text, 1, RLENGTH)
        if (word[1] == ip) {
            if (entry != "" && !done) { done = 1; print head entry (comment != "" ? " " comment : "") }
            next
        }
        kept = ""; left = 0; taken = 0
        for (i = 2; i <= n; i++)
            if (ENVIRON["other"] && word[i] in mine && family(word[1]) == family(ip)) taken = 1
            else kept = kept (left++ ? " " : "") word[i]
        if (!taken) print
        else if (left) print head kept (comment != "" ? " " comment : "")
    }
    END { if (entry != "" && !done) print ip "\\t" entry }
' <"$src" >"$t"
"""

_AGAIN = """\
for pair in {pairs}; do
    awk -v ip="${{pair%%=*}}" -v name="${{pair#*=}}" '
        {{ sub(/#.*/, "") }}
        $1 == ip {{ for (i = 2; i <= NF; i++) if ($i == name) found = 1 }}
        END {{ exit !found }}' <"$t" || printf '%s\\t%s\\n' "${{pair%%=*}}" "${{pair#*=}}" >>"$t"
done
"""


class HostsEntryExecutor(StepExecutor[HostsEntrySpec]):
    """See `HostsEntrySpec`."""

    kind: ClassVar[str] = "hostsEntry"
    spec: ClassVar[type[StepArgs]] = HostsEntrySpec
    parts: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("ip", "path")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "names": ("names", "conflicts"),
        "exclusive": ("conflicts",),
        "state": ("names",),
    }
    example: ClassVar[str] = """\
- {name: registry, kind: hostsEntry, ip: 10.0.0.5, names: [registry.internal, registry]}
"""

    def probe(self, specs: Sequence[HostsEntrySpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        by_path: dict[str, list[int]] = {}
        for index, spec in enumerate(specs):
            by_path.setdefault(spec.path, []).append(index)
        order: list[int] = []
        lines = [_ASK]
        for path, indexes in by_path.items():
            order += indexes
            files = [*dict.fromkeys(file for i in indexes if (file := specs[i].keep_named_in))]
            wanted = "\n".join(_wanted(specs[index], files) for index in indexes)
            kept = " ".join(f"$(kept {quote(file)})" for file in files)
            lines.append(f'ask {words([path, str(len(indexes)), wanted])} "{kept}"')
        fragment = Fragment("\n".join(lines) + "\n", records=len(specs))
        return (Probe(fragment, tuple(order)),)

    def observe(self, spec: HostsEntrySpec, record: Record) -> Observation:
        if record.status in REASONS:
            return Observation.unknown(REASONS[record.status])
        if record.status != 0:
            return Observation.absent()
        count, _, rest = record.text.decode("utf-8", "surrogateescape").partition(";")
        names, _, pairs = rest.partition(";")
        conflicts = [pair.replace("=", " ") for pair in pairs.split()]
        if count == "0" and (not conflicts or spec.state == "absent"):
            return Observation.absent()
        attributes: dict[str, JsonValue] = {"names": [*names.split()]}
        if spec.exclusive and spec.state == "present":
            attributes["conflicts"] = [*conflicts]
        return Observation.present(attributes)

    def desired(self, spec: HostsEntrySpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {"names": [*spec.names]}
        return {**wanted, "conflicts": []} if spec.exclusive else wanted

    def paths(self, spec: HostsEntrySpec) -> tuple[str, ...]:
        return (spec.path,)

    def action(self, spec: HostsEntrySpec, request: ChangeRequest) -> Action:
        path = quote(spec.path)
        if spec.state == "absent":
            script = f"[ -e {path} ] || exit 0\nedit {path} ''\n" + _write(spec, (), exclusive=False)
        else:
            script = f"edit {path} y\n" + _write(spec, spec.names, exclusive=spec.exclusive)
        return Action(edit_functions(f"hosts:{spec.path}") + script + "finish\n")

    def unclaimed(self, prior: Observation, staying: Sequence[HostsEntrySpec]) -> Observation:
        """No name is put back at an address of another entry, which says all of its names."""
        taken = {spec.ip for spec in staying}
        pairs = [pair for pair in _items(prior, "conflicts") if str(pair).partition(" ")[0] not in taken]
        if pairs == _items(prior, "conflicts"):
            return prior
        names = _items(prior, "names")
        presence = Presence.PRESENT if names or pairs else Presence.ABSENT
        attributes = {**prior.attributes, "conflicts": pairs} if presence is Presence.PRESENT else {}
        # the file of before, as a whole, has the names that are not to come back
        return Observation(presence=presence, attributes=attributes, extra={"whole": False})

    def undo(self, spec: HostsEntrySpec, prior: Observation) -> Action | None:
        names: list[str] = []
        pairs: list[str] = []
        if prior.presence is Presence.PRESENT:
            names = [str(name) for name in _items(prior, "names")]
            pairs = [str(pair).replace(" ", "=") for pair in _items(prior, "conflicts")]
        path = quote(spec.path)
        whole = prior.extra.get("whole", True)
        script = f"back {path}\n" if whole else f"[ -e {path} ] || exit 0\nedit {path} ''\n"
        script += _write(spec, names, exclusive=False)
        if pairs:
            script += _AGAIN.format(pairs=words(pairs))
        return Action(edit_functions(f"hosts:{spec.path}") + script + "cleared\nfinish\n")


def _items(prior: Observation, name: str) -> list[JsonValue]:
    value = prior.attributes.get(name)
    return value if isinstance(value, list) else []


def _wanted(spec: HostsEntrySpec, files: Sequence[str]) -> str:
    other = "1" if spec.exclusive and spec.state == "present" else "0"
    keep = str(files.index(spec.keep_named_in) + 1) if spec.keep_named_in else "0"
    return " ".join([spec.ip, other, keep, *spec.names])


def _write(spec: HostsEntrySpec, names: Sequence[str], *, exclusive: bool) -> str:
    text = _SET.format(ip=quote(spec.ip), names=quote(" ".join(names)), other="1" if exclusive else "''")
    if spec.keep_named_in is not None:
        text += _KEPT + f"used=$(kept {quote(spec.keep_named_in)})\n" + _STAYS
    return text + _WRITE


__all__ = ["HostsEntryExecutor", "HostsEntrySpec"]
