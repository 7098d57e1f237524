"""Quoting, and the shell files that ship."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.runtime.composing import BOOTSTRAP
from kubexms.runtime.quoting import quote, quote_bytes, shell_source

FILES = ("act.sh", "ask.sh", "emit.sh", "facts.sh", "guard.sh", "lock.sh", "owners.sh", "shared.sh")


@given(st.binary(max_size=100).map(lambda data: data.replace(b"\0", b"")))
def test_a_quoted_word_is_itself(data: bytes) -> None:
    script = b"printf %s " + quote_bytes(data)
    assert subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout == data


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")
    with pytest.raises(ValueError, match="NUL"):
        quote_bytes(b"\0")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_every_file_is_posix_shell(shell: list[str], name: str) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    subprocess.run([*shell, "-n"], input=shell_source(name).encode(), check=True)


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_lost_with_the_comments(name: str) -> None:
    text = shell_source(name)
    assert "<<" not in text, "a heredoc would need its indentation"
    assert not any(line.startswith("#") for line in text.splitlines())


def test_the_bootstrap_is_plain_enough_for_any_login_shell() -> None:
    assert not set("'!\n\\") & set(BOOTSTRAP)
