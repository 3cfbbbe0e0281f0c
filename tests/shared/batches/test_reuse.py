"""Reuse at spread: what is found again, what never is, and that each file is counted once."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.batches import draining, orchestration, spreading
from shared.batches import service as batch_service
from shared.batches.advance import Step
from shared.jobs import service as job_service
from shared.jobs.recipe import recipe_of
from shared.lanes.limits import Hold
from shared.queue.messages import Dispatch
from shared.workers import service as worker_service
from tests.shared.batches.by_hand import limit
from tests.shared.conftest import KIND, Mill, done, make_mill
from tests.twins import HeardBells

ENGINE = "engines of today"


@pytest.fixture
async def mill(resources: Any) -> Mill:
    """A mill whose spread knows its engines."""
    made = await make_mill(resources)
    made.engine = ENGINE
    return made


def digest(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


async def add(mill: Mill, files: Sequence[tuple[str, str]]) -> None:
    """Put (name, content) into the mill's directory."""
    for name, content in files:
        await mill.sql(
            "INSERT INTO directory_files (project_id, directory_id, file_id, display_name, unique_id,"
            " size_bytes, sha256) VALUES (:p, :d, :f, :n, :u, 1, :s)",
            p=mill.project_id,
            d=mill.directory_id,
            f=mill.file_id,
            n=name,
            u=str(uuid4()),
            s=digest(content),
        )


async def new_directory(mill: Mill, files: Sequence[tuple[str, str]]) -> None:
    mill.directory_id = await mill.one(
        "INSERT INTO directories (project_id, name) VALUES (:p, 'd') RETURNING id", p=mill.project_id
    )
    await add(mill, files)


async def opened(mill: Mill, files: Sequence[tuple[str, str]], **options: Any) -> UUID:
    """A batch over a new directory of these files."""
    await new_directory(mill, files)
    batch_id = await mill.open_batch()
    if options:
        await mill.sql(
            "UPDATE batches SET config = jsonb_set(config, '{parameters}', config->'parameters'"
            " || CAST(:o AS jsonb)) WHERE id = :b",
            o=str(options).replace("'", '"').replace("True", "true").replace("False", "false"),
            b=batch_id,
        )
    return batch_id


async def parse_all(mill: Mill, batch_id: UUID, *, failing: Sequence[str] = ()) -> int:
    """Bring the batch to its end as workers of this engine would; answers how many files they ran."""
    ran = 0
    for _ in range(1_000):
        if await mill.advance(batch_id) is Step.ENDED:
            return ran
        await mill.dispatch()
        while (held := await mill.take()) is not None:
            recipe = recipe_of(held.parameters, mill.engine or "")
            ends = [
                replace(
                    done(held.chunk, file, "PDF_IS_BROKEN" if file.name in failing else None), recipe=recipe
                )
                for file in held.files
            ]
            ran += len(ends)
            await mill.close(held.chunk, ends)
    raise AssertionError("the batch did not end")


FILES = [("a.txt", "one"), ("b.txt", "two"), ("c.md", "three")]


async def test_an_unchanged_directory_meets_no_worker_and_settles_by_itself(
    mill: Mill, bells: HeardBells
) -> None:
    first = await opened(mill, FILES)
    assert await parse_all(mill, first) == 3
    second = await opened(mill, FILES)
    bells.rung.clear()
    assert await mill.advance(second) is Step.ENDED, "one look, without a grant"
    assert len(bells.heard(Dispatch)) == 1, "only the end of the batch rings its lane"
    await mill.assert_exact(second)
    row = await mill.batch(second)
    assert (row.ok, row.reused, row.total) == (3, 3, 3)
    pairs = await mill.sql(
        "SELECT a.id, a.result_key, a.pages, a.engine, b.reused_from, b.result_key, b.pages, b.engine,"
        " b.seconds, b.token, b.finished_at IS NOT NULL FROM jobs a JOIN jobs b ON b.name = a.name"
        " WHERE a.batch_id = :a AND b.batch_id = :b",
        a=first,
        b=second,
    )
    assert len(pairs) == 3
    for origin, key, pages, engine, reused_from, key_b, pages_b, engine_b, *rest in pairs:
        assert (reused_from, key_b, pages_b, engine_b) == (origin, key, pages, engine)
        assert rest == [None, None, True]


