"""Evidence as PostgreSQL has it: in rows, in columns, and by paths that are checked by its structs."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import msgspec
from psycopg.rows import BaseRowFactory, kwargs_row
from psycopg.types.json import Jsonb

from metering.billing.evidence import Evidence, evidence_from

Row = TypeVar("Row")


def with_evidence(kind: Callable[..., Row]) -> BaseRowFactory[Row]:
    """Row factory for a class with a field `evidence`."""

    def made(*, evidence: Any, **columns: Any) -> Row:
        return kind(evidence=evidence_from(evidence), **columns)

    return kwargs_row(made)


def stored(evidence: Evidence) -> Jsonb:
    """Parameter for a column of evidence."""
    return Jsonb(evidence, dumps=msgspec.json.encode)


def path(kind: Any, *steps: str | int) -> str:
    """SQL path into a struct of evidence: (Evidence, "installations", 0, "end") is '{installations,0,end}'.

    Raises KeyError for a field that it does not have.
    """
    for step in steps:
        if isinstance(step, int):
            kind = get_args(kind)[0]
        else:
            kind = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}[step]
    return "'{" + ",".join(map(str, steps)) + "}'"
