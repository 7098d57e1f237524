"""`apply --debug`: each step is shown, and somebody says what to do about it."""

from __future__ import annotations

import signal

from kubexms.cli.app import App
from kubexms.executor.debug import Choice
from kubexms.executor.looking import Look
from kubexms.plan.model import Change
from kubexms.runtime.protocol import GuardMode
from kubexms.views.changes import change_lines, folded
from kubexms.views.escaping import printable
from kubexms.views.observed import observed_lines

_KEYS = {
    "": Choice.CONTINUE,
    "c": Choice.CONTINUE,
    "s": Choice.SKIP,
    "i": Choice.INSPECT,
    "r": Choice.RUN,
    "q": Choice.QUIT,
}
_QUESTION = "[c]ontinue, [s]kip, [i]nspect, [r]un to the end, [q]uit? "


class ConsolePrompter:
    """A `Prompter` for whoever sits there. An interrupt or the end of the input quits."""

    def __init__(self, app: App) -> None:
        self._app = app

    def ask(self, change: Change) -> Choice:
        """Show the step and read a letter; anything else asks again."""
        for group in folded([change]):
            self._app.write("\n" + "\n".join(change_lines(group, self._app.paint())) + "\n")
        while True:
            self._app.write(_QUESTION)
            answer = self._read()
            if answer is None:
                self._app.write("\n")
                return Choice.QUIT
            choice = _KEYS.get(answer.strip().lower()[:1])
            if choice is not None:
                return choice

    def inspect(self, change: Change, look: Look) -> None:
        """Show what the host answers now; then run what is typed there, until an empty line."""
        if not look.reaches(change):
            self._app.write("This runs where kubexms runs: look at it in another terminal.\n")
            return
        host = printable(change.host)
        seen = look.observe(change)
        if seen is not None:
            self._app.write("\n".join([f"Now on {host}:", *observed_lines(seen)]) + "\n")
        told = False
        while True:
            self._app.write(f"{host}$ " if told else f"{host}$ (a command that only looks; empty: back) ")
            command = (self._read() or "").strip()
            if not command:
                self._app.write("" if told else "\n")
                return
            shown = look.show(change, command)
            if not told and shown.guard is GuardMode.UNAVAILABLE:
                self._app.write(f"{host} has no read-only guard for this user: what you type can write.\n")
            told = True
            self._app.write("".join(f"{printable(line)}\n" for line in shown.text.splitlines()))
            if shown.status not in (0, None):
                self._app.write(f"(exit status {shown.status})\n")

    def _read(self) -> str | None:
        # during a run an interrupt only asks the run to stop, and would leave this question standing
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return self._app.read_line() or None
        except KeyboardInterrupt:
            return None
        finally:
            signal.signal(signal.SIGINT, previous)
