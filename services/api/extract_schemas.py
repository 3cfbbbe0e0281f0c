"""Schemas of extractions: looked at, and written (contract 2.6)."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.api.dependencies import ProjectId, Storage, Uow
from services.api.inputs import input_of
from services.api.schema_writer import MOST_PROMPT, SchemaWriter, Wish
from services.api.shown_as import ShownAs
from shared.configurations import service as configuration_service
from shared.configurations.options import Parameters, Product
from shared.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput
from shared.jobs import service as job_service
from shared.jobs.lifecycle import JobType
from shared.jobs.result import markdown_full, text_full
from shared.storage.port import BlobStorage

router = APIRouter(tags=["extract"])
BASE = "/api/v2/extract/schema"


class SchemaBody(BaseModel):
    """A schema to look at; the answer is the same schema."""

    data_schema: dict[str, Any]


class SchemaWish(BaseModel):
    """What a schema is to be made from."""

    name: Annotated[str, Field(max_length=255)] | None = None
    prompt: Annotated[str, Field(max_length=MOST_PROMPT)] | None = None
    file_id: str | None = None
    data_schema: dict[str, Any] | None = None


class GeneratedOut(BaseModel):
    """A body for `POST /api/v1/beta/configurations`."""

    name: str
    parameters: Annotated[dict[str, Any], ShownAs(Parameters)]


@router.post(BASE + "/validation")
async def validate_schema(_project: ProjectId, asked: SchemaBody) -> SchemaBody:
    """The schema again, if an extraction can work with it; else 400 with the place and the reason."""
    await configuration_service.check_data_schema(asked.data_schema)
    return asked


@router.post(BASE + "/generate")
async def generate_schema(
    request: Request, uow: Uow, storage: Storage, project_id: ProjectId, asked: SchemaWish
) -> GeneratedOut:
    """A body for saving a configuration: with a schema that a model writes from `prompt`, `file_id` (a file
    that was parsed, or a parse job) and `data_schema`, what is there of them. A `data_schema` alone is given
    back, if an extraction can work with it. Without a model a `prompt` or a `file_id` is 400."""
    alone = not asked.prompt and asked.file_id is None
    if alone and asked.data_schema is not None:
        await configuration_service.check_data_schema(asked.data_schema)
        return _generated(asked.name or _name_of(asked.data_schema), asked.data_schema)
    writer: SchemaWriter | None = request.app.state.schema_writer
    if writer is None:
        raise InvalidInput(
            "Generating a schema is not available on this server: a model would have to write it, and none is"
            " configured. Send a data_schema alone."
        )
    if alone:
        raise InvalidInput("One of prompt, file_id and data_schema is needed.")
    document = None
    if asked.file_id is not None:
        document = await _text_of(uow, storage, project_id, asked.file_id)
    # A model takes its time: no transaction waits for it.
    await uow.commit()
    wish = Wish(asked.prompt, document, asked.data_schema)
    name, schema = await writer.write(wish, configuration_service.check_data_schema)
    return _generated(asked.name or name, schema)


async def _text_of(uow: UnitOfWork, storage: BlobStorage, project_id: UUID, named: str) -> str:
    source = await input_of(uow, project_id, named)
    job_id = source.parse_job_id
    if job_id is None and source.sha256 is not None:
        job_id = await job_service.any_parse_of(uow, project_id, source.sha256)
    view = None if job_id is None else await job_service.get_job(uow, project_id, JobType.PARSE, job_id)
    document = None if view is None else await job_service.read_result(storage, view)
    if document is None:
        raise InvalidInput(f"The file {named} was not parsed yet. Parse it first; then its text is known.")
    return markdown_full(document) or text_full(document)


def _generated(name: str, schema: Mapping[str, Any]) -> GeneratedOut:
    parameters = {"product_type": Product.EXTRACT.value, "data_schema": schema}
    return GeneratedOut(name=name, parameters=parameters)


def _name_of(schema: Mapping[str, Any]) -> str:
    title = schema.get("title")
    return title[:255] if isinstance(title, str) and title else "extraction"
