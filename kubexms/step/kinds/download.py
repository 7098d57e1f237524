"""The kind `download`: a file from a URL or from the controller, pinned by its digest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, JsonValue, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.spec.asset import ASSET, Asset
from kubexms.step.contract import ActionKind, ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, Mode, Owner, octal, pinned
from kubexms.step.kinds._shell.atomic import functions, ownership, permissions, removal, restoration
from kubexms.step.kinds._shell.fetch import FETCH, curl_config, wget_settings
from kubexms.step.kinds._shell.survey import QUICK_SUMS, Question, read_state, survey
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


def _bare(value: Any) -> Any:
    return value.removeprefix("sha256:").strip().lower() if isinstance(value, str) else value


Sha256 = Annotated[str, BeforeValidator(_bare), Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in hexadecimal, `sha256:` before it or not."""
Header = Annotated[str, Field(pattern=r"^[^\r\n\x00]*$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
OneWord = Annotated[str, Field(pattern=r"^[^\s\x00]+$")]


class DownloadSpec(StepArgs):
    """A file of any size that the host fetches itself, or that comes from the controller.

    Its digest is pinned, so that it is there with these bytes or the step fails. A transfer that
    broke goes on where it ended; nobody ever sees half a file. A file of 8 MiB and more that was found right
    by an apply is read again only when its inode, its size or one of its change times is another.
    """

    path: AbsolutePath
    """Where the file is on the host. Its directory must exist."""
    url: Annotated[str, Field(pattern=r"^(https?|ftp)://[^\s\x00]+$")] | None = None
    """Where the host fetches it, with its curl or wget."""
    source: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """A file on the controller instead, relative to this document."""
    sha256: Sha256
    """The SHA-256 digest that the file must have, in hexadecimal."""
    mode: Mode | None = None
    """Permission bits, for example "0755". A new file has "0644" without it."""
    owner: Owner | None = None
    """User that owns the file, by name or quoted id."""
    group: Owner | None = None
    """Group of the file, by name or quoted id."""
    headers: dict[HeaderName, Header] = Field(default_factory=dict)
    """HTTP headers to send, `Authorization` for example. They need curl on the host, and no process
    list shows them."""
    proxy: OneWord | None = None
    """The proxy to use. Default: what the host's environment says."""
    insecure: bool = False
    """Take any certificate; the digest still says what the bytes are."""

    _known: tuple[str, str] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.url is None) == (self.source is None):
            raise PydanticCustomError("download_origin", "give either 'url' or 'source'")
        if self.source is not None and (self.headers or self.proxy or self.insecure):
            raise PydanticCustomError("download_source", "'headers', 'proxy' and 'insecure' go with 'url'")
        pinned(self.source, self.sha256)
        return self


_LARGE = 8 << 20
"""Bytes from which on a digest is remembered: reading them takes longer than a tick of the clock that change
times are made of, so that whoever writes meanwhile leaves another time."""


def _exact(stamp: JsonValue) -> bool:
    """Whether its times, of the bytes and of the inode, have parts of a second."""
    return isinstance(stamp, str) and bool(re.fullmatch(r"\d+/\d+/\d+\.\d{9}/\d+\.(?!0{9})\d{9}", stamp))


class DownloadExecutor(StepExecutor[DownloadSpec]):
    """See `DownloadSpec`."""

    kind: ClassVar[str] = "download"
    spec: ClassVar[type[StepArgs]] = DownloadSpec
    parts: ClassVar[bool] = True
    recalls: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("path",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "url": (),
        "source": (),
        "headers": (),
        "proxy": (),
        "insecure": (),
    }
    example: ClassVar[str] = """\
- name: kubectl
  kind: download
  path: /usr/local/bin/kubectl
  url: https://mirror.example/kubectl
  sha256: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
  mode: "0755"
"""

    def probe(self, specs: Sequence[DownloadSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        questions = [
            Question(spec.path, hashed=True, want=spec.sha256, show=False, stamped=True, known=spec._known)
            for spec in specs
        ]
        fragment = Fragment(
            QUICK_SUMS + survey(questions), records=len(specs), timeout=60.0 + 20 * len(specs)
        )
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: DownloadSpec, record: Record) -> Observation:
        state = read_state(record)
        if isinstance(state, Observation):
            return state
        if state.unreadable:
            return Observation.unknown("permission denied: the file cannot be read")
        extra: dict[str, JsonValue] = {"size": state.size}
        if state.target is not None:
            extra["target"] = state.target
        if state.stamp:
            extra["stamp"] = state.stamp
        return Observation.present(state.attributes(spec.owner, spec.group), extra)

    def desired(self, spec: DownloadSpec) -> Attributes | None:
        wanted: dict[str, JsonValue] = {"type": "file", "sha256": spec.sha256}
        if spec.mode is not None:
            wanted["mode"] = octal(spec.mode)
        if spec.owner is not None:
            wanted["owner"] = spec.owner
        if spec.group is not None:
            wanted["group"] = spec.group
        return wanted

    def remember(self, spec: DownloadSpec, observation: Observation, digests: Mapping[str, str]) -> JsonValue:
        """The digest, and by what its bytes are known again; nothing where times are not exact."""
        size, stamp = observation.extra.get("size"), observation.extra.get("stamp")
        if not isinstance(size, int) or size < _LARGE or not _exact(stamp):
            return None
        return {"stamp": stamp, "sha256": observation.attributes.get("sha256")}

    def recall(self, spec: DownloadSpec, remembered: JsonValue) -> DownloadSpec:
        """A copy that knows it."""
        found = remembered if isinstance(remembered, dict) else {}
        stamp, digest = found.get("stamp"), found.get("sha256")
        if not _exact(stamp) or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            return spec
        known = spec.model_copy()
        known._known = (str(stamp), digest)
        return known

    def paths(self, spec: DownloadSpec) -> tuple[str, ...]:
        return (spec.path,)

    def action(self, spec: DownloadSpec, request: ChangeRequest) -> Action:
        path = quote(spec.path)
        if (
            request.action is ActionKind.UPDATE
            and request.changed
            and request.changed <= {"mode", "owner", "group"}
        ):
            script = f"[ -f {path} ] && [ ! -L {path} ]\n"
            return Action(script + permissions(spec.path, spec.mode, spec.owner, spec.group))
        if isinstance(spec.source, Asset):
            obtain = 'payload content >"$part"'
            payloads = {"content": Payload(path=Path(spec.source.path), size=spec.source.size)}
        else:
            obtain = "fetch"
            url, headers, insecure, proxy = spec.url or "", spec.headers, spec.insecure, spec.proxy
            texts = {
                "url": f"{url}\n",
                "request": curl_config(url, headers, insecure=insecure, proxy=proxy),
            }
            if proxy is not None:
                texts["proxy"] = proxy
            obtain = wget_settings(headers, insecure=insecure, proxy=proxy) + obtain
            payloads = {name: Payload(data=text.encode(), sensitive=True) for name, text in texts.items()}
        who = f"{quote(ownership(spec.owner, spec.group))} {quote(spec.mode or '')}"
        head = f"{functions(spec.path)}{FETCH}{QUICK_SUMS}want={spec.sha256}\nbegin {path}\n"
        script = f"{head}{_OBTAIN.replace('OBTAIN', obtain)}keep {who}\ncommit\n"
        return Action(script, payloads, backup=(spec.path,), timeout=3600.0)

    def undo(self, spec: DownloadSpec, prior: Observation) -> Action | None:
        if prior.presence is not Presence.PRESENT:
            return Action(functions(spec.path) + removal(spec.path))
        if prior.attributes.get("type") not in ("file", "symlink"):
            return None
        return Action(functions(spec.path) + restoration(spec.path, prior))


# The part has a name of its own, so that it outlives a broken transfer; nobody else can have put it there.
_OBTAIN = """\
part=$d/.kubexms.$id.part
good() {
    found=$(sha256sum <"$part")
    found=${found%% *}
    [ "$found" = "$want" ]
}
if [ -L "$part" ] || [ ! -f "$part" ] || [ ! -O "$part" ]; then rm -rf "$part"; fi
umask 077
if [ ! -f "$part" ] || ! good; then
    OBTAIN
    if ! good; then
        rm -f "$part"
        fail "the bytes are not the expected ones: sha256 $found instead of $want"
    fi
fi
rm -f "$t"
t=$part
"""


__all__ = ["DownloadExecutor", "DownloadSpec", "Sha256"]
