"""What was found out once is not found out again while it cannot be otherwise: on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.unit.services.here import Here

DATA = bytes(8 << 20)
"""As much as is worth remembering."""
_SUM = '#!/bin/sh\n[ "$#" -lt 2 ] || echo "$*" >>{log}\nexec {tool} "$@"\n'


@pytest.fixture
def read(here: Here, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of all that is hashed. The file `large` is there as its step wants it, and applied."""
    programs, log = here.root / "bin", here.root / "log"
    programs.mkdir()
    for name in ("openssl", "sha256sum"):
        (programs / name).write_text(_SUM.format(log=log, tool=shutil.which(name)))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (here.root / "source").write_bytes(DATA)
    here.steps(
        {
            "name": "large",
            "kind": "download",
            "path": str(here.files / "large"),
            "source": str(here.root / "source"),
            "sha256": hashlib.sha256(DATA).hexdigest(),
        }
    )
    here.apply()
    log.write_text("")
    return log


def test_bytes_that_nobody_has_touched_are_not_read_again(here: Here, read: Path) -> None:
    assert here.is_right()
    assert str(here.files / "large") not in read.read_text()


def test_other_bytes_are_seen_whatever_their_times_say(here: Here, read: Path) -> None:
    large = here.files / "large"
    before = large.stat()
    with large.open("r+b") as stream:
        stream.write(b"x")
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert large.stat().st_mtime_ns == before.st_mtime_ns
    assert not here.is_right()


def test_another_file_in_its_place_is_read(here: Here, read: Path) -> None:
    large = here.files / "large"
    new = here.files / "new"
    new.write_bytes(DATA[:-1] + b"x")
    new.rename(large)
    assert not here.is_right()
    here.apply()
    assert large.read_bytes() == DATA


def test_an_apply_with_nothing_to_do_remembers_it_anew(here: Here, read: Path) -> None:
    large = here.files / "large"
    large.touch()
    assert here.is_right()
    assert str(large) in read.read_text()
    assert here.apply().statuses == []
    read.write_text("")
    assert here.is_right()
    assert str(large) not in read.read_text()


def test_another_digest_in_the_documents_counts(here: Here, read: Path) -> None:
    other = b"x" + DATA[1:]
    (here.root / "source").write_bytes(other)
    digest = hashlib.sha256(other).hexdigest()
    document = (here.root / "Pipeline.json").read_text()
    (here.root / "Pipeline.json").write_text(document.replace(hashlib.sha256(DATA).hexdigest(), digest))
    assert not here.is_right()
    here.apply()
    assert (here.files / "large").read_bytes() == other
    read.write_text("")
    assert here.is_right()
    assert str(here.files / "large") not in read.read_text()
