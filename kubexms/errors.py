"""Every exception that kubexms raises on purpose.

The tree::

    KubexmsError                  something a user can act on; carries diagnostics
    +-- ConfigError               documents, variables, templates, secrets, schemas
    |   +-- TemplateError         a template did not render
    |   +-- SecretError           a secret reference did not resolve
    +-- GraphError                dependencies that cannot be ordered (a cycle)
    +-- ConnectionFailed          a host could not be asked; the host fails alone
    |   +-- Unreachable           no route, refused, timed out, name unknown
    |   +-- AuthenticationFailed  no key or password was accepted
    |   +-- HostKeyRejected       unknown or changed host key
    |   +-- BecomeFailed          sudo refused, or its password was wrong
    |   +-- ProtocolError         the far side did not speak the protocol; the channel is dead
    |   +-- HostBusy              another run holds the host's own lock
    +-- StepError                 one step on one host failed
    |   +-- NotConverged          the step ran, and the host is still not as desired
    |   +-- ActionFailed          the step's script ended with an error
    |   +-- StepTimeout           the step's time limit passed
    |   +-- GuardChanged          the host changed between the observation and the action
    |   +-- PeerFailed            another host that the step needs does not answer
    +-- PlanError                 a plan that cannot be made, read or used
    |   +-- StalePlan             what the plan was bound to has moved
    |   +-- PlanDamaged           unreadable, truncated or of an unknown version
    +-- StateError                the state cannot be read or written
    |   +-- StateLocked           another run holds the state's lock
    |   +-- StateVersionError     written by a newer kubexms
    +-- OutputError               a report could not be written or delivered
    +-- Interrupted               the user asked to stop; the state says what was done

Programming mistakes stay what they are (`TypeError`, `AssertionError`): they are
never caught as `KubexmsError`.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from kubexms.diagnostics import Diagnostic, Severity


class KubexmsError(Exception):
    """Something went wrong that a user can understand and act on.

    `str(error)` is one sentence; `diagnostics` are the details, never empty.
    """

    def __init__(self, summary: str, *, detail: str = "", diagnostics: Sequence[Diagnostic] = ()) -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics) or (
            Diagnostic(severity=Severity.ERROR, summary=summary, detail=detail),
        )


def exit_words(status: int) -> str:
    """How a program ended: `exit status 3`, `ended by SIGKILL`, and as shells tell that of another one:
    `exit status 137 (SIGKILL)`.
    """
    number = -status if status < 0 else status - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit status {status}"
    return f"ended by {name}" if status < 0 else f"exit status {status} ({name})"


class ConfigError(KubexmsError):
    """The documents, variables or inventories are not usable."""


class TemplateError(ConfigError):
    """A template did not render."""


class SecretError(ConfigError):
    """A secret reference did not resolve."""


class GraphError(KubexmsError):
    """The dependencies cannot be ordered."""


class ConnectionFailed(KubexmsError):
    """A host could not be asked."""

    def about(self, host: str) -> str:
        """The summary where the host's name stands already: without it in front."""
        return self.summary.removeprefix(f"{host}: ")


class Unreachable(ConnectionFailed):
    """No route, refused, timed out, or an unknown name."""


class AuthenticationFailed(ConnectionFailed):
    """No key and no password was accepted."""


class HostKeyRejected(ConnectionFailed):
    """The host's key is unknown, changed or revoked."""


class BecomeFailed(ConnectionFailed):
    """sudo refused, asked for a password that is not given, or rejected it."""


class ProtocolError(ConnectionFailed):
    """The far side did not speak the protocol; its channel must not be used again."""


class HostBusy(ConnectionFailed):
    """Another run holds the host's own lock."""


class StepError(KubexmsError):
    """One step on one host failed."""


class NotConverged(StepError):
    """The step ran without an error and the host is still not as desired."""


class ActionFailed(StepError):
    """The step's script ended with a non-zero exit status."""


class StepTimeout(StepError):
    """The step's time limit passed."""


class GuardChanged(StepError):
    """The host changed between the observation and the action."""


class PeerFailed(StepError):
    """Another host that the step needs cannot be asked; the step's own host is fine."""


class PlanError(KubexmsError):
    """A plan cannot be made, read or used."""


class StalePlan(PlanError):
    """Something that the plan was bound to has moved since."""


class PlanDamaged(PlanError):
    """A plan file is unreadable, truncated or of an unknown version."""


class StateError(KubexmsError):
    """The state cannot be read or written."""


class StateLocked(StateError):
    """Another run holds the lock on the state."""


class StateVersionError(StateError):
    """The state was written by a newer kubexms."""


class OutputError(KubexmsError):
    """A report could not be written or delivered; what it reports on is unharmed."""


class Interrupted(KubexmsError):
    """The user asked to stop."""
