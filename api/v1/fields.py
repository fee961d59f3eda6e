"""Sparse fields: `?fields=id,model` keeps those of a document, and what names it.

A document of which fields can be left out is `Sparse`: in the OpenAPI only its first field, which names it,
is required. A route asks for `only: Annotated[Fields, fields_of(Meter)]` and answers `only.of(document)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict

from api.web.problems import invalid


def _only_the_name_is_required(schema: dict[str, Any]) -> None:
    properties: Mapping[str, Any] = schema["properties"]
    schema["required"] = [next(iter(properties))]


class Sparse(BaseModel):
    """A document of which `fields` keeps a part; the first of its fields always comes along."""

    model_config = ConfigDict(json_schema_extra=_only_the_name_is_required)


Document = TypeVar("Document", bound=Sparse)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that were asked for; None: all of them."""

    names: frozenset[str] | None = None

    def of(self, document: Document) -> Document:
        """The document with these fields and the one that names it; the others are not in its JSON."""
        if self.names is None:
            return document
        kind = type(document)
        kept = [name for position, name in enumerate(kind.model_fields) if not position or name in self.names]
        return kind.model_construct(set(kept), **{name: getattr(document, name) for name in kept})


def fields_of(document: type[Sparse]) -> Any:
    """The dependency that reads `fields` for this kind of document; 422 for names that it does not have."""
    known = list(document.model_fields)

    async def asked(
        fields: Annotated[
            str | None,
            Query(
                max_length=500,
                description=f"The fields to answer, separated by commas, of: {', '.join(known)}.",
                examples=[",".join(known[:2])],
            ),
        ] = None,
    ) -> Fields:
        if fields is None:
            return Fields()
        names = [name.strip() for name in fields.split(",")]
        if strange := [name for name in names if name not in known]:
            raise invalid(
                "query.fields",
                f"There is no field {', '.join(map(repr, strange))} here; known: {', '.join(known)}.",
            )
        return Fields(frozenset(names))

    return Depends(asked)
