"""Plain JSON that the OpenAPI document describes by a model, and nothing checks again on its way out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class ShownAs:
    """`Annotated[dict[str, Any], ShownAs(Model)]`: the value goes out as it is, the document shows `Model`.

    For what was checked when it was stored or read, and may be large: a result of 5,000 pages.
    """

    model: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """That of the annotated type."""
        return handler(source)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """That of the model."""
        return handler(TypeAdapter(self.model).core_schema)


class Described(BaseModel):
    """A model that only describes. More keys than it names may be there."""

    model_config = ConfigDict(extra="allow")


Plain = Mapping[str, Any]
