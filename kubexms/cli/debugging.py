"""`apply --debug executor`: each step is shown, and somebody says what to do about it."""

from __future__ import annotations

import signal

from kubexms.cli.app import App
from kubexms.executor.debug import Choice
from kubexms.plan.model import Change
from kubexms.views.changes import change_lines, folded

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

    def _read(self) -> str | None:
        # during a run an interrupt only asks the run to stop, and would leave this question standing
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return self._app.read_line() or None
        except KeyboardInterrupt:
            return None
        finally:
            signal.signal(signal.SIGINT, previous)
