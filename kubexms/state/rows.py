"""Statements of the writer and of documents, each built once: building costs more than running."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Delete, Insert, Table, bindparam
from sqlalchemy.dialects.sqlite import insert


def put(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those with the same key. All rows have the same columns."""
    if rows:
        connection.execute(_put(table, tuple(rows[0])), [dict(row) for row in rows])


def drop(connection: Connection, column: Column[str], values: Sequence[str]) -> None:
    """Delete the rows with these keys."""
    if values:
        connection.execute(_drop(column), [{"wanted": value} for value in values])


@functools.lru_cache(maxsize=64)
def _put(table: Table, columns: tuple[str, ...]) -> Insert:
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {name: statement.excluded[name] for name in columns if name not in keys}
    if rest:
        return statement.on_conflict_do_update(index_elements=keys, set_=rest)
    return statement.on_conflict_do_nothing(index_elements=keys)


@functools.lru_cache(maxsize=64)
def _drop(column: Column[str]) -> Delete:
    return column.table.delete().where(column == bindparam("wanted"))
