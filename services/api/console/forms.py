"""Fields of small forms. Files come by another way, as a stream."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from services.api.plain_text import check_text
from shared.errors import InvalidInput

KIND: Final = "application/x-www-form-urlencoded"
MOST: Final = 50


async def fields_of(request: Request) -> dict[str, str]:
    """What a form without files says; of a name that comes twice the last. Any other body, and text that
    cannot be stored, is `InvalidInput`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind:
        return {}
    if kind != KIND:
        raise InvalidInput(f"Send the form as {KIND}.")
    try:
        pairs = parse_qsl(
            (await request.body()).decode(), keep_blank_values=True, max_num_fields=MOST, errors="strict"
        )
    except ValueError:
        raise InvalidInput("The form cannot be read: it is not UTF-8, or has too many fields.") from None
    for name, value in pairs:
        check_text(value, name)
    return dict(pairs)
