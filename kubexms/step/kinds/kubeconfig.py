"""The kind `kubeconfig`: a control plane's credentials of the administrator, as a file of the controller."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Fragment, Outcome, Record
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs, StepContext
from kubexms.step.observation import Attributes, Observation, Presence

NO_CLUSTER = 3
ADMIN_CONF = "/etc/kubernetes/admin.conf"

_SERVER = re.compile(r"(?m)^(\s*server:\s*)(\S+)\s*$")


def _local(value: str) -> str:
    if not value.startswith(("/", "~/")):
        raise PydanticCustomError("kubeconfig_path", "a path of the controller begins with '/' or '~/'")
    return value


class KubeconfigSpec(StepArgs):
    """The administrator's credentials, fetched from a control plane into a file of the controller.

    Keys and certificates that the host's file names by their paths are in the fetched one themselves.

    The file is of this controller: on another one the plan shows that it is to be fetched. It is
    readable by its owner alone, and its content is in no plan, no state and no log. The step runs on a
    control plane (`runOnce`).
    """

    path: Annotated[str, AfterValidator(_local)]
    """Where it is to be on the controller: "~/.kube/prod". Its directory is made."""
    server: Annotated[str, Field(pattern=r"^https://[^\s/]+/?$")] | None = None
    """The API's URL as this controller reaches it. Default: the cluster's endpoint."""
    fetch_on: tuple[str, ...] = ()
    """Steps of this module (`step` or `task/step`) after whose change it is fetched anew: those that renew
    the administrator's certificate."""


class KubeconfigExecutor(OneByOne[KubeconfigSpec]):
    """See `KubeconfigSpec`. Observing looks at the controller's file too."""

    kind: ClassVar[str] = "kubeconfig"
    spec: ClassVar[type[StepArgs]] = KubeconfigSpec
    identity: ClassVar[tuple[str, ...]] = ("path",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "path": (),
        "server": ("content",),
        "fetch_on": (),
    }
    example: ClassVar[str] = "- {name: kubeconfig, kind: kubeconfig, path: ~/.kube/prod, runOnce: true}\n"

    def ask(self, spec: KubeconfigSpec) -> str:
        """A digest of what is there, without the server's line; and that line."""
        return _ASK

    def observe(self, spec: KubeconfigSpec, record: Record) -> Observation:
        """Absent where the controller has no such file, or the host no cluster yet."""
        text = record.text.decode("utf-8", "replace")
        path = Path(spec.path).expanduser()
        if record.status == NO_CLUSTER or not path.is_file():
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not show its admin.conf")
        digest, _, server = text.strip().partition(" ")
        try:
            own, mode = path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777
        except (OSError, UnicodeDecodeError) as error:
            return Observation.unknown(f"the controller's {spec.path} cannot be read: {error}")
        found = _SERVER.search(own)
        wanted = spec.server or server
        same = _digest(own) == digest and found is not None and found.group(2) == wanted
        attributes: dict[str, JsonValue] = {
            "content": "as on the host" if same else "differs",
            "mode": f"{mode:04o}",
        }
        return Observation.present(attributes)

    def desired(self, spec: KubeconfigSpec) -> Attributes | None:
        return {"content": "as on the host", "mode": "0600"}

    def watches(self, spec: KubeconfigSpec) -> tuple[str, ...]:
        """What is to change in the same run shows in the plan; afterwards the content tells."""
        return spec.fetch_on

    def action(self, spec: KubeconfigSpec, request: ChangeRequest) -> Action:
        """Nothing is done on the host; `run` fetches."""
        return Action(f"[ -r {ADMIN_CONF} ]\n")

    def run(self, context: StepContext, spec: KubeconfigSpec, request: ChangeRequest) -> Outcome:
        """Read the file over the connection and put it in its place at once."""
        outcome = context.exchange(self.action(spec, request), verify=False)
        if not outcome.acted or outcome.status != 0:
            return outcome
        question = Fragment(f'{_SHOWN}emit 0 "$(shown)"\n', timeout=20.0)
        answer = context.connection.ask((question,), deadline=30.0).answers[0]
        if answer.failure is not None or not answer.records or not answer.records[0].text:
            raise StepError("the host does not show its admin.conf", detail=answer.detail)
        text = answer.records[0].text.decode("utf-8") + "\n"
        if spec.server is not None:
            server = spec.server
            text = _SERVER.sub(lambda found: found.group(1) + server, text)
        _write(Path(spec.path).expanduser(), text)
        return context.exchange(Action(":"))

    def undo(self, spec: KubeconfigSpec, prior: Observation) -> Action | None:
        """Nothing on the host; `run_undo` removes the controller's file. One that was there before stays."""
        return None if prior.presence is Presence.PRESENT else Action(":")

    def run_undo(self, context: StepContext, spec: KubeconfigSpec, prior: Observation) -> Outcome:
        """Remove the file."""
        outcome = context.exchange(Action(":"), verify=False)
        if not outcome.acted:
            return outcome
        Path(spec.path).expanduser().unlink(missing_ok=True)
        return context.exchange(Action(":"))


_SHOWN = f"""\
# shown: the file with what it names by paths on the host in it
shown() {{
  while IFS= read -r line; do
    case $line in
    *'certificate-authority: /'* | *'client-certificate: /'* | *'client-key: /'*)
      printf '%s-data: %s\\n' "${{line%%: /*}}" "$(base64 <"/${{line#*: /}}" | tr -d '\\n')" ;;
    *) printf '%s\\n' "$line" ;;
    esac
  done <{ADMIN_CONF}
}}
"""

_ASK = f"""\
{_SHOWN}[ -e {ADMIN_CONF} ] || exit 3
[ -r {ADMIN_CONF} ] || {{ echo 'permission denied: {ADMIN_CONF} cannot be read'; exit 1; }}
d=$(shown | grep -v '^ *server:' | sha256sum)
echo "${{d%% *}} $(sed -n 's/^ *server: *//p' {ADMIN_CONF} | head -n 1)"
"""


def _digest(text: str) -> str:
    """As the host makes it: of all lines but the server's."""
    lines = [line for line in text.splitlines() if not re.match(r" *server:", line)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """Put the file in its place, for its owner alone from the first moment. Raises `StepError`."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise StepError(f"the controller's {path} cannot be written: {error}") from error


__all__ = ["KubeconfigExecutor", "KubeconfigSpec"]