async def test_a_third_run_shares_the_first_result_not_the_second(mill: Mill) -> None:
    batches = [await opened(mill, FILES[:1]) for _ in range(3)]
    for batch_id in batches:
        await parse_all(mill, batch_id)
    origins = await mill.sql("SELECT DISTINCT coalesce(reused_from, id) FROM jobs")
    assert len(origins) == 1


async def test_only_what_changed_is_run(mill: Mill) -> None:
    many = [(f"{n}.txt", str(n)) for n in range(100)]
    assert await parse_all(mill, await opened(mill, many)) == 100
    many[41] = ("41.txt", "changed")
    batch_id = await opened(mill, many)
    assert await parse_all(mill, batch_id) == 1
    await mill.assert_exact(batch_id)
    assert (await mill.batch(batch_id)).reused == 99


@pytest.mark.parametrize(
    ("files", "options", "reused"),
    [
        ([("renamed.txt", "one")], {}, 1),
        ([("RENAMED.TXT", "one")], {}, 1),
        ([("a.csv", "one")], {}, 0),
        ([("a", "one")], {}, 0),
        ([(".txt", "one")], {}, 0),
        ([("a.txt/", "one")], {}, 0),
        ([("a.txt", "other")], {}, 0),
        ([("a.txt", "one")], {"tier": "agentic"}, 0),
        ([("a.txt", "one")], {"version": "2026-06-15"}, 0),
        ([("a.txt", "one")], {"page_ranges": {"max_pages": 1}}, 0),
        ([("a.txt", "one")], {"an_option_of_tomorrow": True}, 0),
        ([("a.txt", "one")], {"disable_cache": True}, 0),
        ([("a.txt", "one")], {"disable_cache": False, "client_name": "somebody"}, 1),
    ],
)
async def test_what_decides_the_result_is_the_same_or_it_is_not_reused(
    mill: Mill, files: list[tuple[str, str]], options: dict[str, Any], reused: int
) -> None:
    await parse_all(mill, await opened(mill, FILES))
    batch_id = await opened(mill, files, **options)
    assert await parse_all(mill, batch_id) == len(files) - reused
    await mill.assert_exact(batch_id)


async def test_another_project_never_gets_it(mill: Mill, resources: Any) -> None:
    await parse_all(mill, await opened(mill, FILES))
    other = await make_mill(resources)
    other.engine = ENGINE
    assert await parse_all(other, await opened(other, FILES)) == 3
    assert await other.one("SELECT count(*) FROM jobs WHERE reused_from IS NOT NULL") == 0


async def test_a_row_that_names_a_job_of_another_project_is_not_believed(mill: Mill, resources: Any) -> None:
    await parse_all(mill, await opened(mill, FILES))
    other = await make_mill(resources)
    other.engine = ENGINE
    await mill.sql("UPDATE reusable_results SET project_id = :o", o=other.project_id)
    assert await parse_all(other, await opened(other, FILES)) == 3


async def test_failures_and_what_has_no_hash_are_not_reused(mill: Mill) -> None:
    await parse_all(mill, await opened(mill, FILES), failing=["b.txt"])
    again = await opened(mill, FILES)
    assert await parse_all(mill, again) == 1, "the one that failed"
    await mill.open_batch(2)
    unknown = await mill.one("SELECT count(*) FROM reusable_results WHERE length(sha256) <> 32")
    assert unknown == 0


