"""`batchmill gc`: what could be removed now, and removing it. Works on the database and the storage."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.operators import DataDir, Json

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.retention.collecting import Findings

KINDS = {
    "results": "results whose time is over, or that were deleted",
    "files": "files whose time is over, or that were deleted",
    "orphans": "blobs that no row names, older than a day",
    "young": "blobs that no row names, younger: an upload or a worker may be about to",
    "foreign": "what is not ours under p/, or of projects that the database never had: never removed",
    "kept": "blobs that are needed",
}


def gc(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing, only say what would go.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Remove what projects keep no longer, and blobs that no row names, while everything runs. Upkeep does
    the same by itself; the bytes of rows that go now follow two minutes later."""
    import asyncio

    from services.cli.access import refusals
    from services.cli.settings import load_settings

    settings = load_settings(data_dir)
    with refusals():
        done, found, waiting = asyncio.run(_collect(settings, remove=not dry_run))
    _print(done, found, waiting, dry_run=dry_run, as_json=as_json)


async def _collect(settings: "Settings", *, remove: bool) -> "tuple[dict[str, int], Findings, int]":
    import shared.tables  # noqa: F401 - an event of the audit refers to a table of another room
    from services.cli.access import without_bells
    from shared.audit import service as audit_service
    from shared.audit.service import Author
    from shared.retention import collecting, repository, sweeping

    resources = without_bells(settings, name="gc")
    try:
        await resources.hold_to_storage()
        done: dict[str, int] = {}
        if remove:
            async with resources.unit_of_work() as uow:
                done = dict(await sweeping.sweep(uow, sweeping.Walk(), within_s=float("inf")))
        found = await collecting.collect(
            resources.unit_of_work, resources.storage, resources.storage, remove=remove
        )
        async with resources.unit_of_work() as uow:
            waiting = await repository.count_doomed(uow.session)
            if remove:
                gone = {"rows": done, "blobs": found.removed.blobs, "bytes": found.removed.size_bytes}
                await audit_service.record(uow, Author(), "gc.run", "storage", detail=gone)
                await uow.commit()
    finally:
        await resources.close()
    return done, found, waiting


def _print(done: dict[str, int], found: "Findings", waiting: int, *, dry_run: bool, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from services.cli.tables import print_records

    piles: dict[str, Any] = asdict(found)
    removed = piles.pop("removed")
    if as_json:
        told = {"dry_run": dry_run, "found": piles, "removed": removed, "rows": done, "waiting": waiting}
        typer.echo(json.dumps(told, indent=2))
        return
    rows = [
        {"kind": kind, "blobs": piles[kind]["blobs"], "size": _size(piles[kind]["size_bytes"]), "what": what}
        for kind, what in KINDS.items()
    ]
    print_records(rows, ("kind", "blobs", "size", "what"))
    if dry_run:
        typer.echo("Nothing was removed.")
        return
    for name, count in sorted(done.items()):
        typer.echo(f"{name.replace('_', ' ')}: {count:,}")
    typer.echo(f"removed {removed['blobs']:,} blobs, {_size(removed['size_bytes'])}; {waiting:,} follow soon")


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - what the units are made of
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"
