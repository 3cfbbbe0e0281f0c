"""The operator's API for a command: where the server is, the key that opens it, and its refusals in words."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli.exits import ExitCode, Stop, one_line

OPERATOR_KEY: Final = "BATCHMILL_OPERATOR_KEY"
ADMIN: Final = "/api/v1/admin"
PATIENCE_S: Final = 30.0
SPAN: Final = re.compile(r"(\d+)([smhd])")
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url", envvar="LLAMA_CLOUD_BASE_URL", help="Server; default: the data folder's stack."
    ),
]
OperatorKey = Annotated[
    str | None,
    typer.Option("--operator-key", envvar=OPERATOR_KEY, help="Key; default: the stack's operator key."),
]
DataDir = Annotated[Path | None, typer.Option(help="Data folder of the stack.", show_default=".batchmill")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """A server, and the operator's key to it."""

    base_url: str
    key: str

    def get(self, path: str, **params: object) -> Any:
        """What the server answers."""
        return self.ask("GET", path, params={k: v for k, v in params.items() if v is not None})

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: object = None,
        patience_s: float = PATIENCE_S,
    ) -> Any:
        """One request below /api/v1/admin. A refusal is `Stop` with the server's words; no answer, or one
        that says the server is broken, is exit 4."""
        import httpx

        headers = {"authorization": f"Bearer {self.key}"}
        url = f"{self.base_url.rstrip('/')}{ADMIN}{path}"
        try:
            found = httpx.request(
                method,
                url,
                json=json,
                params=params,  # type: ignore[arg-type]
                headers=headers,
                timeout=patience_s,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Stop(f"The server does not answer: {one_line(error)}.", ExitCode.STACK) from error
        if found.is_success:
            return found.json()
        code = ExitCode.STACK if found.is_server_error else ExitCode.FAILED
        raise Stop(f"The server refused ({found.status_code}): {_words(found)}", code)

    def pages(self, path: str, *, most: int, **params: object) -> list[dict[str, Any]]:
        """The first `most` rows of a list."""
        found: list[dict[str, Any]] = []
        token: str | None = None
        while len(found) < most:
            page = self.get(path, page_size=min(most - len(found), 1_000), page_token=token, **params)
            found += page["items"]
            token = page["next_page_token"]
            if token is None:
                break
        return found


def find_desk(base_url: str | None, operator_key: str | None, data_dir: Path | None) -> Desk:
    """The server that was named, else the live stack of the data folder."""
    if base_url is not None:
        if not operator_key:
            raise Stop(
                f"A base URL needs an operator's key: set {OPERATOR_KEY} or give --operator-key.",
                ExitCode.USAGE,
            )
        return Desk(base_url, operator_key)
    import asyncio

    from services.cli.settings import load_settings

    # Only here: where a server runs alone, no embedded stack is installed.
    from services.local.stack import attach

    settings = load_settings(data_dir)
    live = asyncio.run(attach(settings.data_dir))
    if live is None:
        raise Stop(
            f"No stack lives on {settings.data_dir}. Start one with 'batchmill up', or name a server with "
            "--base-url.",
            ExitCode.STACK,
        )
    return Desk(live.base_url, operator_key or live.operator_key)


def span(text: str, option: str) -> timedelta:
    """A length of time: a number and s, m, h or d, such as 30m."""
    match = SPAN.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter("a number and s, m, h or d is wanted, such as 30m.", param_hint=option)
    try:
        return timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise typer.BadParameter("that is longer than the calendar.", param_hint=option) from None


def _words(found: Any) -> str:
    try:
        detail = found.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return str(found.text[:300])
    if isinstance(detail, list):
        return "; ".join(f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg')}" for one in detail)
    return str(detail)
