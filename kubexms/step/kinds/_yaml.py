"""YAML that kinds read, by libyaml where PyYAML was built with it: a tenth of the time."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_all(text: str) -> list[Any]:
    """All documents, an empty one as None. Raises `yaml.YAMLError`."""
    try:
        return list(yaml.load_all(text, Loader=_LOADER))
    except UnicodeEncodeError as error:  # libyaml is given bytes
        raise yaml.YAMLError(f"it is not UTF-8: {error}") from None


def load(text: str) -> Any:
    """The first document; None if there is none. Raises `yaml.YAMLError`, also for more than one."""
    found = load_all(text)
    if len(found) > 1:
        raise yaml.YAMLError("there are several documents where one is expected")
    return found[0] if found else None
