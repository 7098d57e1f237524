"""`kernelModule`: a kernel module, loaded now and at every boot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._shell.etc_files import PUT, SBIN, lists_of, put, text_of
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


class KernelModuleSpec(StepArgs):
    """A kernel module: loaded now, loaded at every boot, with these parameters."""

    module: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)
    """The module's name; `-` and `_` mean the same."""
    state: Literal["loaded", "absent"] = "loaded"
    """`absent` unloads it and takes it out of what boot loads."""
    persistent: bool = True
    """Load it at every boot, by a file in /etc/modules-load.d."""
    params: dict[str, str] = Field(default_factory=dict)
    """Parameters, kept in /etc/modprobe.d; of a module that is loaded already only those take effect now that
    the kernel lets one write, the others at the next load."""

    @property
    def canonical(self) -> str:
        """The name as the kernel knows it."""
        return self.module.replace("-", "_")

    @property
    def load_file(self) -> str:
        """What makes boot load it."""
        return f"/etc/modules-load.d/kubexms-{self.canonical}.conf"

    @property
    def options_file(self) -> str:
        """What holds its parameters."""
        return f"/etc/modprobe.d/kubexms-{self.canonical}.conf"

    @property
    def options(self) -> str:
        """The parameters as modprobe.d(5) writes them."""
        return " ".join(f"{name}={value}" for name, value in sorted(self.params.items()))


_SCAN = r"""
BEGIN { n = split(ENVIRON["KX_NAMES"], names, " "); for (i = 1; i <= n; i++) wanted[names[i]] = 1 }
function name(s) { gsub(/-/, "_", s); return s }
function note(key, text) { if (key in wanted) found[key] = found[key] text "\n" }
FILENAME ~ /modules\.builtin$/ {
  key = $1; sub(/^.*\//, "", key); sub(/\.ko.*$/, "", key); note(name(key), "builtin=1"); next
}
/^[ \t]*([#;]|$)/ { next }
FILENAME ~ /^\/etc\/modprobe\.d\/kubexms-/ {
  if ($1 != "options") next
  key = name($2); $1 = ""; $2 = ""; sub(/^ */, ""); note(key, "options=" $0); next
}
{ note(name($1), "file=" FILENAME) }
END { for (i = 1; i <= n; i++) printf "asked=1\n%s\n", found[names[i]] }
"""


