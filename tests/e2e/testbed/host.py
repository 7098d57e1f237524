"""One host of a fleet: its power switch, its ground truth, and its wire."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.e2e.testbed import cgroups, manifest, network, sshlog

Kind = Literal["systemd", "busybox"]
_BOOT = Path(__file__).parent / "boot"
_RELAY = Path(__file__).parent / "relay.py"
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


@dataclass
class Host:
    """A host; made by `Fleet.up`, not by hand. Not safe for use by several threads.

    `address` (port 22) is reachable from the fleet's network only. Logins: root and ops (sudo without
    password), opspw (password "secret", also for sudo), nosudo; all take the fleet's key.
    """

    fleet: str
    index: int
    kind: Kind
    directory: Path
    lower: tuple[Path, ...]
    binds: tuple[str, ...] = ()
    key: Path = Path()
    known_hosts: Path = Path()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _relay: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    port = 22

    @property
    def name(self) -> str:
        """The host's own name, "host1" …"""
        return f"host{self.index}"

    @property
    def address(self) -> str:
        """The IPv4 address."""
        return network.address_of(self.index)

    @property
    def init(self) -> int | None:
        """The process id of the host's PID 1 on this machine; None while it is off. New at every boot."""
        try:
            supervisor = int((self.directory / "pid").read_text())
            if supervisor not in cgroups.processes(self._groups()):
                return None
            children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        except (OSError, ValueError):
            return None
        return int(children[0]) if children else None

    # --- power ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Switch on and return at once; `wait_ready` waits. Does nothing when it is on."""
        if self._process is not None and self._process.poll() is None:
            return
        environment = os.environ | {
            "HOST_DIR": str(self.directory),
            "HOST_NAME": self.name,
            "HOST_NETNS": str(network.namespace_path(self.fleet, self.index)),
            "HOST_LOWER": ":".join(str(layer) for layer in self.lower),
            "HOST_CGROUPS": "\n".join(str(group) for group in cgroups.create(self.fleet, str(self.index))),
            "HOST_BINDS": "\n".join(self.binds),
        }
        with (self.directory / "run.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", _BOOT / f"{self.kind}.sh"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def crash(self) -> None:
        """Cut the power: everything in it dies at once. Disk and address stay."""
        init = self.init
        if init is not None:
            os.kill(init, signal.SIGKILL)  # the kernel takes every process of its pid namespace along
        self._wait_off(5)
        cgroups.kill(self._groups())
        self.reap()

    def reboot(self, *, timeout: float = 60) -> None:
        """Restart in an orderly way from the inside, and wait until it is ready again."""
        before = self.init
        self.run("systemctl reboot" if self.kind == "systemd" else "reboot", timeout=timeout)
        if self.kind == "busybox":  # an init alone in its namespace cannot come back by itself
            self._wait_off(timeout)
            self.start()
        self.wait_ready(timeout=timeout, after=before)

    def wait_ready(self, *, timeout: float = 60, after: int | None = None) -> None:
        """Wait until sshd answers, users may log in and the boot has settled.

        `after` is the `init` of an earlier boot, which does not count. Raises TimeoutError with the end
        of the console log.
        """
        deadline = time.monotonic() + timeout
        while not self._is_ready(after):
            if time.monotonic() > deadline:
                console = (self.directory / "console.log").read_text(errors="replace")[-2000:]
                started = (self.directory / "run.log").read_text(errors="replace")[-1000:]
                raise TimeoutError(f"{self.name} is not ready after {timeout} s\n{started}\n{console}")
            time.sleep(0.05)
        if self.kind == "systemd":
            self.run("systemctl is-system-running --wait", timeout=max(1.0, deadline - time.monotonic()))

    # --- ground truth --------------------------------------------------------------------------

    def run(
        self, command: str, *, timeout: float = 60, stdin: str | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root inside the host, past sshd: nothing of it shows in the ssh log.

        Raises RuntimeError when the host is off, TimeoutExpired, and with `check` CalledProcessError.
        """
        init = self.init
        if init is None:
            raise RuntimeError(f"{self.name} is off")
        spaces = ["-m", "-u", "-i", "-n", "-p", "-C"]
        environment = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return subprocess.run(
            ["nsenter", "-t", str(init), *spaces, "--", "env", "-i", *environment, "/bin/sh", "-c", command],
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            check=check,
        )

    def read(self, path: str) -> str | None:
        """Return what a file of the host holds, or None when there is none."""
        done = self.run(f"test -f '{path}' || exit 44; cat '{path}'")
        if done.returncode == 44:
            return None
        done.check_returncode()
        return done.stdout

    @property
    def upper(self) -> Path:
        """The upper directory of the host's overlay root: all that differs from the shared image."""
        return self.directory / "disk/upper"

    def upper_listing(self, *, exclude: Iterable[str] = manifest.VOLATILE) -> tuple[manifest.Entry, ...]:
        """List what the host wrote to its disk; /tmp, /run, /dev and /proc are not part of it."""
        return manifest.listing(self.upper, exclude=exclude)

    def scratch_listing(self) -> tuple[manifest.Entry, ...]:
        """List what lies in the host's /tmp and /dev/shm: in memory, so not in the upper directory."""
        found: list[manifest.Entry] = []
        for directory in ("tmp", "dev/shm"):
            found += manifest.listing(
                Path(f"/proc/{self.init}/root") / directory, exclude=("systemd-private-*",)
            )
        return tuple(found)

    def ssh_activity(self) -> sshlog.SshActivity:
        """Count what reached the host's sshd so far, over all boots; includes `Fleet.up`'s own looks."""
        log = self.upper / "var/log/sshd.log"
        return sshlog.parse(log.read_text(errors="replace") if log.exists() else "")

    def sshd_accepted_connections(self) -> int:
        """Count the authenticated connections so far."""
        return self.ssh_activity().accepted

    # --- the wire ------------------------------------------------------------------------------

    def netem(self, *, delay_ms: float = 0, jitter_ms: float = 0, loss: float = 0) -> None:
        """Make the wire slow or lossy, each way: a delay of 50 is a round trip of 100. Replaces the last.

        `loss` is the fraction of frames that vanish, 0 to 1.
        """
        self.netem_clear()
        port, near, far = f"p{self.index}", f"n{self.index}", f"f{self.index}"
        space = network.namespace_path(self.fleet)
        network.ip_batch(
            space.name,
            f"link set {port} nomaster",
            f"link add {near} type veth peer name {far}",
            f"link set {far} master br0 up",
            f"link set {near} up",
        )
        numbers = [str(delay_ms / 1000), str(jitter_ms / 1000), str(loss)]
        self._relay = subprocess.Popen(
            ["nsenter", f"--net={space}", sys.executable, _RELAY, port, near, *numbers],
            stdin=subprocess.DEVNULL,
        )
        for group in cgroups.create(self.fleet, "wires"):
            (group / "cgroup.procs").write_text(str(self._relay.pid))

    def netem_clear(self) -> None:
        """Mend the wire."""
        if self._relay is None:
            return
        self._relay.kill()
        self._relay.wait()
        self._relay = None
        space = network.namespace_path(self.fleet).name
        network.ip_batch(space, f"link del n{self.index}", f"link set p{self.index} master br0")

    def disconnect(self) -> None:
        """Pull the cable: nothing answers, and connections that are open hang."""
        network.ip("-n", network.namespace_path(self.fleet).name, "link", "set", f"p{self.index}", "down")

    def reconnect(self) -> None:
        """Put the cable back."""
        network.ip("-n", network.namespace_path(self.fleet).name, "link", "set", f"p{self.index}", "up")

    # --- used by the fleet -----------------------------------------------------------------------

    @property
    def data(self) -> tuple[Path, ...]:
        """The directories on this machine's disk that the host has instead of a part of its overlay."""
        found = (bind.removeprefix("--bind=") for bind in self.binds if bind.startswith("--bind="))
        return tuple(Path(bind.partition(":")[0]) for bind in found)

    def reap(self) -> None:
        """Wait for the processes started here, which have been killed."""
        for process in (self._process, self._relay):
            if process is not None:
                process.wait()
        self._process = self._relay = None

    def _groups(self) -> list[Path]:
        return [own / f"kubexms-{self.fleet}" / str(self.index) for own in cgroups.own_directories()]

    def _is_ready(self, after: int | None) -> bool:
        init = self.init
        if init is None or init == after:
            return False
        try:
            with (
                network.inside(network.namespace_path(self.fleet)),
                socket.create_connection((self.address, self.port), timeout=1) as connection,
            ):
                if not connection.recv(64).startswith(b"SSH-"):
                    return False
        except OSError:
            return False
        return not Path(f"/proc/{init}/root/run/nologin").exists()

    def _wait_off(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while cgroups.processes(self._groups()) and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._process is not None and not cgroups.processes(self._groups()):
            self._process.wait()
