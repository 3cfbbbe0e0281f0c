"""A folder that is run again: what is known meets no engine, on a whole stack and by the official client."""

from pathlib import Path
from typing import Any

FILES = [(f"{n:03}.txt", b"text number %d of the reused ones" % n) for n in range(100)]


def results_in(storage: Path) -> set[Path]:
    """Every result that an engine ever gave."""
    return set(storage.glob("p/*/r/*/*.json.zst"))


def progress_of(stack: Any, batch_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = stack.client.batches.with_raw_response.get(batch_id, expand=["progress"]).json()
    return dict(answer["progress"])


def worked_on(stack: Any, batch_id: str) -> list[str]:
    """The files of the batch on which an engine spent time."""
    rows = stack.sql(
        "SELECT name FROM jobs WHERE batch_id = $1::uuid AND seconds IS NOT NULL",
        batch_id.removeprefix("bat-"),
    )
    return [row["name"] for row in rows]


def run(stack: Any, files: list[tuple[str, bytes]]) -> str:
    batch_id = str(stack.open_batch(files, reuse=True))
    assert stack.wait_final(batch_id) == "COMPLETED"
    stack.assert_exact(batch_id, len(files))
    return batch_id


def answers_of(stack: Any, batch_id: str) -> list[Any]:
    """What the client reads of each file, in the order of the directory."""
    expand = ["text", "markdown", "metadata", "text_full"]
    results = stack.client.batches.get(batch_id, expand=["results"]).results
    jobs = [stack.client.parsing.get(one.job_reference.id, expand=expand) for one in results]
    return [job.model_dump(exclude={"job"}) for job in jobs]


def test_a_second_run_calls_no_engine_and_a_changed_file_one(stack: Any) -> None:
    storage = stack.data_dir / "storage"
    first = run(stack, FILES)
    made = results_in(storage)

    second = run(stack, FILES)
    assert progress_of(stack, second)["reused"] == len(FILES)
    assert results_in(storage) == made, "no engine gave anything"
    assert worked_on(stack, second) == []
    assert answers_of(stack, second) == answers_of(stack, first)

    changed = [*FILES[:-1], (FILES[-1][0], b"other text")]
    third = run(stack, changed)
    assert progress_of(stack, third)["reused"] == len(FILES) - 1
    assert len(results_in(storage) - made) == 1
    assert worked_on(stack, third) == [FILES[-1][0]]


def test_a_deleted_result_is_made_again_and_nobody_loses_it(stack: Any) -> None:
    one = [("deleted.txt", b"a text that somebody deletes")]
    first, second = run(stack, one), run(stack, one)
    made, shares = (
        stack.client.batches.get(batch_id, expand=["results"]).results[0].job_reference.id
        for batch_id in (first, second)
    )
    stack.client.parsing.delete(made)
    assert stack.client.parsing.get(shares, expand=["text_full"]).text_full.strip() == one[0][1].decode()
    assert progress_of(stack, run(stack, one))["reused"] == 0
    assert progress_of(stack, run(stack, one))["reused"] == 1


def test_a_file_parsed_alone_is_known_to_a_batch_and_the_other_way_round(stack: Any) -> None:
    one = ("both.txt", b"a text that is parsed both ways")
    stack.client.parsing.parse(upload_file=one, tier="fast", version="latest", expand=["text_full"])
    assert progress_of(stack, run(stack, [one]))["reused"] == 1
    job = stack.client.parsing.create(upload_file=one, tier="fast", version="latest")
    assert job.status == "COMPLETED"
    anew = stack.client.parsing.create(upload_file=one, tier="fast", version="latest", disable_cache=True)
    assert anew.status in ("PENDING", "RUNNING")
