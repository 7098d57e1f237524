"""Units of Kubernetes' own programs, one flag a line, so that a plan shows which one changes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kubexms.builder.steps import Template, step, text
from kubexms.spec.pipeline import StepSpec

UNITS = "/etc/systemd/system"
VERSION_FIELD = "X-Version"
"""systemd passes over fields that begin with X-. Another version is another unit, which restarts it."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:,=*@+-]*")


def unit(
    program: str,
    description: str,
    flags: Mapping[str, str],
    *,
    version: str = "",
    after: str = "network-online.target",
    conditions: Mapping[str, Sequence[str]] | None = None,
    service: Mapping[str, str] | None = None,
) -> Template:
    """A unit that runs /usr/local/bin/PROGRAM with these flags; `service` has more settings of it,
    `conditions` of when it may start."""
    settings = {"Restart": "always", "RestartSec": "5", "LimitNOFILE": "1048576", **(service or {})}
    words = [f"--{name}={value}" for name, value in sorted(flags.items())]
    command = " \\\n    ".join([f"/usr/local/bin/{program}", *map(_word, words)])
    lines = ["[Unit]", f"Description={description}", "Wants=network-online.target", f"After={after}"]
    lines += ["StartLimitIntervalSec=0", *([f"{VERSION_FIELD}={version}"] if version else [])]
    lines += [f"{key}={value}" for key, values in (conditions or {}).items() for value in values]
    lines += ["", "[Service]", f"ExecStart={command}"]
    lines += [f"{key}={value}" for key, value in settings.items()]
    return text("\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""]), quoted=False)


def running(name: str, content: Template, sources: Sequence[str], *, switched: bool = True) -> list[StepSpec]:
    """The unit file, and the unit started at boot, running, and restarted for what it uses.

    Without `switched` another step starts and stops it.
    """
    on = True if switched else None
    return [
        step("unit", "systemdUnit", unit=name, content=content),
        step("service", "service", unit=name, enabled=on, running=on, restart_on=sources),
    ]


def _word(word: str) -> str:
    """As systemd reads it back: its specifiers, variables, quotes and backslashes mean nothing."""
    word = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
