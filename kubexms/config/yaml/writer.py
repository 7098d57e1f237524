"""Plain data to YAML that every reader understands alike."""

from __future__ import annotations

import yaml

from kubexms.config.yaml.composer import MERGE
from kubexms.config.yaml.scalars import classify
from kubexms.spec.base import Json


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value and not any(c in value for c in "\x85\u2028\u2029\r\t\ufeff"):
        style = "|"
    elif value == MERGE or classify(value) != (value, None) or not value.isprintable():
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _string)


def dump_yaml(value: Json) -> str:
    """One document in block style, key order kept; reading it back gives an equal value.

    Strings that any YAML reader could take for something else are quoted. Raises `ValueError` for
    numbers that JSON does not have.
    """
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
