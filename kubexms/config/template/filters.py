"""Filters beyond Jinja2's own. All take and return plain data, and are pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import FilterArgumentError
from jinja2.runtime import Undefined

from kubexms.config.template.tracked import detach
from kubexms.config.yaml import read_value
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError

MAX_PATTERN_INPUT = 1 << 20
"""Characters that a regular expression is applied to."""

NEEDS_PLAIN = ("dictsort", "items", "pprint", "tojson", "urlencode", "xmlattr")
"""Filters of Jinja2 that insist on real dicts and lists."""

GUARDED = ("batch", "center", "format", "indent", "join", "replace", "slice", "wordwrap")
"""Filters of Jinja2 whose results may be far larger than their arguments."""


def _data(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)
    plain = detach(value)
    return (
        list(plain)
        if not isinstance(plain, (str, int, float, list, tuple, dict, bytes, type(None)))
        else plain
    )


def _text(value: Any) -> str:
    plain = _data(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, (str, int, float)):
        return str(plain)
    raise FilterArgumentError(f"text is expected, not {type(plain).__name__}")


def to_json(value: Any, indent: int | None = None, sort_keys: bool = False) -> str:
    """JSON text; one line unless `indent` is given."""
    return json.dumps(_data(value), ensure_ascii=False, indent=indent, sort_keys=sort_keys)


def from_json(value: Any) -> Any:
    """What a JSON text holds."""
    try:
        return json.loads(_text(value))
    except ValueError as error:
        raise FilterArgumentError(f"not valid JSON: {error}") from None


def to_yaml(value: Any) -> str:
    """YAML in block style, ambiguous strings quoted."""
    return dump_yaml(_data(value))


def from_yaml(value: Any) -> Any:
    """What a YAML text holds."""
    try:
        return read_value(_text(value).encode(), "text").value
    except ConfigError as error:
        raise FilterArgumentError(f"{error.summary}. {error.detail}") from None


def b64encode(value: Any) -> str:
    """Base64 of the UTF-8 bytes."""
    return base64.b64encode(_text(value).encode()).decode()


def b64decode(value: Any) -> str:
    """The UTF-8 text that was encoded."""
    try:
        return base64.b64decode(_text(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise FilterArgumentError(f"not base64 of UTF-8 text: {error}") from None


def sha256(value: Any) -> str:
    """Lower-case hexadecimal digest of the UTF-8 bytes."""
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _pattern(pattern: str, text: str, ignorecase: bool) -> re.Pattern[str]:
    if len(text) > MAX_PATTERN_INPUT:
        raise FilterArgumentError(f"the text is longer than {MAX_PATTERN_INPUT} characters")
    try:
        return re.compile(pattern, re.IGNORECASE if ignorecase else 0)
    except re.error as error:
        raise FilterArgumentError(f"not a regular expression: {error}") from None


def regex_replace(value: Any, pattern: str, replacement: str = "", ignorecase: bool = False) -> str:
    """Every match replaced; `\\1` stands for a group."""
    text = _text(value)
    try:
        return _pattern(_text(pattern), text, ignorecase).sub(_text(replacement), text)
    except re.error as error:
        raise FilterArgumentError(f"not a replacement: {error}") from None


def regex_search(value: Any, pattern: str, ignorecase: bool = False) -> str:
    """The first match (its first group, if it has one), or an empty text."""
    text = _text(value)
    match = _pattern(_text(pattern), text, ignorecase).search(text)
    if match is None:
        return ""
    return str(match[1] or "") if match.re.groups else match[0]


def quote(value: Any) -> str:
    """One word for a POSIX shell; a list becomes several."""
    plain = _data(value)
    if isinstance(plain, (list, tuple)):
        return " ".join(shlex.quote(_text(item)) for item in plain)
    return shlex.quote(_text(plain))


def _network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(_text(value), strict=False)
    except ValueError as error:
        raise FilterArgumentError(str(error)) from None


def cidr_network(value: Any) -> str:
    """The network of an address with a prefix: `10.0.0.7/24` gives `10.0.0.0/24`."""
    return str(_network(value))


def cidr_host(value: Any, number: Any) -> str:
    """The address with this number in the network; a negative number counts from the end."""
    network = _network(value)
    if not isinstance(number, int) or not -network.num_addresses <= number < network.num_addresses:
        raise FilterArgumentError(f"{network} has no address {number}")
    return str(network[number])


def cidr_netmask(value: Any) -> str:
    """`255.255.255.0` for `/24`."""
    return str(_network(value).netmask)


def cidr_prefix(value: Any) -> int:
    """The length of the prefix, as a number."""
    return _network(value).prefixlen


def ip_version(value: Any) -> int:
    """4 or 6, of an address with or without a prefix."""
    return _network(value).version


def combine(value: Any, *others: Any, recursive: bool = False) -> dict[str, Any]:
    """Mappings merged, later ones winning; `recursive` merges what is inside, too."""
    merged: dict[str, Any] = {}
    for item in (value, *others):
        plain = _data(item)
        if not isinstance(plain, dict):
            raise FilterArgumentError(f"a mapping is expected, not {type(plain).__name__}")
        merged = _merge(merged, plain, recursive)
    return merged


def _merge(into: Mapping[str, Any], other: Mapping[str, Any], recursive: bool) -> dict[str, Any]:
    merged = dict(into)
    for key, value in other.items():
        old = merged.get(key)
        both = recursive and isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(old, value, True) if both and isinstance(old, dict) else value
    return merged


def basename(value: Any) -> str:
    """The last part of a path."""
    return _text(value).rstrip("/").rpartition("/")[2]


def dirname(value: Any) -> str:
    """A path without its last part."""
    head = _text(value).rstrip("/").rpartition("/")
    return head[0] or head[1]


FILTERS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        b64decode,
        b64encode,
        basename,
        cidr_host,
        cidr_netmask,
        cidr_network,
        cidr_prefix,
        combine,
        dirname,
        from_json,
        from_yaml,
        ip_version,
        quote,
        regex_replace,
        regex_search,
        sha256,
        to_json,
        to_yaml,
    )
}
"""Filters by name."""
