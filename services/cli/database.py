"""`batchmill migrate`."""

import typer


def migrate() -> None:
    """Bring the database to this version's schema; safe to run from several hosts at once."""
    import asyncio

    from services.cli.access import refusals
    from services.cli.settings import load_settings
    from shared.config import Settings
    from shared.db import migrations
    from shared.db.engine import open_engine

    async def upgrade(settings: Settings) -> str:
        # No statement time-out: a migration may rewrite a large table.
        engine = open_engine(
            settings.database_url(), name="migrate", statement_timeout_s=86_400, pooled=False
        )
        try:
            return await migrations.upgrade(engine)
        finally:
            await engine.dispose()

    with refusals():
        revision = asyncio.run(upgrade(load_settings()))
    typer.echo(f"database is at revision {revision}")
