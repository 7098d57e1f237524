"""A machine that is only as deep as kinds look: its own file tree, mounts, host name and kernel files.

An overlay over this machine's root, entered by chroot in namespaces of its own, so that the real
useradd, apt and mount work on it. What lies in /proc/sys, /proc/swaps and /sys/module is made up;
`modprobe`, `swapon` and `swapoff` are stand-ins that write there (busybox's sh never runs them: it
takes its own applets, which reach the real kernel). systemd does not run in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.steps.sandbox import PATIENCE, Sandbox, applets

_SETUP = """\
set -e
cd "$1"
mkdir upper work tree sys bin
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" tree
mount -t proc proc tree/proc
mkdir -p sys/kernel sys/net/ipv4 sys/vm
echo before >sys/kernel/hostname
echo 0 >sys/net/ipv4/ip_forward
printf '4096\\t131072\\t6291456\\n' >sys/net/ipv4/tcp_rmem
echo 65530 >sys/vm/max_map_count
mount --bind sys tree/proc/sys
printf 'Filename\\tType\\tSize\\tUsed\\tPriority\\n' >swaps
mount --bind swaps tree/proc/swaps
mount --rbind /dev tree/dev
mount -t tmpfs tmpfs tree/sys
mount -t tmpfs tmpfs tree/run
mkdir -p tree/sys/module tree/lib/modules/"$(uname -r)"
: >tree/lib/modules/"$(uname -r)"/modules.builtin
mkdir -p "tree$1"
mount --bind "$1" "tree$1"
cat >bin/modprobe <<'END'
#!/bin/sh
case $1 in
  -r) rmdir "/sys/module/$2" ;;
  nothing) echo "modprobe: FATAL: Module nothing not found" >&2; exit 1 ;;
  *) mkdir -p "/sys/module/$1" ;;
esac
END
printf '#!/bin/sh\\nh=$(head -n 1 %s)\\necho "$h" >%s\\n' "$1/swaps" "$1/swaps" >bin/swapoff
printf '#!/bin/sh\\necho "$1 file 1 0 -2" >>%s\\n' "$1/swaps" >bin/swapon
chmod 755 bin/*
: >ready
exec sleep 7200
"""


@dataclass
class Machine(Sandbox):
    """A sandbox whose scripts see the whole tree as theirs."""

    pid: int = 0

    @property
    def tree(self) -> Path:
        """The machine's `/`, as seen from inside its namespaces only."""
        return self.root / "tree"

    def _run(
        self, script: str, extra: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        path = f"{self.root}/bin:" + (f"{applets()}:" if self.shell == "busybox" else "") + os.environ["PATH"]
        env = {"PATH": path, "LC_ALL": "C", "HOME": "/root", **self.environment, **extra}
        program = self.root / ".kubexms-program"
        program.write_bytes(script.encode("utf-8", "surrogateescape"))
        return subprocess.run(
            [*self._inside(), *self._argv(), str(program)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=env,
            timeout=timeout,
        )

    def _inside(self) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "--mount", "--uts", "chroot", str(self.tree)]

    def sh(self, script: str) -> str:
        """What the machine's owner does to it; the output. Fails the test if that fails."""
        done = self._run(script, {}, PATIENCE)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


def missing() -> str | None:
    """Why there can be no machine here, or None."""
    if os.geteuid() != 0:
        return "needs root: an overlay, namespaces and chroot"
    absent = [tool for tool in ("unshare", "nsenter", "chroot", "mount") if shutil.which(tool) is None]
    return f"needs {', '.join(absent)}" if absent else None


@contextmanager
def machine(shell: str, root: Path) -> Iterator[Machine]:
    """A fresh machine below `root`; skips the test with the reason where that is impossible."""
    if reason := missing():
        pytest.skip(reason)
    if shell == "busybox":
        applets()  # what appears below an overlay after it was mounted may stay invisible in it
    holder = subprocess.Popen(
        ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", _SETUP, "sh", str(root)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 300
        while not (root / "ready").exists():
            if holder.poll() is not None or time.monotonic() > until:
                holder.kill()
                said = holder.communicate()[1].decode()
                pytest.skip(f"no overlay below {root}: {said.strip()}")
            time.sleep(0.01)
        yield Machine(shell, root, pid=holder.pid)
    finally:
        holder.kill()
        holder.communicate()
