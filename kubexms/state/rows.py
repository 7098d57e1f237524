"""Models to rows and back, and the statements that both the store and its documents use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import JsonValue, ValidationError
from sqlalchemy import Column, Connection, Table, select
from sqlalchemy.dialects.sqlite import insert

from kubexms.errors import StateError
from kubexms.spec.base import FrozenModel

M = TypeVar("M", bound=FrozenModel)


def text_of(model: FrozenModel) -> str:
    """A model as the text of its row."""
    return json.dumps(model.to_json(), sort_keys=True, separators=(",", ":"))


def model_of(kind: type[M], text: str) -> M:
    """The model of a row's text. Raises `StateError` if the row is damaged."""
    try:
        return kind.from_json(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise StateError(
            f"the state is damaged: a {kind.__name__} in it cannot be read",
            detail="Put one of the copies in its directory `backups` in its place.",
        ) from error


def put(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those with the same key."""
    if not rows:
        return
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if rest:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=rest)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    connection.execute(statement, [dict(row) for row in rows])


def drop(connection: Connection, column: Column[str], values: Sequence[str]) -> None:
    """Delete the rows with these keys."""
    table = column.table
    for start in range(0, len(values), 500):
        connection.execute(table.delete().where(column.in_(values[start : start + 500])))


def by_key(connection: Connection, table: Table, kind: type[M]) -> dict[str, M]:
    """A whole table of models by their key, sorted by it."""
    key = next(iter(table.primary_key))
    found = connection.execute(select(key, table.c.data).order_by(key))
    return {name: model_of(kind, text) for name, text in found}


def plain(models: Mapping[str, FrozenModel]) -> dict[str, JsonValue]:
    """Models as part of a document."""
    return {name: model.to_json() for name, model in models.items()}
