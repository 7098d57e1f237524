"""Where the suite runs: a local shell of each kind, and a real sshd on the loopback interface."""

from __future__ import annotations

import getpass
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kubexms.runtime.connect import open_connection, open_readonly
from kubexms.runtime.protocol import (
    Action,
    Answer,
    Claim,
    Connection,
    Exchange,
    Fragment,
    Outcome,
    Payload,
    ReadOnlyConnection,
    RunIdentity,
)
from kubexms.runtime.target import HostTarget

SHELLS = ("dash", "bash", "busybox")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root: namespaces and other users")


def eventually(condition: Callable[[], bool], *, within: float = 10.0) -> bool:
    """Wait until a condition holds; False if it does not in time."""
    limit = time.monotonic() + within
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True


def run_identity(run: str = "run-1") -> RunIdentity:
    return RunIdentity(run=run, actor="tester", plan_digest="0" * 8, lineage="line-1")


def shell_path(shell: str, directory: Path) -> str:
    """A PATH on which `sh` is that shell; for busybox every applet comes first."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    place = directory / shell
    if not place.exists():
        place.mkdir(parents=True)
        if shell == "busybox":
            subprocess.run(["busybox", "--install", "-s", str(place)], check=True)
        (place / "sh").unlink(missing_ok=True)
        (place / "sh").symlink_to(shutil.which(shell) or shell)
    return f"{place}:{SYSTEM_PATH}"


@dataclass
class Place:
    """A host of the suite. Every connection it opens is closed at the end of the test."""

    name: str
    target: HostTarget
    root: Path
    """Scratch space of one test."""
    state: Path
    """Where the host keeps what kubexms needs there."""
    opened: list[Connection | ReadOnlyConnection] = field(default_factory=list)

    def reader(self) -> ReadOnlyConnection:
        connection = open_readonly(self.target)
        self.opened.append(connection)
        return connection

    def connection(self, **changes: object) -> Connection:
        connection = open_connection(replace(self.target, **changes))  # type: ignore[arg-type]
        self.opened.append(connection)
        return connection

    def begun(self, run: str = "run-1") -> Connection:
        """A connection that holds the host."""
        connection = self.connection()
        connection.begin(run_identity(run), wait=0.0)
        return connection

    def ask(self, *fragments: Fragment, deadline: float = 30.0) -> tuple[Answer, ...]:
        return self.reader().ask(fragments, deadline=deadline).answers

    def close(self) -> None:
        for connection in self.opened:
            connection.close()
        self.opened.clear()

    def environment(self, **values: str) -> Place:
        """The same place with more in the environment; local places only."""
        merged = {**self.target.environment, **values}
        return replace(self, target=replace(self.target, environment=merged), opened=self.opened)


def act(
    connection: Connection,
    script: str,
    *,
    probe: tuple[Fragment, ...] = (),
    payloads: dict[str, Payload] | None = None,
    backup: tuple[str, ...] = (),
    timeout: float = 30.0,
    user: str | None = None,
    expect: str | None = None,
    verify: bool = True,
    store: str = "",
    claim: Claim | None = None,
    expect_disconnect: bool = False,
) -> Outcome:
    action = Action(script, payloads or {}, backup, user, timeout, expect_disconnect)
    return connection.act(Exchange("a/b/c@h", probe, action, expect, verify, store, claim))


_numbers = itertools.count()


def long_sleep() -> str:
    """A command that sleeps, and that no other test or process of tests has on its command line.

    Who waits for its end waits longer than a test may take.
    """
    return f"sleep 98765.{os.getpid()}{next(_numbers):03d}"


def running(text: str) -> list[int]:
    """Processes of this machine whose command line holds the words of `text`; no zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if text.replace(" ", "\0").encode() in line:
            found.append(int(entry.name))
    return found


@dataclass(frozen=True)
class Sshd:
    """A running sshd, for the current user only."""

    port: int
    directory: Path
    state: Path

    @property
    def user_key(self) -> Path:
        return self.directory / "user"

    def target(self, **changes: object) -> HostTarget:
        target = HostTarget(
            "h1",
            address="127.0.0.1",
            port=self.port,
            user=getpass.getuser(),
            identity_files=(str(self.user_key),),
            ssh_config=Path("/dev/null"),
            known_hosts=self.directory / "known_hosts",
            connect_timeout=20.0,
        )
        return replace(target, **changes)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, *options: str) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path), *options]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@contextmanager
def sshd_running(directory: Path, path: str, *lines: str) -> Iterator[Sshd]:
    """An sshd on a free port of the loopback interface, with keys of its own."""
    binary = shutil.which("sshd", path=SYSTEM_PATH)
    if binary is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed")
    if Path(pwd.getpwuid(os.geteuid()).pw_shell).name in ("nologin", "false"):
        pytest.skip("this user has no login shell, which sshd needs to run anything")
    if IS_ROOT:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    make_key(directory / "host")
    make_key(directory / "user")
    shutil.copy(directory / "user.pub", directory / "authorized")
    port = free_port()
    words = (directory / "host.pub").read_text().split()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {words[0]} {words[1]}\n")
    state = directory / "state"
    settings = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {directory}/host",
        f"AuthorizedKeysFile {directory}/authorized",
        f"PidFile {directory}/pid",
        "StrictModes no",
        # without PAM sshd takes an account without a password for locked, unless it is root that asks
        f"UsePAM {'no' if IS_ROOT else 'yes'}",
        "PasswordAuthentication no",
        "MaxStartups 100",
        f"SetEnv PATH={path} KUBEXMS_HOST_STATE={state}",
        *lines,
    ]
    (directory / "sshd_config").write_text("\n".join(settings) + "\n")
    log = (directory / "log").open("wb")
    server = subprocess.Popen([binary, "-D", "-e", "-f", str(directory / "sshd_config")], stderr=log)
    try:
        if not eventually(lambda: _listens(port) or server.poll() is not None) or server.poll() is not None:
            pytest.skip(f"sshd does not start: {(directory / 'log').read_text()[-300:]}")
        yield Sshd(port, directory, state)
    finally:
        server.terminate()
        server.wait(10.0)
        log.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
