"""The rounds of a run: each is one directory and one batch over the files that have no result yet.

A first run is one round. A run that was cut off finishes its round; files that came or changed since are a
round of their own. What each step did is saved before the next begins, so any of them may be the last.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_cloud import APIStatusError, AsyncLlamaCloud, NotFoundError

from services.cli.run.configuration import Configuration
from services.cli.run.display import Display
from services.cli.run.fetch import Fetcher
from services.cli.run.folder import Listing, SourceFile
from services.cli.run.follow import FINAL, Follower
from services.cli.run.plan import RoundEnd, files_to_do
from services.cli.run.results import CANCELLED, COMPLETED, ResultLog, Row
from services.cli.run.state import Round, RunState
from services.cli.run.upload import NOT_UPLOADED, upload, uploaded_files


@dataclass(frozen=True, slots=True)
class Rounds:
    """All that the rounds of one run share."""

    client: AsyncLlamaCloud
    configuration: Configuration
    listing: Listing
    out: Path
    state: RunState
    log: ResultLog
    display: Display

    def to_do(self) -> list[SourceFile]:
        """Files without a result, or changed since theirs was made."""
        return files_to_do(self.listing.files, self.state, self.log)

    async def run(self) -> RoundEnd | None:
        """Finish the round that was cut off, then do what is left; None when nothing was to be done."""
        await self._drop_lost_round()
        last = None
        if self.state.round is not None:
            last = await self._round(self.state.round)
        if (last is None or last.status in (None, COMPLETED)) and (files := self.to_do()):
            last = await self._round(await self._open(files))
        return last

    async def _drop_lost_round(self) -> None:
        """The server may have forgotten: another data folder, a directory whose time is over."""
        if (kept := self.state.round) is None:
            return
        try:
            if kept.batch_id is not None:
                await self.client.batches.get(kept.batch_id)
            else:
                await self.client.beta.directories.get(kept.directory_id)
        except NotFoundError:
            self.display.say("The server does not know the run that was cut off; its open files start anew.")
            self.state.round = None
            self.state.save(self.out)

    async def _open(self, files: list[SourceFile]) -> Round:
        made = await self.client.beta.directories.create(name=Path(self.state.folder).name, type="ephemeral")
        opened = Round(directory_id=made.id, files={file.path: file.mark for file in files})
        self.state.round = opened
        self.state.save(self.out)
        return opened

    async def _round(self, kept: Round) -> RoundEnd:
        if kept.batch_id is None:
            paths = await self._bring(kept)
            if paths:
                kept.batch_id = await self._batch_over(kept.directory_id)
                self.state.save(self.out)
        else:
            paths = _by_id(await uploaded_files(self.client, kept.directory_id))
        if kept.batch_id is None:
            self._close(kept)
            return RoundEnd(None, None)
        batch = await self._follow(kept, kept.batch_id, paths)
        self._close(kept)
        return RoundEnd(batch.status, batch.id, getattr(batch, "failure_message", None))

    async def _bring(self, kept: Round) -> dict[str, str]:
        """Upload what the directory does not hold yet; answers directory file id to path."""
        there = await uploaded_files(self.client, kept.directory_id)
        wanted = {file.path: file for file in self.to_do()}
        for path in [path for path in there if _outdated(path, kept, wanted)]:
            await self.client.beta.directories.files.delete(there.pop(path), directory_id=kept.directory_id)
        kept.files = {path: file.mark for path, file in wanted.items()}
        self.state.save(self.out)
        self.log.keep_only(file.path for file in self.listing.files if file.path not in wanted)

        def taken(file: SourceFile, entry_id: str) -> None:
            there[file.path] = entry_id
            self.display.advance()

        def refused(row: Row) -> None:
            self.log.append([row])
            self.display.advance(failed=True)

        missing = [file for path, file in wanted.items() if path not in there]
        self.display.begin("upload", total=len(wanted), done=len(wanted) - len(missing))
        try:
            await upload(self.client, kept.directory_id, missing, taken=taken, refused=refused)
        finally:
            self.display.end()
        return _by_id(there)

    async def _batch_over(self, directory_id: str) -> str:
        # The answer to an earlier create may have been lost with the process that asked.
        async for batch in self.client.batches.list(source_directory_id=directory_id):
            return batch.id
        job: Any = {"type": self.configuration.job_type, "configuration_id": self.configuration.id}
        made = await self.client.batches.create(source_directory_id=directory_id, config={"job": job})
        return made.id

    async def _follow(self, kept: Round, batch_id: str, paths: dict[str, str]) -> Any:
        follower = Follower(
            self.client,
            batch_id,
            paths=paths,
            fetcher=Fetcher(self.client, self.configuration, self.out, self.listing.folders()),
            log=self.log,
            display=self.display,
        )
        done = sum(path in self.log.rows for path in kept.files)
        self.display.begin("process", total=len(kept.files), done=done)
        try:
            return await follower.to_the_end()
        finally:
            self.display.end()

    def _close(self, kept: Round) -> None:
        ended = {path: row for path in kept.files if (row := self.log.rows.get(path)) is not None}
        done = {path: kept.files[path] for path, row in ended.items() if _is_settled(row)}
        self.state.finished.update(done)
        self.state.round = None
        self.state.save(self.out)


async def give_up(client: AsyncLlamaCloud, kept: Round) -> None:
    """Stop the batch of a run that starts anew: nobody will read its results."""
    try:
        if kept.batch_id is not None:
            batch = await client.batches.get(kept.batch_id)
            if batch.status not in FINAL:
                await client.batches.cancel(kept.batch_id)
    except APIStatusError:
        return


def _is_settled(row: Row) -> bool:
    # What stopped the others may be over by the next run: a file mode, a cancel.
    return row.status != CANCELLED and row.code != NOT_UPLOADED


def _outdated(path: str, kept: Round, wanted: dict[str, SourceFile]) -> bool:
    file = wanted.get(path)
    return file is None or kept.files.get(path) != file.mark


def _by_id(there: dict[str, str]) -> dict[str, str]:
    return {entry_id: path for path, entry_id in there.items()}
