"""The kind `file`: a regular file with given bytes, mode and owner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.spec.asset import ASSET, TEMPLATE_FILE, Asset
from kubexms.step.contract import ActionKind, ChangeRequest, Part, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, Mode, Owner, octal
from kubexms.step.kinds._shell.atomic import functions, ownership, permissions, removal, restoration, together
from kubexms.step.kinds._shell.survey import Question, read_state, survey
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

TEXT_LIMIT = 64 * 1024
"""Bytes up to which a file's text is shown as a diff."""
SHARED_LIMIT = 16 * 1024
"""Bytes up to which a file is written together with others."""


class FileSpec(StepArgs):
    """A regular file on the host: its bytes, mode and owner. What is not given is left as it is.

    The path itself is managed: a symbolic link there is replaced by the file, not followed. With
    none of `content`, `template` and `source` the file is made to exist, empty if it is new.
    """

    path: AbsolutePath
    """Where the file is on the host. Its directory must exist."""
    state: Literal["present", "absent"] = "present"
    """`absent`: no file is there. A directory is never removed by this kind."""
    content: str | None = None
    """The whole content, written here. Ends with a newline only if the text does."""
    template: str | None = Field(default=None, json_schema_extra={**TEMPLATE_FILE})
    """A Jinja2 file on the controller, relative to this document, whose rendered text is the content."""
    source: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """A file on the controller, relative to this document, copied byte for byte, of any size."""
    mode: Mode | None = None
    """Permission bits, for example "0644". A new file has "0644" without it."""
    owner: Owner | None = None
    """User that owns the file, by name or quoted id."""
    group: Owner | None = None
    """Group of the file, by name or quoted id."""
    validate_with: str | None = Field(default=None, alias="validate")
    """A command that checks the new file before it is put in place, `%s` being its name: `visudo -cf %s`."""
    show_diff: bool | None = None
    """Whether plans show the content. Default: only if everybody on the host may read the file."""
    force: bool = False
    """Replace what is in the way: an empty directory, a socket, a device, a named pipe."""

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [name for name in ("content", "template", "source") if getattr(self, name) is not None]
        if len(given) > 1:
            raise PydanticCustomError(
                "one_content",
                "give only one of 'content', 'template' and 'source', not {names}",
                {"names": " and ".join(f"'{name}'" for name in given)},
            )
        if self.state == "absent" and (given or self.mode or self.owner or self.group):
            raise PydanticCustomError(
                "absent_content", "'state: absent' takes neither content nor mode nor owner"
            )
        if self.validate_with is not None and "%s" not in self.validate_with:
            raise PydanticCustomError(
                "validate_name", "'validate' must hold '%s', where the file's name is to stand"
            )
        return self


def _content(spec: FileSpec) -> bytes | None:
    text = spec.content if spec.content is not None else spec.template
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _sha256(spec: FileSpec) -> str | None:
    if isinstance(spec.source, Asset):
        return spec.source.sha256
    content = _content(spec)
    return None if content is None else hashlib.sha256(content).hexdigest()


