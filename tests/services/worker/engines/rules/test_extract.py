"""Values of a schema out of text: found with their source, or null."""

from typing import Any

import pytest
from llama_cloud.types import ExtractedFieldMetadata
from llama_cloud.types.beta.extracted_data import ExtractedFieldMetadata as FieldEntry

from services.worker.engines.rules import ENGINE, extract
from shared.jobs.result import Extraction, Page, ResultDocument, decode, encode
from tests.documents.truths import FORM, INVOICE, RECEIPT

LETTER = """Dear Mr Hughes,

thank you for your letter of 3 March 2024 in which you ask about the total number of visitors
to our museum. The name of the exhibition is not decided yet, but the date: it will open in
May. Our customer service will be happy to help you. Payment is possible at the door, and
the price of a ticket will be about the same as last year. From the station it is a walk of
ten minutes. Please note: the address has changed. Write to museum@example.org.

Yours sincerely,
Amelia Baker
"""


def read(text: str, schema: dict[str, Any], *, target: str | None = None, kind: str = "pdf") -> Extraction:
    pages = tuple(Page(number, words) for number, words in enumerate(text.split("\f"), 1))
    parameters = {"data_schema": schema, **({"extraction_target": target} if target else {})}
    return extract(ResultDocument("test", pages, {"kind": kind}), parameters)