class KernelModuleExecutor(StepExecutor[KernelModuleSpec]):
    """One pass over the files that name modules; whether one is loaded is a directory's existence."""

    kind = "kernelModule"
    spec = KernelModuleSpec
    parts = True
    identity = ("module",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"state": ("loaded",)}
    example = "- {name: overlay, kind: kernelModule, module: overlay}\n"

    def probe(self, specs: Sequence[KernelModuleSpec]) -> Sequence[Probe]:
        """One awk for all."""
        if not specs:
            return ()
        names = " ".join(spec.canonical for spec in specs)
        script = (
            'r=$(uname -r)\nset -- /dev/null\nfor f in "/lib/modules/$r/modules.builtin" /etc/modules '
            "/etc/modules-load.d/*.conf /run/modules-load.d/*.conf /usr/local/lib/modules-load.d/*.conf "
            "/usr/lib/modules-load.d/*.conf /lib/modules-load.d/*.conf /etc/modprobe.d/kubexms-*.conf; do\n"
            '  [ -f "$f" ] && [ -r "$f" ] && set -- "$@" "$f"\ndone\n'
            f'KX_NAMES={quote(names)} awk {quote(_SCAN)} "$@" |\n'
            f"for m in {names}; do\n"
            "  t=\n"
            '  while IFS= read -r l && [ -n "$l" ]; do t="$t$l\n"; done\n'
            '  [ -d "/sys/module/$m" ] && t="${t}loaded=1\n"\n'
            '  case $t in asked=*) emit 0 "$t" ;; *) emit 1 "awk did not answer" ;; esac\n'
            "done\n"
        )
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: KernelModuleSpec, record: Record) -> Observation:
        """`loaded` also counts what is built into the kernel; `persistent` whichever file lists it."""
        if record.status:
            return Observation.unknown(text_of(record) or "the host did not answer")
        answer = lists_of(record)
        builtin = "builtin" in answer
        loaded = builtin or "loaded" in answer
        files: list[JsonValue] = list(answer.get("file", ()))
        extra: dict[str, JsonValue] = {"builtIn": builtin, "listedIn": files}
        if not loaded and not files and "options" not in answer:
            return Observation.absent(extra)
        return Observation.present(
            {
                "loaded": loaded,
                # what is built in needs no file
                "persistent": bool(files) or builtin,
                "params": " ".join(answer.get("options", ())),
            },
            extra,
        )

    def desired(self, spec: KernelModuleSpec) -> Attributes | None:
        """Loaded, and at boot too if asked."""
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {"loaded": True}
        if spec.persistent:
            wanted["persistent"] = True
        if spec.params:
            wanted["params"] = spec.options
        return wanted

    def action(self, spec: KernelModuleSpec, request: ChangeRequest) -> Action:
        """Parameters first, so that loading takes them in."""
        if spec.state == "absent":
            return self._remove(spec, request)
        name, script = spec.canonical, SBIN + PUT
        if "params" in request.changed:
            script += put(spec.options_file, f"options {name} {spec.options}\n")
            for key, value in sorted(spec.params.items()):
                path = quote(f"/sys/module/{name}/parameters/{key}")
                script += f"[ ! -w {path} ] || printf '%s\\n' {quote(value)} >{path} || :\n"
        if "loaded" in request.changed:
            # modprobe reads the parameters from the file; busybox's does not, so they are given as well
            params = " ".join(quote(f"{key}={value}") for key, value in sorted(spec.params.items()))
            script += f"modprobe {name} {params}\n"
        if "persistent" in request.changed:
            script += put(spec.load_file, f"{name}\n")
        return Action(script, backup=(spec.load_file, spec.options_file))

    def _remove(self, spec: KernelModuleSpec, request: ChangeRequest) -> Action:
        script = SBIN
        if request.before.extra.get("builtIn"):
            script += f"echo '{spec.canonical} is built into the kernel and cannot be removed' >&2\nexit 1\n"
        script += f"rm -f {spec.load_file} {spec.options_file}\n"
        listed = request.before.extra.get("listedIn")
        others = [str(path) for path in listed if path != spec.load_file] if isinstance(listed, list) else []
        if others:
            message = f"{', '.join(others)} loads {spec.canonical} at boot: take it out there"
            script += f"echo {quote(message)} >&2\nexit 1\n"
        script += f"[ ! -d /sys/module/{spec.canonical} ] || modprobe -r {spec.canonical}\n"
        return Action(script, backup=(spec.load_file, spec.options_file))

    def undo(self, spec: KernelModuleSpec, prior: Observation) -> Action | None:
        """Our files go; the module is unloaded or loaded again as it was. One in use stays, said so."""
        name = spec.canonical
        listed = prior.extra.get("listedIn")
        existed = (
            isinstance(listed, list) and spec.load_file in listed,
            bool(prior.attributes.get("params")),
        )
        script = SBIN + PUT
        for index, path in enumerate((spec.load_file, spec.options_file)):
            # without a file before, a backup can only be what an interrupted run of ours had written
            copy = f'"$KX_BACKUP/{index}"'
            back = f"if [ -e {copy} ]; then kx_put {path} 0644 <{copy}; fi\n"
            script += back if existed[index] else f"rm -f {path}\n"
        if prior.presence is Presence.PRESENT and prior.attributes.get("loaded") is True:
            return Action(script + f"[ -d /sys/module/{name} ] || modprobe {name}\n")
        script += (
            f"[ ! -d /sys/module/{name} ] || modprobe -r {name} 2>/dev/null || "
            f"echo '{name} is in use or built in: it stays loaded until the next boot' >&2\n"
        )
        return Action(script)