@pytest.mark.parametrize("engines", [["engines of tomorrow"], [ENGINE, "engines of tomorrow"], [None]])
async def test_while_workers_read_with_other_engines_nothing_of_these_is_reused(
    mill: Mill, engines: list[str | None]
) -> None:
    await parse_all(mill, await opened(mill, FILES))
    for engine in engines:
        async with mill.resources.unit_of_work() as uow:
            await worker_service.enlist(uow, uuid4(), queues=["parse"], slots=1, engine=engine)
    batch_id = await opened(mill, FILES)
    await mill.advance(batch_id)
    assert (await mill.batch(batch_id)).reused == 0
    await mill.sql("UPDATE workers SET seen_at = now() - interval '1 h'")
    assert (await mill.batch(batch_id)).total == 3


async def test_workers_that_drain_or_are_gone_do_not_say_what_is_reused(mill: Mill) -> None:
    await parse_all(mill, await opened(mill, FILES))
    for _ in range(2):
        async with mill.resources.unit_of_work() as uow:
            await worker_service.enlist(uow, uuid4(), queues=["parse"], slots=1, engine="of yesterday")
    await mill.sql("UPDATE workers SET drain = true WHERE id = (SELECT id FROM workers LIMIT 1)")
    await mill.sql("UPDATE workers SET seen_at = now() - interval '1 h' WHERE NOT drain")
    assert await parse_all(mill, await opened(mill, FILES)) == 0


async def test_a_result_of_other_engines_does_not_displace_one(mill: Mill) -> None:
    await parse_all(mill, await opened(mill, FILES))
    mill.engine = "engines of tomorrow"
    assert await parse_all(mill, await opened(mill, FILES)) == 3
    assert await parse_all(mill, await opened(mill, FILES)) == 0
    mill.engine = ENGINE
    assert await parse_all(mill, await opened(mill, FILES)) == 0


async def job_of(mill: Mill, batch_id: UUID) -> UUID:
    found: UUID = await mill.one("SELECT id FROM jobs WHERE batch_id = :b AND seq = 1", b=batch_id)
    return found


@pytest.mark.parametrize("deleted", ["the job that made it", "a job that shares it", "the file"])
async def test_a_deleted_result_is_not_reused_and_those_who_share_it_keep_it(
    mill: Mill, deleted: str
) -> None:
    batches = [await opened(mill, FILES[:1]) for _ in range(3)]
    for batch_id in batches:
        await parse_all(mill, batch_id)
    made, shares, kept = [await job_of(mill, batch_id) for batch_id in batches]
    async with mill.resources.unit_of_work() as uow:
        if deleted == "the file":
            await job_service.forget_results_of(uow, mill.project_id, digest("one"))
        else:
            victim = made if deleted == "the job that made it" else shares
            await job_service.delete_job(uow, mill.project_id, KIND, victim)
        await uow.commit()
    keys = await mill.sql("SELECT result_key FROM jobs WHERE id = ANY(:j)", j=[made, kept])
    assert keys[0] == keys[1], "its place is still named"
    async with mill.resources.unit_of_work() as uow:
        assert (await job_service.get_job(uow, mill.project_id, KIND, kept)).status == "COMPLETED"
    assert await parse_all(mill, await opened(mill, FILES[:1])) == 1
    assert await parse_all(mill, await opened(mill, FILES[:1])) == 0, "the new one takes its place"


async def test_a_job_that_is_gone_or_hidden_by_whatever_statement_is_not_found(mill: Mill) -> None:
    for statement in ("UPDATE jobs SET deleted_at = now()", "DELETE FROM jobs"):
        await parse_all(mill, await opened(mill, FILES))
        await mill.sql(statement)
        assert await parse_all(mill, await opened(mill, FILES)) == 3


async def test_the_newest_result_is_the_one_that_is_reused(mill: Mill) -> None:
    await parse_all(mill, await opened(mill, FILES[:1]))
    fresh = await opened(mill, FILES[:1], disable_cache=True)
    assert await parse_all(mill, fresh) == 1
    last = await opened(mill, FILES[:1])
    await parse_all(mill, last)
    assert await mill.one("SELECT reused_from FROM jobs WHERE batch_id = :b", b=last) == await job_of(
        mill, fresh
    )


