"""The pages of operators, `/api/v1/admin`. Each needs an operator's key: the one router they hang on asks
for it, so that no page can forget to."""

from typing import Final

from fastapi import APIRouter, Depends

from services.api.admin import (
    audit,
    batches,
    chunks,
    configurations,
    directories,
    health,
    jobs,
    keys,
    lanes,
    organizations,
    projects,
    queues,
    retention,
    webhook_deliveries,
    workers,
)
from services.api.operators import operator

PAGES: Final = (
    organizations,
    projects,
    retention,
    keys,
    lanes,
    directories,
    configurations,
    batches,
    jobs,
    chunks,
    workers,
    queues,
    webhook_deliveries,
    audit,
    health,
)

router = APIRouter(tags=["operators"], dependencies=[Depends(operator)])
for page in PAGES:
    router.include_router(page.router)
