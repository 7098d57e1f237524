"""The docstrings of fields, read from the source when somebody asks.

pydantic reads them as well (`use_attribute_docstrings`), but when each class is made: that is a sixth of what
a command takes to start, and only schemas and explanations need them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap

from pydantic import BaseModel


@functools.cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Field name to what the docstring below it says, or its `Field(description=...)`.

    Those of base classes are included. A class whose source is not to be had has none.
    """
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _below_fields(base)
    for name, field in model.model_fields.items():
        if field.description is not None:
            found[name] = field.description
    return {name: text for name, text in found.items() if name in model.model_fields}


def _below_fields(model: type[BaseModel]) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, TypeError, SyntaxError):
        return {}
    definition = tree.body[0]
    if not isinstance(definition, ast.ClassDef):
        return {}
    found: dict[str, str] = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = inspect.cleandoc(text.value.value)
    return found
