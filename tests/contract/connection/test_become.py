"""Becoming another user: the protocol with sudo, against a stand-in that behaves like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kubexms.errors import BecomeFailed
from kubexms.runtime.protocol import Fragment, Payload, Record
from tests.contract.connection.places import Place, act, run_identity

SUDO = r"""#!/bin/sh
# sudo, as far as the protocol sees it: -n, -S, -p PROMPT, -u USER, --
ask=1 prompt=Password:
while [ $# -gt 0 ]; do
    case $1 in
    -n) ask= ;;
    -S) ;;
    -p) prompt=$2; shift ;;
    -u) shift ;;
    --) shift; break ;;
    *) break ;;
    esac
    shift
done
echo "$*" >>"$SUDO_LOG"
if [ -n "$SUDO_PASSWORD" ]; then
    if [ -z "$ask" ]; then echo 'sudo: a password is required' >&2; exit 1; fi
    for try in 1 2 3; do
        printf %s "$prompt" >&2
        IFS= read -r given || exit 1
        echo "$given" >>"$SUDO_LOG.passwords"
        [ "$given" != "$SUDO_PASSWORD" ] || break
        echo 'Sorry, try again.' >&2
        [ "$try" != 3 ] || exit 1
    done
fi
[ -z "$SUDO_REFUSES" ] || { echo 'you are not in the sudoers file' >&2; exit 1; }
exec "$@"
"""

Sudo = Callable[..., Place]


@pytest.fixture
def sudo(local_place: Place) -> Sudo:
    """The place with a stand-in for sudo in front of its PATH."""
    directory = local_place.root / "sudo"
    directory.mkdir()
    (directory / "sudo").write_text(SUDO)
    (directory / "sudo").chmod(0o755)

    def make(*, given: str | None = None, wanted: str = "", refuses: str = "") -> Place:
        place = local_place.environment(
            PATH=f"{directory}:{local_place.target.environment['PATH']}",
            SUDO_LOG=str(directory / "log"),
            SUDO_PASSWORD=wanted,
            SUDO_REFUSES=refuses,
        )
        target = replace(place.target, become="sudo", become_password=given)
        return replace(place, target=target, opened=local_place.opened)

    return make


def test_sudo_without_a_password(sudo: Sudo) -> None:
    place = sudo()
    assert place.ask(Fragment("emit 0 x"))[0].records == (Record(0, b"x"),)
    assert act(place.begun(), "echo x").stdout == b"x\n"


@pytest.mark.parametrize("password", ["secret", "with 'quotes' $and \\ spaces", "ümlaut"])
def test_sudo_with_a_password(sudo: Sudo, password: str) -> None:
    place = sudo(given=password, wanted=password)
    assert place.ask(Fragment("emit 0 x"))[0].records == (Record(0, b"x"),)
    connection = place.begun()
    assert act(connection, "echo x").stdout == b"x\n"
    assert Path(connection.upload(_payload(), name="p")).read_bytes() == b"x"
    log = (place.root / "sudo" / "log.passwords").read_text().splitlines()
    assert set(log) == {password}


def test_a_password_that_nobody_asks_for_is_not_sent(sudo: Sudo) -> None:
    place = sudo(given="secret")
    assert place.ask(Fragment('read -r x; emit $? "$x"'))[0].records == (Record(1, b""),)
    assert "secret" not in (place.root / "sudo" / "log").read_text()


def test_a_wrong_password_is_tried_once(sudo: Sudo) -> None:
    place = sudo(given="wrong", wanted="right")
    with pytest.raises(BecomeFailed, match="did not accept the password"):
        place.ask(Fragment("emit 0 x"))
    assert (place.root / "sudo" / "log.passwords").read_text() == "wrong\n"


def test_a_missing_password_is_said(sudo: Sudo) -> None:
    with pytest.raises(BecomeFailed, match="needs a password, and none is given"):
        sudo(wanted="right").ask(Fragment("emit 0 x"))


def test_a_refusal_is_said_with_its_reason(sudo: Sudo) -> None:
    with pytest.raises(BecomeFailed, match="refused") as caught:
        sudo(refuses="yes").connection().begin(run_identity(), wait=0.0)
    assert "sudoers" in caught.value.detail


def test_a_password_with_a_line_end_is_refused(sudo: Sudo) -> None:
    with pytest.raises(BecomeFailed, match="line end"):
        sudo(given="a\nb").ask(Fragment("emit 0 x"))


def test_no_sudo_is_said(sudo: Sudo) -> None:
    place = sudo()
    (place.root / "sudo" / "sudo").write_text("#!/bin/sh\necho 'sh: sudo: not found' >&2\nexit 127\n")
    with pytest.raises(BecomeFailed, match="not installed"):
        place.ask(Fragment("emit 0 x"))


def _payload() -> Payload:
    return Payload(data=b"x")
