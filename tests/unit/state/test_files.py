"""The state's files: when they come to be, who may read them, what happens to damaged ones."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from kubexms.errors import StateError, StateVersionError
from kubexms.state.backup import KEPT, back_up
from kubexms.state.document import read_document
from kubexms.state.model import STATE_VERSION, LockInfo, StepState
from kubexms.state.schema import Migration
from kubexms.state.store import SqlStore

NOW = datetime(2030, 1, 2, tzinfo=UTC)


def info() -> LockInfo:
    return LockInfo(id="1", operation="apply", who="ann", created=NOW, pid=os.getpid())


def step(address: str) -> StepState:
    return StepState(address=address, kind="file", spec={"path": "/x"}, spec_digest="v1:0")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state"


@pytest.fixture
def store(directory: Path) -> Iterator[SqlStore]:
    store = SqlStore(directory, "prod")
    yield store
    store.close()


def fill(store: SqlStore, *names: str) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step(f"m/t/{name}@n1") for name in names])


def test_reading_a_fresh_project_makes_nothing(store: SqlStore, directory: Path) -> None:
    store.meta()
    store.key()
    store.snapshot()
    store.runs()
    store.pull()
    with pytest.raises(StateError):
        store.run("a")
    assert not directory.exists()


def test_only_the_owner_reads(store: SqlStore, directory: Path) -> None:
    os.umask(os.umask(0))
    fill(store, "s")
    fill(store, "r")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {path.name.split(".")[0] for path in files} == {"prod"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_draft_is_never_left_behind(store: SqlStore, directory: Path) -> None:
    store.ensure()
    store.ensure()
    assert [path.name for path in directory.iterdir()] == ["prod.db"]


def test_two_first_writers_agree_on_one_state(directory: Path) -> None:
    first, second = SqlStore(directory, "prod"), SqlStore(directory, "prod")
    assert first.meta().lineage != second.meta().lineage
    fill(first, "a")
    fill(second, "b")
    assert first.meta() == second.meta()
    assert first.key() == second.key()
    assert set(first.snapshot().steps) == {"m/t/a@n1", "m/t/b@n1"}
    first.close()
    second.close()


def test_ten_backups_are_kept(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    for minute in range(KEPT + 3):
        back_up(directory / "prod.db", now=NOW + timedelta(minutes=minute))
    names = sorted(path.name for path in (directory / "backups").iterdir())
    assert len(names) == KEPT
    assert names[-1] == "prod.20300102T001200.000000.db"


def test_a_backup_holds_what_was_there_before(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    fill(store, "r")
    (backup,) = (directory / "backups").iterdir()
    old = SqlStore(backup.parent, backup.stem)
    assert set(old.snapshot().steps) == {"m/t/s@n1"}
    assert old.meta().lineage == store.meta().lineage


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + b"\0" * 200])
def test_damaged_files_are_said_to_be_and_left_alone(store: SqlStore, directory: Path, damage: bytes) -> None:
    directory.mkdir(parents=True)
    path = directory / "prod.db"
    path.write_bytes(damage)
    with pytest.raises(StateError) as caught:
        store.snapshot()
    assert "damaged" in str(caught.value)
    assert "backups" in caught.value.detail
    with pytest.raises(StateError, match="damaged"), store.lock(info(), timeout=0):
        pass
    with pytest.raises(StateError, match="damaged"):
        store.push({**SqlStore(directory, "other").pull()}, force=True)
    assert path.read_bytes() == damage
    assert not (directory / "backups").exists()


def test_a_page_overwritten_in_the_middle(store: SqlStore, directory: Path) -> None:
    fill(store, *(f"s{number}" for number in range(500)))
    store.close()
    path = directory / "prod.db"
    data = bytearray(path.read_bytes())
    data[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(data)
    with pytest.raises(StateError, match="damaged"):
        store.snapshot()


def test_a_row_that_is_no_model(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    store.close()
    with sqlite3.connect(directory / "prod.db") as connection:
        connection.execute("UPDATE steps SET data = '{\"address\": 1}'")
    connection.close()
    with pytest.raises(StateError, match="damaged: a StepState"):
        store.snapshot()


def test_another_programs_database_is_refused(store: SqlStore, directory: Path) -> None:
    directory.mkdir(parents=True)
    with sqlite3.connect(directory / "prod.db") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(StateError, match="holds no state"), store.lock(info(), timeout=0):
        pass


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqlStore(tmp_path / "file" / "state", "prod")
    assert store.snapshot().steps == {}
    with pytest.raises(StateError, match="cannot make"), store.lock(info(), timeout=0):
        pass


READ_ONLY = """
import sys
from pathlib import Path
from kubexms.errors import StateError
from kubexms.state.store import SqlStore
from tests.unit.state.test_files import info
store = SqlStore(Path(sys.argv[1]), "prod")
print(*store.snapshot().steps)
try:
    with store.lock(info(), timeout=0):
        print("locked")
