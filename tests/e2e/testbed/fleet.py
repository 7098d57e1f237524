"""A fleet of throwaway hosts in a network of their own."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from tests.e2e.testbed import network, registry
from tests.e2e.testbed.cache import Images, ensure_images
from tests.e2e.testbed.disk import Disk
from tests.e2e.testbed.host import Host, Kind

REPOSITORY = "/srv/repo"


class Fleet:
    """Hosts that can reach each other and nothing else; a context manager that takes them down.

    `name` tells fleets of one machine apart; without one it is random. A `detached` fleet outlives the
    process that made it. Not safe for use by several threads.

    Raises FileExistsError when a fleet of that name is up.
    """

    def __init__(self, name: str | None = None, *, detached: bool = False) -> None:
        self.name = name or secrets.token_hex(4)
        if not re.fullmatch(r"[a-z0-9]{1,16}", self.name):
            raise ValueError(f"a fleet's name is 1 to 16 lower-case letters and digits, not {self.name!r}")
        self._images: Images = ensure_images()
        self._owner: IO[str] | None = registry.register(self.name, detached=detached)
        self._hosts: list[Host] = []
        try:
            self.known_hosts.touch()
            network.create(self.name)
        except BaseException:
            self.down()
            raise

    @classmethod
    def find(cls, name: str) -> Fleet:
        """Return the fleet that an earlier process made detached. Raises LookupError."""
        directory = registry.directory_of(name)
        if not directory.is_dir():
            raise LookupError(f"no fleet {name!r} is up")
        fleet = cls.__new__(cls)
        fleet.name, fleet._images, fleet._owner = name, ensure_images(), None
        records = sorted(directory.glob("*/host.json"), key=lambda path: int(path.parent.name))
        fleet._hosts = [fleet._load(path.parent, json.loads(path.read_text())) for path in records]
        return fleet

    @property
    def directory(self) -> Path:
        """Where the fleet's own files are; removed by `down`."""
        return registry.directory_of(self.name)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The hosts, in order."""
        return tuple(self._hosts)

    @property
    def key(self) -> Path:
        """The private key that every login of every host accepts."""
        return self._images.key

    @property
    def known_hosts(self) -> Path:
        """A known_hosts file with the true keys of all hosts."""
        return self.directory / "known_hosts"

    def up(
        self,
        count: int = 1,
        *,
        kind: Kind = "systemd",
        files: Mapping[str, str] | None = None,
        data: Sequence[str] = (),
        wait: bool = True,
    ) -> list[Host]:
        """Boot `count` more hosts and return them, ready.

        `files` are written to their disks before the first boot, path to content. `data` are directories
        kept outside of the overlay, on the machine's disk (for software that cannot work on an overlay).
        Raises TimeoutError when one does not come up.
        """
        first = len(self._hosts) + 1
        peers = first + count - 1
        added = [self._make(index, kind, peers, files or {}, data) for index in range(first, peers + 1)]
        for host in added:
            host.start()
        self._hosts += added
        if wait:
            for host in added:
                host.wait_ready()
        return added

    def reinstall(self, host: Host) -> None:
        """Put a new machine in the place of a host, and return when it is ready.

        The name and the address stay; the disk, directories of data, network devices, host key and machine-id
        are new ones. `known_hosts` has the new key, as if somebody had accepted it.
        """
        host.netem_clear()
        host.crash()
        network.detach(self.name, host.index)
        network.attach(self.name, host.index)
        shutil.rmtree(host.directory / "disk")
        for outside in host.data:
            shutil.rmtree(outside)
            outside.mkdir()
        self._install(host, len(self._hosts), {})
        host.start()
        host.wait_ready()

    def down(self) -> None:
        """Remove every trace of the fleet. May be called again."""
        registry.dismantle(self.name)
        for host in self._hosts:
            host.reap()
        self._hosts.clear()
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def exec(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine inside the fleet's network.

        `env` is added to this process's environment. Raises TimeoutExpired.
        """
        return subprocess.run(
            self._in_network(argv),
            cwd=cwd,
            env=os.environ | dict(env or {}),
            timeout=timeout,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[str]:
        """Start a program inside the fleet's network; its pid is the program's. `options` are Popen's.

        Use it as a context manager, or close its pipes and wait: what is left open fails a later test.
        """
        environment = os.environ | dict(env or {})
        return subprocess.Popen(self._in_network(argv), cwd=cwd, env=environment, text=True, **options)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Put the calling thread into the fleet's network; threads and sockets made meanwhile stay there."""
        with network.inside(network.namespace_path(self.name)):
            yield

    def ssh(
        self, host: Host, command: str, *, user: str = "root", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command over OpenSSH, as a user of the host would."""
        return self.exec([*self.ssh_argv(host, user=user), command], timeout=timeout)

    def ssh_argv(self, host: Host, *, user: str = "root") -> list[str]:
        """Return the OpenSSH command line that reaches the host from inside the network."""
        options = {
            "UserKnownHostsFile": self.known_hosts,
            "BatchMode": "yes",
            "ConnectTimeout": 5,
            "LogLevel": "ERROR",
        }
        flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "/dev/null", "-i", str(self.key), *flags, f"{user}@{host.address}"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _in_network(self, argv: Sequence[str | Path]) -> list[str | Path]:
        return ["nsenter", f"--net={network.namespace_path(self.name)}", "--", *argv]

    def _make(
        self, index: int, kind: Kind, peers: int, files: Mapping[str, str], data: Sequence[str]
    ) -> Host:
        directory = self.directory / str(index)
        (directory / "root").mkdir(parents=True)
        binds = [f"--bind-ro={self._images.repo}:{REPOSITORY}"]
        for path in data:
            outside = directory / "data" / path.lstrip("/")
            outside.mkdir(parents=True)
            binds.append(f"--bind={outside}:{path}")
        record = {"index": index, "kind": kind, "binds": binds}
        (directory / "host.json").write_text(json.dumps(record))
        host = self._load(directory, record)
        self._install(host, peers, files)
        network.attach(self.name, index)
        return host

    def _install(self, host: Host, peers: int, files: Mapping[str, str]) -> None:
        disk = Disk(host.directory / "disk", host.lower[-1])
        host_key = disk.identify(host.name, host.index, peers, self.key.with_suffix(".pub").read_text())
        disk.place_all(files)
        names = f"{host.address},{host.name} "
        others = [line for line in self.known_hosts.read_text().splitlines() if not line.startswith(names)]
        self.known_hosts.write_text("\n".join([*others, names + host_key]) + "\n")

    def _load(self, directory: Path, record: Mapping[str, Any]) -> Host:
        kind: Kind = record["kind"]
        lower = (self._images.kernel, self._images.base) if kind == "systemd" else (self._images.light,)
        return Host(
            fleet=self.name,
            index=record["index"],
            kind=kind,
            directory=directory,
            lower=lower,
            binds=tuple(record["binds"]),
            key=self.key,
            known_hosts=self.known_hosts,
        )