class FileExecutor(StepExecutor[FileSpec]):
    """See `FileSpec`."""

    kind: ClassVar[str] = "file"
    spec: ClassVar[type[StepArgs]] = FileSpec
    parts: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("path",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "content": ("sha256",),
        "template": ("sha256",),
        "source": ("sha256",),
        "validate_with": (),
        "show_diff": (),
        "force": (),
        "state": ("type",),
    }
    text_attributes: ClassVar[frozenset[str]] = frozenset({"content"})
    example: ClassVar[str] = """\
- {name: motd, kind: file, path: /etc/motd, content: "Managed by kubexms\\n", mode: "0644"}
"""

    def probe(self, specs: Sequence[FileSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        questions = []
        for spec in specs:
            sha256 = _sha256(spec)
            show = spec.show_diff if not self.secrets_from(spec) else False
            if isinstance(spec.source, Asset) and spec.source.size > TEXT_LIMIT:
                show = False
            questions.append(Question(spec.path, hashed=sha256 is not None, want=sha256 or "", show=show))
        fragment = Fragment(survey(questions), records=len(specs), timeout=60.0 + len(specs))
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: FileSpec, record: Record) -> Observation:
        state = read_state(record)
        if isinstance(state, Observation):
            return state
        if state.unreadable and _sha256(spec) is not None:
            return Observation.unknown("permission denied: the file cannot be read")
        extra: dict[str, JsonValue] = {"size": state.size}
        if state.type == "symlink":
            extra["target"] = state.target
        if state.content is not None:
            try:
                extra["content"] = state.content.decode("utf-8")
            except UnicodeDecodeError:
                extra["binary"] = True
        return Observation.present(state.attributes(spec.owner, spec.group), extra)

    def desired(self, spec: FileSpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        wanted: dict[str, JsonValue] = {"type": "file"}
        sha256 = _sha256(spec)
        if sha256 is not None:
            wanted["sha256"] = sha256
        if spec.mode is not None:
            wanted["mode"] = octal(spec.mode)
        if spec.owner is not None:
            wanted["owner"] = spec.owner
        if spec.group is not None:
            wanted["group"] = spec.group
        return wanted

    def desired_text(self, spec: FileSpec) -> str | None:
        """The content as text where a plan may show it as a diff."""
        content = _content(spec)
        if isinstance(spec.source, Asset) and spec.source.size <= TEXT_LIMIT:
            path = Path(spec.source.path)
            content = path.read_bytes() if path.is_file() else None
        if content is None or len(content) > TEXT_LIMIT or b"\0" in content or self.secrets_from(spec):
            return None
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def secrets_from(self, spec: FileSpec) -> frozenset[str]:
        hidden = spec.show_diff is False or (spec.mode is not None and not int(spec.mode, 8) & 0o004)
        return frozenset({"sha256", "content"}) if hidden and not spec.show_diff else frozenset()

    def why_hidden(self, spec: FileSpec) -> str:
        if spec.show_diff is not None or _sha256(spec) is None or not self.secrets_from(spec):
            return ""
        return f"its content is hidden, as mode {spec.mode} hides it from others; showDiff: true shows it"

    def paths(self, spec: FileSpec) -> tuple[str, ...]:
        return (spec.path,)

    def action(self, spec: FileSpec, request: ChangeRequest) -> Action:
        path = quote(spec.path)
        if spec.state == "absent":
            return Action(functions(spec.path) + removal(spec.path), backup=(spec.path,))
        if (
            request.action is ActionKind.UPDATE
            and request.changed
            and request.changed <= {"mode", "owner", "group"}
        ):
            script = f"[ -f {path} ] && [ ! -L {path} ]\n" + permissions(
                spec.path, spec.mode, spec.owner, spec.group
            )
            return Action(script)
        lines = [functions(spec.path)]
        if spec.force:
            lines.append(_CLEAR.format(path=path))
        lines += [f"begin {path}", *_filling(spec, "content")]
        if spec.validate_with is not None:
            lines.append(_validation(spec.validate_with))
        lines.append("commit")
        payloads = {"content": self._payload(spec)}
        return Action("\n".join(lines) + "\n", payloads, backup=(spec.path,), timeout=3600.0)

    def _payload(self, spec: FileSpec) -> Payload:
        if isinstance(spec.source, Asset):
            return Payload(path=Path(spec.source.path), size=spec.source.size)
        content = _content(spec) or b""
        return Payload(data=content, size=len(content), sensitive=bool(self.secrets_from(spec)))

    def shares(self, spec: FileSpec) -> str | None:
        """Short files that need no check of their own are written together."""
        plain = spec.state == "present" and not spec.force and spec.validate_with is None
        size = spec.source.size if isinstance(spec.source, Asset) else len(_content(spec) or b"")
        return "write" if plain and size <= SHARED_LIMIT else None

    def merge(self, parts: Sequence[Part[FileSpec]]) -> Action | None:
        """Whole files, each path once; changes of mode and owner alone are not worth it."""
        specs = [part.spec for part in parts]
        if len({spec.path for spec in specs}) < len(specs) or not all(part.alone.backup for part in parts):
            return None
        script = together([(spec.path, _filling(spec, f"content{n}")) for n, spec in enumerate(specs)])
        return Action(script, {f"content{n}": self._payload(spec) for n, spec in enumerate(specs)})

    def undo(self, spec: FileSpec, prior: Observation) -> Action | None:
        if prior.presence is not Presence.PRESENT:
            return Action(functions(spec.path) + removal(spec.path))
        if prior.attributes.get("type") not in ("file", "symlink"):
            return None
        return Action(functions(spec.path) + restoration(spec.path, prior))


def _filling(spec: FileSpec, payload: str) -> list[str]:
    """Gives the temporary file its bytes, mode and owner."""
    if _sha256(spec) is None:
        write = 'if [ -f "$p" ]; then cat <"$p" >"$t"; fi'
    else:
        write = f'payload {payload} >"$t" || lacking'
    return [write, f"keep {quote(ownership(spec.owner, spec.group))} {quote(spec.mode or '')}"]


_CLEAR = """\
if [ -d {path} ] && [ ! -L {path} ]; then rmdir -- {path}
elif [ -e {path} ] && [ ! -f {path} ]; then rm -f -- {path}; fi"""


def _validation(command: str) -> str:
    """Runs the user's check on the temporary file; what it says goes to stderr."""
    script = quote(command.replace("%s", '"$file"'))
    return (
        f"status=0; file=$t sh -c {script} >&2 </dev/null || status=$?\n"
        '[ "$status" -eq 0 ] || fail "the validation command refused the new content: exit status $status"'
    )


__all__ = ["FileExecutor", "FileSpec"]
