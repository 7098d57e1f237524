"""Addresses: the stable identity of one step on one host.

`module/task/step@host`, with `forEach` `module/task/step["key"]@host`, for hooks
`module/task/hook[name]@host|@controller` (a module's hooks are `module/hook[name]`, a pipeline's
`hook[name]`; both were once written with the empty parts, `module//hook[name]`). Never a position, never
a title.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import re
from dataclasses import dataclass

CONTROLLER = "@controller"
"""The host part of an address of something that runs where kubexms runs."""

_ADDRESS = re.compile(
    r"""^(?P<module>[^/@\[\]]*)/(?P<task>[^/@\[\]]*)/(?P<step>[^/@\[\]]+)
        (?:\[(?P<key>"(?:[^"\\]|\\.)*"|[^"\]]+)\])?@(?P<host>.+)$""",
    re.VERBOSE | re.DOTALL,
)


_WIDE_HOOK = re.compile(
    r"^(?:(?P<module>[^/@\[\]]+)/)?(?P<task>)(?P<step>hook)\[(?P<key>[^\]/]+)\]@(?P<host>.+)$", re.DOTALL
)
"""Of a module's hook, or a pipeline's."""


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Address:
    """One step (or hook) on one host.

    `key` is the `forEach` key, or the hook's name when `step == "hook"`. Addresses sort by
    module, task, step, key and host, which is also how results are printed.
    """

    module: str
    task: str
    step: str
    host: str
    key: str | None = None

    @property
    def is_hook(self) -> bool:
        """True for the address of a hook rather than of a step."""
        return self.step == "hook"

    @property
    def path(self) -> str:
        """The address without its host: `module/task/step["key"]`."""
        if self.key is None:
            index = ""
        elif self.is_hook:
            index = f"[{self.key}]"
        else:
            index = f"[{json.dumps(self.key, ensure_ascii=False)}]"
        if self.is_hook and not self.task:
            return f"{self.module}/{self.step}{index}" if self.module else f"{self.step}{index}"
        return f"{self.module}/{self.task}/{self.step}{index}"

    def __str__(self) -> str:
        return f"{self.path}@{self.host.removeprefix('@')}"

    def _order(self) -> tuple[str, str, str, str, str]:
        return (self.module, self.task, self.step, self.key or "", self.host)

    def __lt__(self, other: Address) -> bool:
        return self._order() < other._order()

    def matches(self, pattern: str) -> bool:
        """True if the glob `pattern` selects this address.

        The pattern is matched against the whole address, the address without its host, and as a
        prefix on `/` boundaries (`os`, `os/kernel`); `@n1` alone selects a host.
        """
        text, path = str(self), self.path
        if pattern.startswith("@"):
            return fnmatch.fnmatchcase("@" + self.host.removeprefix("@"), pattern)
        escaped = _escape_index(pattern)
        want_path, at, want_host = escaped.partition("@")
        if at and not fnmatch.fnmatchcase(self.host.removeprefix("@"), want_host):
            return False
        parts = path.split("/")
        prefixes = [parts[0], "/".join(parts[:2]), path, f"{self.module}/{self.task}/{self.step}"]
        return any(fnmatch.fnmatchcase(p, want_path) for p in prefixes) or fnmatch.fnmatchcase(text, escaped)

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that `str` wrote as `text`. Raises `ValueError`."""
        match = _ADDRESS.match(text) or _WIDE_HOOK.match(text)
        if match is None:
            raise ValueError(f"not an address: {text!r} (expected module/task/step@host)")
        key = match["key"]
        if key is not None and key.startswith('"'):
            key = str(json.loads(key))
        host = match["host"]
        if match["step"] == "hook" and host == "controller":
            host = CONTROLLER
        return cls(match["module"] or "", match["task"], match["step"], host, key)


def _escape_index(pattern: str) -> str:
    """`["key"]` is an index, not a character class of a glob."""
    return re.sub(r"\[(?=[\"a-zA-Z])", "[[]", pattern)
