"""Text to data and back: YAML and JSON documents that remember where each value was written."""

from kubexms.config.yaml.document import Document, Path
from kubexms.config.yaml.reader import read_documents, read_value
from kubexms.config.yaml.source import SourceText, decode

__all__ = ["Document", "Path", "SourceText", "decode", "read_documents", "read_value"]
