"""Reading files: YAML through libyaml's events, JSON by its own grammar."""

from __future__ import annotations

from kubexms.config.yaml.document import Document, Path
from kubexms.config.yaml.jsontext import parse_json
from kubexms.config.yaml.nodes import Expansion
from kubexms.config.yaml.scalars import Trap
from kubexms.config.yaml.source import SourceText, decode
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError


def read_documents(data: bytes, filename: str) -> tuple[Document, ...]:
    """Every document in a file; JSON if the name ends in `.json`, else YAML. Empty documents are left out.

    Ambiguous scalars are kept in `Document.traps` for whoever knows the schema. Raises `ConfigError`
    with all duplicate keys, unquoted keys and the like of the file at once.
    """
    source = decode(data, filename)
    if filename.endswith(".json"):
        return (parse_json(source),) if source.text.strip() else ()
    from kubexms.config.yaml.composer import compose  # PyYAML: nothing of it is needed for JSON

    roots = compose(source)
    documents = (Expansion(source).document(root, index) for index, root in roots)
    return tuple(document for document in documents if document.value is not None)


def read_value(data: bytes, filename: str) -> Document:
    """A file that holds one value without a schema of its own, a variables file for instance.

    Raises `ConfigError` for several documents, and for every ambiguous scalar. An empty file is null.
    """
    documents = read_documents(data, filename)
    if len(documents) > 1:
        summary = f"{filename} holds {len(documents)} documents where one is expected"
        raise ConfigError(summary, diagnostics=[documents[1].error((), summary)])
    if not documents:
        return Document(SourceText(filename, ""), None, {})
    errors = [trap_error(documents[0], path, trap) for path, trap in documents[0].traps.items()]
    if errors:
        raise ConfigError(errors[0].summary, detail=errors[0].detail, diagnostics=errors)
    return documents[0]


def trap_error(document: Document, path: Path, trap: Trap, *, expected: str = "") -> Diagnostic:
    """Why an ambiguous scalar is refused, and what to write instead."""
    quoted = f'"{trap.text}"'
    if expected == "boolean" and trap.reading == "a boolean":
        return document.error(path, f"expected true or false, not {trap.text}", "Write true or false.")
    detail = f"Quote it: {quoted}."
    if trap.reading == "a boolean":
        detail += " For a boolean write true or false."
    elif trap.number_ok:
        detail += f" For a number write {float(trap.text)!r}."
    elif "number" in trap.reading:
        detail += " For a number write it in plain decimal."
    return document.error(path, _ambiguous(trap), detail)


def _ambiguous(trap: Trap) -> str:
    return f"{trap.text} is ambiguous: YAML readers may take it for {trap.reading}"
