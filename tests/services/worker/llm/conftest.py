"""Real endpoints, and documents to ask about."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from services.worker.llm import LanguageModel
from shared.jobs.result import Page, ResultDocument
from tests.endpoint.server import ModelServer

KEY = "sk-of-the-tests"
MODEL = "smollm2-135m"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "invoice_number": {"type": "string", "description": "number of the invoice"},
        "total": {"type": "number", "description": "amount to pay"},
    },
    "required": ["invoice_number", "total"],
}
INVOICE = "ACME Ltd\nInvoice number: 48213\nDate: 5 March 2024\nTotal due: 12.50 USD\n"


def document(*texts: str) -> ResultDocument:
    """A document of one page for each text."""
    return ResultDocument("test", tuple(Page(number, text) for number, text in enumerate(texts, 1)))


def asking(schema: dict[str, Any] = SCHEMA, **parameters: Any) -> dict[str, Any]:
    """The parameters of an extraction."""
    return {"data_schema": schema, "extraction_target": "per_doc", **parameters}


def model_of(server: ModelServer, **options: Any) -> LanguageModel:
    """A model on a server, with short answers."""
    wanted = {"api_key": server.key, "model": MODEL, "timeout_s": 60.0, "max_tokens": 100, **options}
    return LanguageModel(server.base_url, **wanted)


@pytest.fixture(scope="session")
def server() -> Iterator[ModelServer]:
    """One request at a time, 1,024 tokens, behind a key."""
    served = ModelServer(context=1_024, key=KEY).start().until_up()
    yield served
    served.kill()


@pytest.fixture
async def model(server: ModelServer) -> AsyncIterator[LanguageModel]:
    """The model there, asked for the first time."""
    made = model_of(server)
    yield made
    await made.close()


@pytest.fixture
def mortal() -> Iterator[ModelServer]:
    """One that was not started yet."""
    made = ModelServer(context=4_096)
    yield made
    made.kill()
