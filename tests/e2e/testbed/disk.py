"""The disk that a host starts from: what differs from the shared image, written into its upper directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.testbed.network import GATEWAY, address_of

LOGINS = ("root", "ops", "opspw", "nosudo")


class Disk:
    """Prepares `directory`/{upper,work} over the image `lower`."""

    def __init__(self, directory: Path, lower: Path) -> None:
        self._lower = lower
        self.upper = directory / "upper"
        (directory / "work").mkdir(parents=True)
        self.upper.mkdir()
        shutil.copystat(lower, self.upper)

    def identify(self, name: str, index: int, peers: int, public_key: str) -> str:
        """Give the host its name, keys and neighbours; return its public host key ("ssh-ed25519 AAAA…")."""
        for login, (uid, gid, home) in self._accounts().items():
            if login in LOGINS:
                self.place(f"{home}/.ssh/authorized_keys", public_key, mode=0o600, owner=(uid, gid))
                self._inside(f"{home}/.ssh").chmod(0o700)
                os.chown(self._inside(f"{home}/.ssh"), uid, gid)
        self.place("/etc/hostname", f"{name}\n")
        self.place("/etc/resolv.conf", f"nameserver {GATEWAY}\n")  # nobody there: look-ups fail at once
        neighbours = [f"{address_of(i)} host{i}" for i in range(1, max(peers, index) + 1)]
        self.place("/etc/hosts", "\n".join(["127.0.0.1 localhost", "::1 localhost", *neighbours]) + "\n")
        host_key = self._inside("/etc/ssh/ssh_host_ed25519_key")
        self._make_directories(host_key)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", host_key], check=True
        )
        return " ".join(host_key.with_suffix(".pub").read_text().split()[:2])

    def place(self, path: str, content: str, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
        """Write a file; the directories above it get the metadata that they have in the image."""
        target = self._inside(path)
        self._make_directories(target)
        target.write_text(content)
        target.chmod(mode)
        os.chown(target, *owner)

    def place_all(self, files: Mapping[str, str]) -> None:
        """Write several files, each root's and 0644."""
        for path, content in files.items():
            self.place(path, content)

    def _make_directories(self, target: Path) -> None:
        for directory in reversed(target.relative_to(self.upper).parents):
            made, original = self.upper / directory, self._lower / directory
            if not made.exists():
                made.mkdir()
                if original.is_dir():
                    shutil.copystat(original, made)
                    os.chown(made, original.stat().st_uid, original.stat().st_gid)

    def _inside(self, path: str) -> Path:
        return self.upper / path.lstrip("/")

    def _accounts(self) -> dict[str, tuple[int, int, str]]:
        lines = (self._lower / "etc/passwd").read_text().splitlines()
        fields = [line.split(":") for line in lines]
        return {name: (int(uid), int(gid), home) for name, _, uid, gid, _, home, _ in fields}
