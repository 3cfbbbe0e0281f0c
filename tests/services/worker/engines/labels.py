"""A module of rules for tests: the value of a property is what follows its name and a colon."""

import re
import time
from collections.abc import Mapping
from typing import Any

from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode
from shared.jobs.result import Extraction, ResultDocument, text_full


def extract(document: ResultDocument, parameters: Mapping[str, Any]) -> Extraction:
    do = parameters.get("do")
    if do == "hang":
        time.sleep(60)
    if do == "refuse":
        raise Refused(FailureCode.SCHEMA_INVALID, "a word of it is not understood")
    if do == "break":
        raise RuntimeError("a defect")
    text = text_full(document)
    schema = parameters["data_schema"]
    data = {}
    for name in schema["properties"]:
        found = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
        data[name] = found[1] if found else None
    fields = {name: {"confidence": 1.0 if value else 0.0} for name, value in data.items()}
    missing = tuple(name for name in schema.get("required", ()) if data[name] is None)
    return Extraction(data, {"document_metadata": fields}, missing, "labels 1")
