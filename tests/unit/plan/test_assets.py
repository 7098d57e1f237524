"""Digests of controller files: kept where reading them takes long, and never for other bytes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from kubexms.errors import ConfigError
from kubexms.plan.assets import Assets, cache_file

DATA = bytes(8 << 20)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that is worth it."""
    path = tmp_path / "large"
    path.write_bytes(DATA)
    return path


def later() -> int:
    """The time when what is written now is settled."""
    return time.time_ns() + 10_000_000_000


def kept(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "kubexms" / "digests.json"


def digest(path: Path) -> str:
    """As the next run finds it."""
    return Assets(kept(path.parent), clock=later).get(path.parent, path.name).sha256


def pretend(path: Path) -> None:
    """Every digest that is kept is another one: whoever says it has not read the bytes."""
    known = json.loads(kept(path.parent).read_text())
    kept(path.parent).write_text(json.dumps({name: [stamp, "a" * 64] for name, (stamp, _) in known.items()}))


def test_it_is_read_once(large: Path) -> None:
    assert digest(large) == DIGEST
    assert kept(large.parent).stat().st_mode & 0o777 == 0o600
    pretend(large)
    assert digest(large) == "a" * 64
    assert [path.name for path in kept(large.parent).parent.iterdir()] == ["digests.json"]


def test_other_bytes_are_read_whatever_their_time_says(large: Path) -> None:
    digest(large)
    pretend(large)
    before = large.stat()
    with large.open("r+b") as stream:
        stream.write(b"x")
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest(large) == hashlib.sha256(b"x" + DATA[1:]).hexdigest()


def test_another_file_of_that_name_is_read(large: Path) -> None:
    digest(large)
    pretend(large)
    new = large.with_name("new")
    new.write_bytes(DATA)
    new.rename(large)
    assert digest(large) == DIGEST


def test_what_has_just_changed_is_not_kept(large: Path) -> None:
    assert Assets(kept(large.parent)).get(large.parent, "large").sha256 == DIGEST
    assert not kept(large.parent).exists()


def test_small_files_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    assert digest(tmp_path / "small") == hashlib.sha256(b"x").hexdigest()
    assert not kept(tmp_path).exists()


@pytest.mark.parametrize("text", ["", "[]", '{"PATH": 1}', '{"PATH": ["STAMP", "x"]}', '{"PATH": ["STAMP"]}'])
def test_what_is_kept_may_be_anything(large: Path, text: str) -> None:
    digest(large)
    (stamp, _) = json.loads(kept(large.parent).read_text())[str(large)]
    kept(large.parent).write_text(text.replace("PATH", str(large)).replace("STAMP", stamp))
    assert digest(large) == DIGEST


def test_it_need_not_be_possible_to_keep_it(large: Path) -> None:
    (large.parent / "cache").write_text("a file")
    assert digest(large) == DIGEST
    with pytest.raises(ConfigError, match="cannot read the controller file"):
        Assets(kept(large.parent)).get(large.parent, "missing")


def test_where_it_is_kept() -> None:
    assert cache_file({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/kubexms/digests.json")
    assert cache_file({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/kubexms/digests.json")
    assert cache_file({}) is None
