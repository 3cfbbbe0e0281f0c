"""Why a job failed: the words of design section 5, as the row, the API and the engines say them."""

from enum import StrEnum


class FailureCode(StrEnum):
    """An interface: other programs read these. Add one freely; rename or drop one only by a decision
    record."""

    UNSUPPORTED_FILE_TYPE = "UNSUPPORTED_FILE_TYPE"
    PDF_IS_PROTECTED = "PDF_IS_PROTECTED"
    PDF_IS_BROKEN = "PDF_IS_BROKEN"
    NO_DATA_FOUND_IN_FILE = "NO_DATA_FOUND_IN_FILE"
    DOCUMENT_TOO_LARGE = "DOCUMENT_TOO_LARGE"
    TOO_MANY_PAGES = "TOO_MANY_PAGES"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    WORKER_LOST = "WORKER_LOST"
    ENGINE_ERROR = "ENGINE_ERROR"
    SCHEMA_INVALID = "SCHEMA_INVALID"
    LLM_UNAVAILABLE = "LLM_UNAVAILABLE"
