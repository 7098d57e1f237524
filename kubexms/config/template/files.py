"""Template files: only those below the base directory, however the name or a symbolic link points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import BaseLoader
from jinja2.exceptions import TemplateNotFound

from kubexms.config.template.location import find_below
from kubexms.config.yaml import decode
from kubexms.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment


class BaseDirectory(BaseLoader):
    """Loads `a/b.j2` from below one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Jinja2's protocol: text, file name, and whether the file is still the same."""
        try:
            path = find_below(self.directory, template)
            before = _signature(path)
            text = decode(path.read_bytes(), template).text
        except ConfigError as error:
            raise TemplateNotFound(template, message=error.summary) from None
        except OSError as error:
            raise TemplateNotFound(template, message=f"{template}: {error.strerror}") from None
        return text, template, lambda: _signature(path) == before


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
