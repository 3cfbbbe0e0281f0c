"""What a Prometheus scrapes. Open without a key: numbers only, and none of them tells of one tenant."""

from fastapi import APIRouter, Request, Response

from shared.metrics import CONTENT_TYPE, HttpRequests, Numbers, text_of

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """The installation's numbers, a second old at most, and this process's own requests. While the database
    is away, `batchmill_database_up` is 0 and the own ones are still told."""
    numbers: Numbers = request.app.state.numbers
    requests: HttpRequests = request.app.state.requests
    return Response(text_of(await numbers.read(), requests.registry), media_type=CONTENT_TYPE)
