"""The store that the API servers keep everything in, and copies of it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.values import Arguments

Sha256 = Annotated[str, Field(pattern=r"^(sha256:)?[0-9a-fA-F]{64}$")]


def _schedule(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9*][A-Za-z0-9 *:./,~_+-]*", value) is None:
        raise PydanticCustomError(
            "schedule", "'{value}' is no time that systemd knows: 'daily', '*-*-* 03:00:00'", {"value": value}
        )
    return value


def _directory(value: str) -> str:
    if re.fullmatch(r"(/[A-Za-z0-9_][A-Za-z0-9._@+-]*){2,}", value) is None:
        raise PydanticCustomError(
            "backup_directory",
            "'{value}' is no place for snapshots: give an absolute path of at least two names, made of "
            "letters, digits and '._@+-'",
            {"value": value},
        )
    return value


class EtcdBackupSpec(FrozenModel):
    """Snapshots of etcd, taken by every member's host of its own member, each checked before it counts.

    A snapshot holds every Secret of the cluster: its file is readable by root alone. It stays on the host;
    copy it elsewhere too. Files of the directory that are not snapshots of these names are left alone.
    """

    schedule: Annotated[str, AfterValidator(_schedule)] = Field(default="daily", max_length=200)
    """When, as systemd's timers say it (`man systemd.time`): `daily`, `*-*-* 00/6:00:00`."""
    directory: Annotated[str, AfterValidator(_directory)] = Field(default="/var/backups/etcd", max_length=200)
    """Where on these hosts. At least two levels below the root."""
    keep: int = Field(default=7, ge=1, le=1000)
    """How many snapshots stay. Older ones go when a new one is complete, never before."""


class EtcdRestoreSpec(FrozenModel):
    """A snapshot that etcd's data is to come from: everything that happened in the cluster since is lost.

    It happens once. Leave it in the document or take it out afterwards: neither does anything.
    """

    snapshot: str = Field(min_length=1)
    """The snapshot on the machine that runs kubexms, relative to this document."""
    sha256: Sha256
    """Its SHA-256 digest in hexadecimal."""
    attempt: int = Field(default=1, ge=1)
    """Another number restores the same snapshot once more."""


class EtcdSpec(FrozenModel):
    """etcd: a member on every control plane, or on hosts of its own."""

    type: Literal["stacked", "external"] = "stacked"
    """`stacked`: every control plane has a member. `external`: the hosts with the role `etcd` have one each,
    as a systemd unit with programs from the artifacts, and are no nodes. Cannot change later."""
    extra_args: Arguments = Field(default_factory=dict)
    """Flags without their dashes: `{heartbeat-interval: "500", election-timeout: "5000"}` for slow disks. A
    change restarts the members, one at a time."""
    backup: EtcdBackupSpec | None = None
    """Snapshots at set times. Default: none."""
    restore: EtcdRestoreSpec | None = None
    """Bring etcd back to a snapshot."""

    @property
    def external(self) -> bool:
        """Whether it is on hosts of its own."""
        return self.type == "external"
