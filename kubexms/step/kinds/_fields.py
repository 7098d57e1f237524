"""Types of fields that several kinds share: paths, modes, owners."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from kubexms.spec.asset import Asset


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise PydanticCustomError(
            "absolute_path", "'{path}' is not absolute: it must begin with '/'", {"path": value}
        )
    if "\0" in value:
        raise PydanticCustomError("nul_in_path", "a path cannot hold a NUL character")
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise PydanticCustomError(
            "path_with_dots", "'{path}' holds '..': write the path it leads to", {"path": value}
        )
    return "/" + "/".join(parts)


def _not_root(value: str) -> str:
    if value == "/":
        raise PydanticCustomError("root_path", "'/' itself cannot be managed")
    return value


AbsolutePath = Annotated[
    str,
    AfterValidator(_absolute),
    AfterValidator(_not_root),
    Field(min_length=1, json_schema_extra={"pattern": "^(/|.*\\{[{%])"}),
]
"""An absolute path on the host without `..`; doubled and final slashes are taken out."""


def _quoted(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        raise PydanticCustomError(
            "unquoted_mode",
            'a mode is a string of octal digits: quote it, for example "0644" (YAML reads 0644 as 420)',
        )
    return value


Mode = Annotated[str, BeforeValidator(_quoted), Field(pattern=r"^[0-7]{3,4}$")]
"""Permission bits as a quoted string of three or four octal digits."""


def _quoted_owner(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise PydanticCustomError(
            "unquoted_owner", 'a numeric id is a string: quote it, for example "{id}"', {"id": value}
        )
    return value


Owner = Annotated[str, BeforeValidator(_quoted_owner), Field(pattern=r"^[^\s:/\-][^\s:/]*$", max_length=256)]
"""A user or group by name, or by numeric id in quotes."""


def octal(mode: str) -> str:
    """A mode with all four digits: `644` and `0644` are the same."""
    return f"{int(mode, 8):04o}"


def pinned(found: Asset | str | None, sha256: str | None) -> None:
    """Refuse a file of the controller whose bytes are not those of the digest; a path has not been read yet.

    Raises `PydanticCustomError`.
    """
    if isinstance(found, Asset) and sha256 not in (None, found.sha256):
        raise PydanticCustomError(
            "other_bytes",
            "{path} is not the file that was meant: its SHA-256 digest is {found}, and {given} was given. "
            "It was damaged on its way, or replaced: fetch it again (`kubexms artifacts verify` looks at "
            "all artifacts), or give the new digest if you trust the file",
            {"path": found.path, "found": found.sha256, "given": sha256},
        )
