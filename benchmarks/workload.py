"""The configuration that every tool brings about, as data that belongs to none of them."""

from __future__ import annotations

from dataclasses import dataclass

ROOT = "/srv/bench"
PACKAGES = (
    "hello", "tree", "jq", "cowsay", "socat", "conntrack", "ipset", "ethtool", "rsync", "logrotate",
)  # fmt: skip
"""In the local repository of the throwaway hosts, and not on their disks."""

_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=60"
RESET = (
    f"rm -rf {ROOT} /var/lib/kubexms /etc/bench; {_APT} purge {' '.join(PACKAGES)} >/dev/null 2>&1; "
    f"{_APT} autoremove --purge >/dev/null 2>&1; true"
)
"""Shell that makes a host as it was, whichever tool was there."""


def by_hand(packages: int) -> str:
    """Shell that installs so many of the packages in one go: no tool that runs apt can be quicker."""
    return f"{_APT} install {' '.join(PACKAGES[:packages])}"


@dataclass(frozen=True)
class Workload:
    """So many steps of each sort."""

    files: int
    directories: int
    lines: int
    packages: int
    commands: int

    @property
    def steps(self) -> int:
        """All of them."""
        return self.files + self.directories + self.lines + self.packages + self.commands

    def directory(self, number: int) -> str:
        """A directory's path."""
        return f"{ROOT}/d{number}"

    def file(self, number: int) -> tuple[str, str]:
        """A file's path and its text."""
        home = self.directory(number % self.directories)
        return f"{home}/f{number}.conf", "".join(f"option_{i} = {number}\n" for i in range(10))

    def line(self, number: int) -> tuple[str, str]:
        """A line's file and its text. All lines are in one file of their own."""
        return f"{ROOT}/lines.conf", f"setting_{number} = on"

    def command(self, number: int) -> tuple[str, str]:
        """What a guarded command runs, and the path that it creates."""
        path = f"{ROOT}/made-{number}"
        return f"echo {number} > {path}", path


STANDARD = Workload(files=50, directories=20, lines=10, packages=10, commands=10)
"""The 100 steps that tools are compared by."""


def sized(steps: int) -> Workload:
    """The same mixture with another number of steps. There are only ten packages to be had."""
    packages = min(len(PACKAGES), steps // 10)
    lines = steps // 10
    directories = steps // 5
    files = steps // 2
    return Workload(files, directories, lines, packages, steps - files - directories - lines - packages)


QUICK = sized(20)
"""For a quick look at whether the benchmark itself works."""