def asking(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def texts(*names: str) -> dict[str, Any]:
    return asking(**{name: {"type": ["string", "null"]} for name in names})


def values(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return [leaf for part in data.values() for leaf in values(part)]
    if isinstance(data, list):
        return [leaf for part in data for leaf in values(part)]
    return [] if data is None else [data]


@pytest.mark.parametrize("schema", [INVOICE, RECEIPT, FORM], ids=["invoice", "receipt", "form"])
def test_a_letter_gives_nothing_and_so_does_an_empty_page(schema: dict[str, Any]) -> None:
    for text in (LETTER, "", "\f\f"):
        found = read(text, schema)
        assert values(found.data) == []
        assert list(found.data) == list(schema["properties"])
        assert set(found.missing_fields) == set(schema.get("required", ()))


def test_a_field_that_is_not_there_is_null_and_missing() -> None:
    schema = texts("invoice_number", "order_number") | {"required": ["invoice_number", "order_number"]}
    found = read("Invoice number: A-77", schema)
    assert found.data == {"invoice_number": "A-77", "order_number": None}
    assert found.missing_fields == ("order_number",)
    assert found.engine == ENGINE


@pytest.mark.parametrize(
    "text",
    [
        "Customer:        Due date:\n",
        "Customer         Due date\n",
        "Customer\nDue date\n2024-01-01\n",
        "Customer:\n\n\n\nfar away",
        "INVOICE\nInvoice number: A-77\n",
        "Customer service is open all day",
    ],
)
def test_neither_a_label_nor_a_title_is_a_value(text: str) -> None:
    schema = asking(customer={"type": "object", "properties": {"name": {"type": "string"}}})
    assert read(text, schema).data == {"customer": {"name": None}}


@pytest.mark.parametrize(
    "text",
    [
        "Policy number: AB-123456",
        "Policy number      AB-123456",
        "Policy number:\nAB-123456",
        "Policy no ........ AB-123456",
        "Policy no AB-123456",
        "Policy number      Smoker\nAB-123456          yes",
        "policyNumber:AB-123456",
        "Policy numbr: AB-123456",
    ],
)
def test_a_label_stands_before_beside_or_above_its_value(text: str) -> None:
    assert read(text, FORM).data["policy_number"] == "AB-123456"


@pytest.mark.parametrize("number", ["AB123456", "ab-123456", "AB-12345", "unknown"])
def test_what_the_schema_refuses_is_null(number: str) -> None:
    assert read(f"Policy number: {number}", FORM).data["policy_number"] is None


def test_a_format_that_nobody_checks_is_null() -> None:
    assert read("Due date: 2024-03-04", asking(due_date={"type": "string", "format": "date-time"})).data == {
        "due_date": None
    }


def test_limits_of_numbers_hold() -> None:
    schema = asking(quantity={"type": "integer", "minimum": 1, "maximum": 10})
    assert read("Quantity: 10", schema).data == {"quantity": 10}
    for wrong in ("11", "0", "2.5", "ten"):
        assert read(f"Quantity: {wrong}", schema).data == {"quantity": None}


def test_a_schema_that_cannot_be_applied_gives_null() -> None:
    for broken in ({"type": "string", "pattern": "("}, {"type": "nonsense"}):
        assert read("Note: x1", asking(note=broken)).data == {"note": None}
    assert read("Note: x1", {}).data == {}
    assert extract(ResultDocument("test", ()), {}).data == {}


@pytest.mark.parametrize(
    "broken",
    [
        {"properties": []},
        {"type": "object", "properties": {"note": 7}},
        {"type": "object", "properties": {"note": True}, "required": [{}, 7, "note"]},
        {"type": "object", "properties": {"note": {"type": [{}], "enum": [[], {}], "description": 7}}},
        {"type": "object", "properties": {"note": {"type": "string", "format": []}}},
        {
            "type": "object",
            "properties": {"note": {"type": "string", "not": {"$ref": "http://127.0.0.1:9/"}}},
        },
        {"type": "object", "properties": {"note": {"type": "string", "not": {"$ref": "#/nowhere"}}}},
        {"type": "object", "properties": {"note": {"type": "string", "maxLength": "x", "pattern": 3}}},
        {"type": "object", "properties": {"note": {"anyOf": 3, "$ref": 4, "type": "string"}}},
        {"type": "object", "properties": {"note": {"$ref": "#/properties/note"}}},
        {"type": "object", "properties": {"notes": {"type": "array", "items": [1, 2]}}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "string"},
        {"type": "object", "properties": {"": {"type": "string"}, "_": {"type": "number"}}},
    ],
)
def test_no_schema_breaks_the_search(broken: dict[str, Any]) -> None:
    for target in ("per_doc", "per_page", "per_table_row", "nonsense"):
        found = read("Note: x1\nNotes   Quantity\nx   1\n", broken, target=target)
        assert isinstance(found.data, dict | list)


def test_the_same_words_serve_one_field_only() -> None:
    found = read("Name: Priya Novak", texts("full_name", "applicant_name"))
    assert sorted(found.data.values(), key=str) == [None, "Priya Novak"]


def test_references_and_recursion_are_followed_only_so_far() -> None:
    child = {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}
    node = {"type": "object", "properties": {"code": {"type": "string"}, "child": child}}
    found = read("Code: A1", asking(top={"$ref": "#/$defs/Node"}) | {"$defs": {"Node": node}})
    assert found.data == {"top": {"code": None, "child": None}}
    assert read("A: x", asking(a={"$ref": "#/nowhere"})).data == {"a": "x"}
    assert read("A: x", asking(a={"$ref": "https://example.org/schema"})).data == {"a": "x"}


def test_doubtful_dates_say_so() -> None:
    schema = asking(
        due_date={"type": "string", "format": "date"}, invoice_date={"type": "string", "format": "date"}
    )

    def sure(text: str) -> float:
        return float(read(text, schema).fields["document_metadata"]["due_date"]["confidence"])

    assert sure("Due date: 03/04/2024") < 0.5
    assert sure("Due date: 03/04/2024\nInvoice date: 25/03/2024") > 0.9


def test_two_equal_labels_lower_the_confidence() -> None:
    one = read("Cashier: Ann", RECEIPT).fields["document_metadata"]["cashier"]["confidence"]
    two = read("Cashier: Ann\nCashier: Bob", RECEIPT).fields["document_metadata"]["cashier"]["confidence"]
    assert two < one


def test_every_value_cites_its_source() -> None:
    text = "Invoice number: A-77\nBill to:\nAlder Foods AG\n12 Mill Road\n8010 Graz\n\nTotal:    $1,200.00\n"
    found = read(text, INVOICE)
    fields = found.fields["document_metadata"]
    assert found.data["customer"] == {"name": "Alder Foods AG", "address": "12 Mill Road\n8010 Graz"}
    assert fields["total"]["citation"] == [{"page": 1, "matching_text": "$1,200.00"}]
    assert fields["customer"]["address"]["citation"] == [
        {"page": 1, "matching_text": "12 Mill Road"},
        {"page": 1, "matching_text": "8010 Graz"},
    ]
    for entry in (fields["total"], fields["invoice_number"], fields["customer"]["name"]):
        FieldEntry.model_validate(entry)
        assert all(cited["matching_text"] in text for cited in entry["citation"])
        assert 0 < entry["confidence"] <= 1


def test_ocr_lowers_the_confidence_of_parsing() -> None:
    pages = (Page(1, "Cashier: Ann", ocr=True),)
    entry = extract(ResultDocument("test", pages), {"data_schema": RECEIPT}).fields["document_metadata"][
        "cashier"
    ]
    assert entry["parsing_confidence"] < 1
    assert entry["confidence"] == pytest.approx(entry["extraction_confidence"] * entry["parsing_confidence"])


def test_one_answer_for_each_page() -> None:
    found = read(
        "Invoice number: A1\nTotal: 5.00\fnothing here\fInvoice number: B2", INVOICE, target="per_page"
    )
    assert [page["invoice_number"] for page in found.data] == ["A1", None, "B2"]
    assert [page["total"] for page in found.data] == [5, None, None]
    assert found.missing_fields == ("[1].invoice_number", "[1].total", "[2].total")
    assert [
        meta.get("invoice_number", {}).get("citation", [{}])[0].get("page")
        for meta in found.fields["page_metadata"]
    ] == [1, None, 3]


def test_an_answer_is_kept_by_the_result_and_understood_by_the_client() -> None:
    for target in ("per_doc", "per_page", "per_table_row"):
        found = read("Invoice number: A1\nDescription   Quantity\nNails   2\n", INVOICE, target=target)
        ExtractedFieldMetadata.model_validate(found.fields)
        document = ResultDocument("test", (Page(1, ""),), extraction=found)
        assert decode(encode(document)).extraction == found


def test_the_same_question_gets_the_same_answer() -> None:
    text = "Total: 1.00\nTotal: 2.00\nInvoice number: A1   Invoice No: B2\nDate: 01/02/2024  Date: 02/03/2024"
    assert len({repr(read(text, INVOICE)) for _ in range(3)}) == 1


def test_a_title_does_not_take_the_pair_beside_it() -> None:
    text = "PURCHASE ORDER                 PO No. 4500012\n                               Date 03/14/2024\n"
    schema = asking(po_number={"type": "string"}, order_date={"type": "string", "format": "date"})
    assert read(text, schema).data == {"po_number": "4500012", "order_date": "2024-03-14"}


def test_a_form_with_several_pairs_in_a_line() -> None:
    text = (
        "Patient Registration Form\n"
        "Last Name: Hughes      First Name: Daniel     MI: R\n"
        "Sex: [x] M [ ] F       DOB: 02/29/1980        SSN: 123-45-6789\n"
        "Home Phone: (512) 555-0147     Email: d.hughes@mail.example.org\n"
        "Insurance Company: Alder Health      Member ID: X99812\n"
        "Emergency contact: Chloe Hughes      Relationship: Wife\n"
    )
    words = {"type": "string"}
    patient = {
        "last_name": words,
        "first_name": words,
        "date_of_birth": {"type": "string", "format": "date"},
        "sex": {"enum": ["M", "F"]},
        "phone": words,
    }
    contact = {"name": words, "relationship": words, "phone": words}
    schema = asking(
        patient={"type": "object", "properties": patient},
        member_id=words,
        emergency_contact={"type": "object", "properties": contact},
        allergies=words,
    )
    assert read(text, schema).data == {
        "patient": {
            "last_name": "Hughes",
            "first_name": "Daniel",
            "date_of_birth": "1980-02-29",
            "sex": "M",
            "phone": "(512) 555-0147",
        },
        "member_id": "X99812",
        "emergency_contact": {"name": "Chloe Hughes", "relationship": "Wife", "phone": None},
        "allergies": None,
    }
