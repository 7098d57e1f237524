"""`hostname`: the host's own name, as it runs and as it will be after the next boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Record
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._shell.etc_files import PUT, SBIN, fields_of, put, text_of
from kubexms.step.observation import Attributes, Observation
from kubexms.step.shell import quote


def _labels(name: str) -> str:
    for label in name.split("."):
        if not label or len(label) > 63 or label.startswith("-") or label.endswith("-"):
            raise PydanticCustomError(
                "hostname",
                "'{name}' is no host name: each part is 1 to 63 letters, digits or '-', no '-' at its ends",
                {"name": name},
            )
    return name


class HostnameSpec(StepArgs):
    """The name of the host, in /etc/hostname and in the running kernel."""

    hostname: Annotated[str, AfterValidator(_labels)] = Field(pattern=r"^[A-Za-z0-9.-]+$", max_length=64)
    """The name: letters, digits, `-`; with dots where the full name is used."""


_ASK = """
n=
if [ -e /etc/hostname ] && [ ! -r /etc/hostname ]; then echo '/etc/hostname cannot be read'; exit 1; fi
if [ -e /etc/hostname ]; then
  while IFS= read -r l || [ -n "$l" ]; do
    case $l in ''|'#'*) ;; *) n=$l; break ;; esac
  done </etc/hostname
  printf 'static=%s\\n' "$n"
fi
printf 'running='; cat /proc/sys/kernel/hostname 2>/dev/null || uname -n
"""


class HostnameExecutor(OneByOne[HostnameSpec]):
    """There is one per host, so asking one by one costs nothing."""

    kind = "hostname"
    spec = HostnameSpec
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"hostname": ("static", "running")}
    changes_facts = frozenset({"hostname", "fqdn"})
    example = '- {name: hostname, kind: hostname, hostname: "{{ host.name }}"}\n'

    def ask(self, spec: HostnameSpec) -> str:
        """Both names."""
        return _ASK

    def observe(self, spec: HostnameSpec, record: Record) -> Observation:
        """`static` is null where /etc/hostname does not exist."""
        if record.status:
            return Observation.unknown(text_of(record) or "the host did not answer")
        answer = fields_of(record)
        static = answer["static"].strip() if "static" in answer else None
        return Observation.present({"static": static, "running": answer.get("running", "").strip()})

    def desired(self, spec: HostnameSpec) -> Attributes | None:
        """The same name twice."""
        return {"static": spec.hostname, "running": spec.hostname}

    def action(self, spec: HostnameSpec, request: ChangeRequest) -> Action:
        """The file, then the kernel; systemd-hostnamed is told where it runs."""
        return Action(_name(spec.hostname, spec.hostname), backup=("/etc/hostname",))

    def undo(self, spec: HostnameSpec, prior: Observation) -> Action | None:
        """Both names as they were."""
        static, running = prior.attributes.get("static"), prior.attributes.get("running")
        return Action(_name(static, running) if isinstance(running, str) and running else "exit 0\n")


def _name(static: JsonValue, running: str) -> str:
    script = SBIN + PUT
    script += put("/etc/hostname", f"{static}\n") if isinstance(static, str) else "rm -f /etc/hostname\n"
    new = quote(running)
    # hostnamectl tells whoever listens (NetworkManager, journald); the kernel's own file always works
    return script + (
        f"if [ {quote(str(static))} = {new} ] && [ -d /run/systemd/system ] && "
        f"hostnamectl set-hostname -- {new} 2>/dev/null; then :; fi\n"
        "k=/proc/sys/kernel/hostname\n"
        f"[ \"$(cat $k)\" = {new} ] || printf '%s\\n' {new} >$k\n"
    )
