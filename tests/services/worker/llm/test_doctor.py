"""What `batchmill doctor` says of a real endpoint."""

from services.cli import extract_check
from shared.config import Extract, Settings
from tests.endpoint.server import ModelServer


async def said(server: ModelServer, **options: object) -> tuple[str, str]:
    wanted = {"base_url": server.base_url, "api_key": server.key, "model": "any", **options}
    return await extract_check.look(Settings(extract=Extract.model_validate(wanted)))


async def test_a_model_that_answers_is_well(server: ModelServer) -> None:
    detail, advice = await said(server)
    assert advice == ""
    assert detail.startswith(f"openai: any at 127.0.0.1:{server.port}/v1; it names ")
    assert ".gguf" in detail


async def test_nobody_there_is_told(mortal: ModelServer) -> None:
    detail, advice = await said(mortal)
    assert detail.endswith("/v1")
    assert "cannot be reached" in advice
    assert "BATCHMILL_EXTRACT__BASE_URL" in advice


async def test_rules_need_nobody() -> None:
    assert await extract_check.look(Settings(extract=Extract(engine="rules"))) == (
        "rules: no model is asked",
        "",
    )


async def test_a_wrong_key_is_told_and_not_shown(server: ModelServer) -> None:
    _, advice = await said(server, api_key="sk-of-a-stranger")
    assert "BATCHMILL_EXTRACT__API_KEY" in advice
    assert "stranger" not in advice
