"""`make demo` keeps its promises, tells when it cannot, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples/demo.sh"


def run(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the tour with the interpreter of these tests."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "kubexms").write_text(f'#!/bin/sh\nexec {sys.executable} -m kubexms "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(scratch),
    }
    done = subprocess.run(
        ["bash", DEMO],
        cwd=ROOT,
        env=environment | env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert list(scratch.iterdir()) == []
    return done


def test_tour_over_ssh_too(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("No changes. Your infrastructure matches the configuration.") == 2
    assert done.stdout.count("The hosts are as they were.") == 2


def test_fails_when_a_stage_is_not_as_promised(tmp_path: Path) -> None:
    (tmp_path / "bin2").mkdir()
    liar = tmp_path / "bin2/kubexms"
    liar.write_text('#!/bin/sh\necho "Apply complete!"\nexit 2\n')
    liar.chmod(0o755)
    done = subprocess.run(
        ["bash", DEMO],
        env=os.environ | {"PATH": f"{tmp_path / 'bin2'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "The demonstration failed: apply: exit code 2 instead of 0" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root away, so needs it")
def test_says_why_it_skips_hosts(tmp_path: Path) -> None:
    done = run(tmp_path, PATH=f"{tmp_path / 'bin'}:{_without(tmp_path, 'systemd-nspawn')}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: " in done.stdout


def _without(tmp_path: Path, program: str) -> str:
    """A directory with every program of PATH but one."""
    directory = tmp_path / "most"
    directory.mkdir()
    for place in os.environ["PATH"].split(":"):
        for path in Path(place).glob("*"):
            link = directory / path.name
            if path.name != program and not link.is_symlink():
                link.symlink_to(path)
    return str(directory)
