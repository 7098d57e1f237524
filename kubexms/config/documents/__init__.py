"""Documents: what kinds there are, their published schemas, and checking a document against them."""

from kubexms.config.documents.kinds import (
    API_VERSION,
    DEFAULT_KINDS,
    Building,
    DocumentKind,
    DocumentKinds,
)
from kubexms.config.documents.schema import KindCatalog, SchemaSet
from kubexms.config.documents.validate import Validated, validate_document

__all__ = [
    "API_VERSION",
    "DEFAULT_KINDS",
    "Building",
    "DocumentKind",
    "DocumentKinds",
    "KindCatalog",
    "SchemaSet",
    "Validated",
    "validate_document",
]
