"""Counting what reached a host's sshd, from the log it writes at level DEBUG1."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACCEPTED = re.compile(r"^Accepted \S+ for (?P<user>\S+) from ", re.MULTILINE)
_CONNECTION = re.compile(r"^Connection from \S+ port \d+", re.MULTILINE)
_CHANNEL = re.compile(r"server_input_channel_open: ctype session ", re.MULTILINE)
_COMMAND = re.compile(r"^Starting session: command ", re.MULTILINE)
_SUBSYSTEM = re.compile(r"^Starting session: subsystem ", re.MULTILINE)
_SHELL = re.compile(r"^Starting session: shell ", re.MULTILINE)


@dataclass(frozen=True)
class SshActivity:
    """Totals since the host was made; subtract an earlier one to get what happened between.

    `connections` counts TCP connections (also those that are only looked at), `accepted` those that
    authenticated, `channels` the session channels opened in them, `commands`, `shells` and `subsystems`
    what was started in those.
    """

    connections: int = 0
    accepted: int = 0
    channels: int = 0
    commands: int = 0
    shells: int = 0
    subsystems: int = 0

    def __sub__(self, earlier: SshActivity) -> SshActivity:
        return SshActivity(
            connections=self.connections - earlier.connections,
            accepted=self.accepted - earlier.accepted,
            channels=self.channels - earlier.channels,
            commands=self.commands - earlier.commands,
            shells=self.shells - earlier.shells,
            subsystems=self.subsystems - earlier.subsystems,
        )


def parse(log: str) -> SshActivity:
    """Count the events in the text of an sshd log."""
    return SshActivity(
        connections=len(_CONNECTION.findall(log)),
        accepted=len(_ACCEPTED.findall(log)),
        channels=len(_CHANNEL.findall(log)),
        commands=len(_COMMAND.findall(log)),
        shells=len(_SHELL.findall(log)),
        subsystems=len(_SUBSYSTEM.findall(log)),
    )
