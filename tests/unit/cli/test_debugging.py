"""One step at a time: letters in, choices out."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from kubexms.cli.app import App
from kubexms.cli.debugging import ConsolePrompter
from kubexms.executor.debug import Choice
from tests.golden.cases import create

CHANGE = create("a/b/c@n1", "file", {"mode": "0644"})


def _prompter(*lines: str) -> ConsolePrompter:
    left: Iterator[str] = iter(lines)
    return ConsolePrompter(App(read_line=lambda: next(left), environ={}))


@pytest.mark.parametrize(
    ("lines", "choice"),
    [
        (["\n"], Choice.CONTINUE),
        (["c\n"], Choice.CONTINUE),
        (["Skip\n"], Choice.SKIP),
        (["x\n", "i\n"], Choice.INSPECT),
        (["r\n"], Choice.RUN),
        (["q\n"], Choice.QUIT),
        ([""], Choice.QUIT),
    ],
)
def test_letters(lines: list[str], choice: Choice, capsys: pytest.CaptureFixture[str]) -> None:
    assert _prompter(*lines).ask(CHANGE) is choice
    assert "  # a/b/c@n1 will be created\n" in capsys.readouterr().out


def test_an_interrupt_quits_and_leaves_the_handler_of_the_run() -> None:
    def interrupted() -> str:
        signal.raise_signal(signal.SIGINT)
        return "c\n"

    before = signal.getsignal(signal.SIGINT)
    assert ConsolePrompter(App(read_line=interrupted, environ={})).ask(CHANGE) is Choice.QUIT
    assert signal.getsignal(signal.SIGINT) is before
