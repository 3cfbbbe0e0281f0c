"""CONFIG is an id or a file; the same parameters are the same choice."""

import json
from pathlib import Path

import pytest

from services.cli.run.choice import DEFAULT, read_choice
from services.cli.run.command import SAMPLES
from shared.configurations.options import ExtractParameters
from shared.configurations.schema import check_schema


def test_nothing_is_the_default() -> None:
    assert read_choice(None).key == DEFAULT == "cfg-PARSE_COST_EFFECTIVE"


def test_an_id_is_itself() -> None:
    choice = read_choice("cfg-PARSE_FAST")
    assert (choice.key, choice.parameters) == ("cfg-PARSE_FAST", None)


def test_a_file_is_what_it_says_not_how_it_is_written(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"cfg-{name}.json" for name in "abc")
    first.write_text('{"tier": "fast", "page_ranges": {"max_pages": 1}}')
    second.write_text('{"page_ranges": {"max_pages": 1},\n "version": "latest", "tier": "fast"}')
    third.write_text('{"tier": "fast"}')
    keys = [read_choice(str(path)).key for path in (first, second, third)]
    assert keys[0] == keys[1] != keys[2]
    assert read_choice(str(third)).parameters == {
        "tier": "fast",
        "product_type": "parse_v2",
        "version": "latest",
    }


def test_an_extract_configuration_keeps_its_type(tmp_path: Path) -> None:
    path = tmp_path / "extract.json"
    path.write_text(json.dumps({"product_type": "extract_v2", "data_schema": {}}))
    assert read_choice(str(path)).parameters == {"product_type": "extract_v2", "data_schema": {}}


def test_a_schema_makes_it_an_extraction(tmp_path: Path) -> None:
    path = tmp_path / "invoice.json"
    path.write_text(json.dumps({"data_schema": {}, "parse_tier": "fast"}))
    choice = read_choice(str(path))
    assert (choice.parameters or {})["product_type"] == "extract_v2"
    assert not choice.reads_scans


def test_what_nobody_reads_in_an_extraction_is_named(tmp_path: Path) -> None:
    path = tmp_path / "invoice.json"
    path.write_text(json.dumps({"data_schema": {}, "sytem_prompt": "x", "cite_sources": True, "Tier": "a"}))
    assert read_choice(str(path)).unknown == ["Tier", "sytem_prompt"]
    path.write_text(json.dumps({"tier": "fast", "nonsense": 1}))
    assert read_choice(str(path)).unknown == [], "the server refuses it"
    assert read_choice("cfg-PARSE_FAST").unknown == []


def test_the_sample_is_an_extraction() -> None:
    sample = read_choice(str(SAMPLES.parent / "invoice.json"))
    assert sample.parameters is not None
    assert sample.unknown == []
    ExtractParameters.model_validate(sample.parameters)
    check_schema(sample.parameters["data_schema"])


@pytest.mark.parametrize(("tier", "reads"), [("fast", False), ("cost_effective", True)])
def test_only_the_fast_tier_reads_no_scans(tmp_path: Path, tier: str, reads: bool) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"tier": tier}))
    assert read_choice(str(path)).reads_scans is reads
    assert read_choice(f"cfg-PARSE_{tier.upper()}").reads_scans is reads