except StateError as error:
    print(error)
"""
WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
"""Root writes everywhere, unless it is a root without capabilities."""


def test_a_read_only_directory_can_be_read(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    store.close()
    directory.chmod(0o500)
    try:
        done = subprocess.run(
            [*WITHOUT_ROOTS_RIGHTS, sys.executable, "-c", READ_ONLY, str(directory)],
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        directory.chmod(0o700)
    assert done.returncode == 0, done.stderr
    steps, said = done.stdout.splitlines()
    assert steps == "m/t/s@n1"
    assert said.startswith("cannot")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from kubexms.errors import StateError
from kubexms.state.store import SqlStore
from tests.unit.state.test_files import fill, info, step
store = SqlStore(Path(sys.argv[1]), "prod")
fill(store, "s")
store.meta()
with store.lock(info(), timeout=0) as writer:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    try:
        for number in range(10_000):
            writer.put_steps([step(f"m/t/{'x' * 500}{number}@n1")])
    except StateError as error:
        print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.put_steps([step("m/t/after@n1")])
print(len(store.snapshot().steps) == number + 2)
"""


def test_a_full_disk_is_said_and_survived(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(directory)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    said, whole = done.stdout.splitlines()
    assert said.startswith("cannot use the state")
    assert whole == "True"


# versions -----------------------------------------------------------------------------------------


def older(directory: Path) -> None:
    """Turn a state into one of an earlier layout, in which steps were called things."""
    with sqlite3.connect(directory / "prod.db") as connection:
        connection.execute("ALTER TABLE steps RENAME TO things")
        connection.execute("UPDATE meta SET value = '0' WHERE name = 'version'")
    connection.close()


def rename(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE things RENAME TO steps"))


def fail_after(connection: Connection) -> None:
    rename(connection)
    raise StateError("half-way")


MIGRATIONS: Mapping[int, Migration] = {STATE_VERSION - 1: rename}


def test_an_older_state_is_read_without_touching_it(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    store.close()
    older(directory)
    before = (directory / "prod.db").read_bytes()
    reader = SqlStore(directory, "prod", migrations=MIGRATIONS)
    assert set(reader.snapshot().steps) == {"m/t/s@n1"}
    assert reader.meta().version == STATE_VERSION
    assert (directory / "prod.db").read_bytes() == before


def test_an_older_state_is_upgraded_by_the_first_write_and_backed_up_before(
    store: SqlStore, directory: Path
) -> None:
    fill(store, "s")
    store.close()
    older(directory)
    writer = SqlStore(directory, "prod", migrations=MIGRATIONS)
    fill(writer, "r")
    writer.close()
    assert set(store.snapshot().steps) == {"m/t/s@n1", "m/t/r@n1"}
    (backup,) = (directory / "backups").iterdir()
    with sqlite3.connect(backup) as connection:
        assert connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() == ("0",)
    connection.close()


def test_a_migration_that_fails_changes_nothing(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    store.close()
    older(directory)
    writer = SqlStore(directory, "prod", migrations={STATE_VERSION - 1: fail_after})
    with pytest.raises(StateError, match="half-way"):
        fill(writer, "r")
    writer.close()
    assert set(SqlStore(directory, "prod", migrations=MIGRATIONS).snapshot().steps) == {"m/t/s@n1"}


def test_a_version_without_a_way_is_refused(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    store.close()
    older(directory)
    with pytest.raises(StateVersionError, match="no longer"):
        SqlStore(directory, "prod").snapshot()


def test_a_newer_version_is_refused(store: SqlStore, directory: Path) -> None:
    fill(store, "s")
    store.close()
    with sqlite3.connect(directory / "prod.db") as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
    connection.close()
    before = (directory / "prod.db").read_bytes()
    with pytest.raises(StateVersionError, match=f"99.*up to {STATE_VERSION}") as caught:
        store.snapshot()
    assert "newer kubexms" in caught.value.detail
    with pytest.raises(StateVersionError), store.lock(info(), timeout=0):
        pass
    assert (directory / "prod.db").read_bytes() == before


def test_an_older_document_is_upgraded(store: SqlStore) -> None:
    fill(store, "s")
    document = store.pull()
    old = {"things" if key == "steps" else key: value for key, value in document.items()} | {"version": 0}
    read = read_document(old, {0: lambda data: {"steps" if k == "things" else k: v for k, v in data.items()}})
    assert set(read.snapshot.steps) == {"m/t/s@n1"}
    with pytest.raises(StateVersionError, match="version 0"):
        read_document(old)
