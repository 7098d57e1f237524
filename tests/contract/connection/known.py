"""Host keys and the files that know them."""

from __future__ import annotations

from pathlib import Path

from kubexms.runtime.connect import open_readonly
from kubexms.runtime.protocol import Fragment, Record
from kubexms.runtime.target import HostTarget
from tests.contract.connection.places import Sshd


def asks(target: HostTarget) -> bool:
    connection = open_readonly(target)
    try:
        return connection.ask([Fragment("emit 0 x")], deadline=30.0).answers[0].records == (Record(0, b"x"),)
    finally:
        connection.close()


def host_key(sshd: Sshd) -> str:
    return " ".join((sshd.directory / "host.pub").read_text().split()[:2])


def known(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