async def test_two_batches_at_once_both_run_and_neither_waits_for_the_other_for_ever(mill: Mill) -> None:
    """The same documents in two orders, flushed at once: rows are written in one order by everybody."""
    many = [(f"{n}.txt", str(n)) for n in range(60)]
    batches = [await opened(mill, many), await opened(mill, many[::-1])]
    for batch_id in batches:
        await mill.advance(batch_id)
        await mill.sql("UPDATE batches SET seconds_per_file = 0.001 WHERE id = :b", b=batch_id)
    held = []
    for _ in range(20):
        await mill.dispatch()
        while (one := await mill.take()) is not None:
            held.append(one)
    recipe = recipe_of({"tier": "fast"}, ENGINE)

    async def close(one: Any) -> None:
        await mill.close(one.chunk, [replace(done(one.chunk, file), recipe=recipe) for file in one.files])

    assert sum(len(one.files) for one in held) == 120
    await asyncio.gather(*(close(one) for one in held))
    for batch_id in batches:
        assert await parse_all(mill, batch_id) == 0
        await mill.assert_exact(batch_id)
    assert await mill.one("SELECT count(*) FROM reusable_results") == 60


async def test_equal_files_of_one_batch_are_one_entry(mill: Mill) -> None:
    assert await parse_all(mill, await opened(mill, [(f"{n}.txt", "same") for n in range(9)])) == 9
    assert await mill.one("SELECT count(*) FROM reusable_results") == 1
    assert await parse_all(mill, await opened(mill, [("z.txt", "same")] * 4)) == 0


async def test_on_hold_and_behind_other_batches_what_is_known_completes(mill: Mill) -> None:
    await parse_all(mill, await opened(mill, FILES))
    await limit(mill, max_batches=1, hold=Hold("an operator looks"))
    known = await opened(mill, FILES)
    assert await mill.advance(known) is Step.ENDED
    mixed = await opened(mill, [*FILES, ("d.txt", "new")])
    await mill.advance(mixed)
    await mill.dispatch()
    async with mill.resources.unit_of_work() as uow:
        batch = await batch_service.get_batch(uow, mill.project_id, mixed)
        progress = await batch_service.progress_of(uow, batch)
    assert (progress.completed, progress.reused, progress.pending) == (3, 3, 1)


async def test_a_stop_keeps_what_was_reused_and_counts_the_rest_cancelled(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "PAGE", 4)
    await parse_all(mill, await opened(mill, [(f"{n}.txt", str(n)) for n in range(0, 12, 2)]))
    batch_id = await opened(mill, [(f"{n}.txt", str(n)) for n in range(12)])
    await mill.advance(batch_id)
    await mill.advance(batch_id)
    async with mill.resources.unit_of_work() as uow:
        await batch_service.cancel_batch(uow, mill.project_id, batch_id)
        await uow.commit()
    while await mill.advance(batch_id) is Step.MOVED:
        pass
    await mill.assert_exact(batch_id, "CANCELLED")
    row = await mill.batch(batch_id)
    assert row.ok == row.reused > 0 < row.cancelled


async def test_a_recount_counts_what_was_reused_once_wherever_it_lies(mill: Mill) -> None:
    await parse_all(mill, await opened(mill, [("0.txt", "0"), ("5.txt", "5")]))
    batch_id = await opened(mill, [(f"{n}.txt", str(n)) for n in range(6)])
    await mill.advance(batch_id)
    await mill.dispatch()
    held = await mill.taken()
    await mill.close(held.chunk, [done(held.chunk, file) for file in held.files])
    for _ in range(2):
        async with mill.resources.unit_of_work() as uow:
            await orchestration.lock(uow.session, batch_id)
            await draining.recount(uow.session, batch_id)
            await uow.commit()
        row = await mill.batch(batch_id)
        assert (row.reused, row.ok) == (2, 2 + len(held.files))
    await parse_all(mill, batch_id)
    await mill.assert_exact(batch_id)
