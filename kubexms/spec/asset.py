"""Files of the controller that steps use, as data: where, how long, and the digest of their bytes."""

from __future__ import annotations

from kubexms.spec.base import FrozenModel

ASSET = {"x-kubexms": "asset"}
"""`json_schema_extra` of a field that names a controller file: rendering replaces the path by an `Asset`."""

TEMPLATE_FILE = {"x-kubexms": "templateFile"}
"""`json_schema_extra` of a field that names a Jinja2 file: rendering puts the rendered text in its place."""


class Asset(FrozenModel):
    """A controller file whose bytes were hashed when the step was rendered."""

    path: str
    """Absolute path on the controller."""
    sha256: str
    """Lower-case hexadecimal digest of the bytes."""
    size: int
    """Length in bytes."""
