"""Which literal of the client's own tests stands for which object.

An id is translated where it stands for something that must exist: in the path, as project and organisation,
and in the body. A filter of a list may name what is unknown, and an `order_by` or a URL is no id: they stay.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.sdk.generated.world import World

Make = Callable[[], Awaitable[str]]
UUID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


async def real_path(world: World, method: str, path: str, query: dict[str, str]) -> str:
    """The path with real ids; objects of their own for requests that change something."""
    parts = path.split("/")
    kind = parts[4] if parts[3] == "beta" else parts[3]
    table = _to_read(world) if method == "GET" else _to_change(world)
    if method == "DELETE" and "force" not in query:
        table |= {(kind, "job_id"): lambda: world.cancelled(kind)}
    if method == "PUT":
        # It will be called x, and the one that is called so by now is the only one that may be.
        table |= {("configurations", "config_id"): lambda: world.classify_configuration("x")}
    made: dict[str, str] = {}
    for part in parts:
        if part == "directory_file_id" and method != "GET":
            made[part] = await world.directory_file(made["directory_id"])
        elif make := table.get((kind, part)):
            made[part] = await make()
    return "/".join(made.get(part, part) for part in parts)


def _to_read(world: World) -> dict[tuple[str, str], Make]:
    finished, kept = world.finished, world.kept
    return {
        ("batches", "batch_id"): _same(finished["batches"]),
        ("parse", "job_id"): _same(finished["parse"]),
        ("extract", "job_id"): _same(finished["extract"]),
        ("projects", UUID): _same(world.project_id),
        ("directories", "directory_id"): _same(kept["directory"]),
        ("directories", "directory_file_id"): _same(kept["directory_file"]),
        ("files", UUID): _same(kept["file"]),
        ("configurations", "config_id"): _same(kept["configuration"]),
        ("webhook-configs", "config_id"): _same(kept["webhook"]),
    }


def _to_change(world: World) -> dict[tuple[str, str], Make]:
    return {
        ("batches", "batch_id"): world.batch,
        ("parse", "job_id"): world.parse_job,
        ("extract", "job_id"): world.extract_job,
        ("directories", "directory_id"): world.filled_directory,
        ("files", UUID): world.file,
        ("configurations", "config_id"): world.classify_configuration,
        ("webhook-configs", "config_id"): world.webhook_configuration,
    }


async def real_query(
    world: World, method: str, path: str, query: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The key's own project and organisation, and the token of the list's second page where it has one."""
    ours = {"project_id": world.project_id, "organization_id": world.organization_id}
    real = [(name, ours.get(name, value)) for name, value in query]
    if method == "GET" and ("page_token", "page_token") in real:
        token = await world.next_page(path, real)
        return [(name, token if token and name == "page_token" else value) for name, value in real]
    return real


async def real_body(world: World, body: Any) -> Any:
    """The body with real ids, at any depth."""
    match body:
        case dict():
            return {key: await _real_value(world, key, value) for key, value in body.items()}
        case list():
            return [await real_body(world, one) for one in body]
        case _:
            return body


async def _real_value(world: World, key: str, value: Any) -> Any:
    async def entry() -> str:
        return await world.directory_file(await world.directory())

    makers: dict[tuple[str, str], Make] = {
        ("source_directory_id", "dir-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"): world.filled_directory,
        ("target_directory_id", "target_directory_id"): world.directory,
        ("file_id", "file_id"): world.file,
        ("file_id", "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"): entry,
        ("file_input", "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"): entry,
        ("configuration_id", "configuration_id"): world.parse_configuration,
        ("configuration_id", "cfg-11111111-2222-3333-4444-555555555555"): world.extract_configuration,
        ("parse_config_id", "cfg-11111111-2222-3333-4444-555555555555"): world.parse_configuration,
        ("project_id", UUID): _same(world.project_id),
    }
    if key == "webhook_configuration_ids":
        return [await world.webhook_configuration() if one == "whc-..." else one for one in value]
    if isinstance(value, str) and (make := makers.get((key, value))):
        return await make()
    return await real_body(world, value)


def _same(known: str) -> Make:
    async def make() -> str:
        return known

    return make
