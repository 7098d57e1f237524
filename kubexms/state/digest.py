"""Digests: what two readings are compared by, without keeping what was read.

The format is public, because state and saved plans hold digests for years: canonical JSON (keys
sorted by code point, no white space, UTF-8 unescaped, defaults of models left out), SHA-256, and
the version of this format in front: `v1:` and 64 lower-case hexadecimal digits. A field added to a
model with a default therefore changes no digest. The keyed form is HMAC-SHA-256 over the same
bytes, `v1k:`; it stands for sensitive values, which a plain digest would let anyone guess.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from pydantic import JsonValue

from kubexms.spec.base import FrozenModel

PLAIN = "v1:"
KEYED = "v1k:"


def plain_json(value: object) -> JsonValue:
    """`value` as JSON data: models without their defaults, tuples as lists, sets as sorted lists.

    Raises `TypeError` for what JSON cannot say, such as bytes or a mapping with keys that are not strings.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # a StrEnum or another subclass counts as its text
    if isinstance(value, FrozenModel):
        return plain_json(value.to_json())
    if isinstance(value, Mapping):
        return {_key(name): plain_json(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain_json(item) for item in value]
    if isinstance(value, AbstractSet):
        return sorted((plain_json(item) for item in value), key=_dump)
    raise TypeError(f"cannot take the digest of a {type(value).__name__}")


def canonical_json(value: object) -> bytes:
    """The bytes that a digest is taken of. Raises `TypeError`, and `ValueError` for NaN and infinities."""
    return _dump(plain_json(value)).encode("utf-8", "surrogatepass")


def digest(value: object) -> str:
    """The digest of JSON data or of a model: equal data have equal digests, in whatever order of keys."""
    return PLAIN + hashlib.sha256(canonical_json(value)).hexdigest()


def keyed_digest(key: bytes, value: object) -> str:
    """The digest that stands for a sensitive value: worthless to whoever has not got `key` (32 bytes)."""
    if len(key) < 16:
        raise ValueError("the key of a digest has at least 16 bytes")
    return KEYED + hmac.new(key, canonical_json(value), hashlib.sha256).hexdigest()


def same_digest(first: str, second: str) -> bool:
    """Whether two digests are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(first.encode(), second.encode())


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a key of a JSON object is a string, not a {type(name).__name__}")
    return str.__str__(name)


def _dump(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
