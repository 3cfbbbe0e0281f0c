"""The rounds of a run: each is one directory and one batch over the files that have no result yet.

A first run is one round. A run that was cut off finishes its round; files that came or changed since are a
round of their own. What each step did is saved before the next begins, so any of them may be the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_cloud import APIStatusError, AsyncLlamaCloud, NotFoundError

from services.cli.run.configuration import Configuration
from services.cli.run.display import Display
from services.cli.run.fetch import Fetcher
from services.cli.run.folder import Listing, SourceFile
from services.cli.run.follow import FINAL, Follower
from services.cli.run.plan import RoundEnd, Wanted, files_to_do
from services.cli.run.planned import Planned
from services.cli.run.reference import Referrer, leave_out
from services.cli.run.results import COMPLETED, ResultLog, Row
from services.cli.run.state import FILE, Round, RunState
from services.cli.run.upload import upload, uploaded_files


@dataclass(frozen=True, slots=True)
class Rounds:
    """All that the rounds of one run share."""

    client: AsyncLlamaCloud
    referrer: Referrer
    configuration: Configuration
    listing: Listing
    wanted: Wanted
    out: Path
    state: RunState
    planned: Planned
    log: ResultLog
    display: Display

    def to_do(self) -> list[SourceFile]:
        """The files that this run is to take on and that are not done yet."""
        return files_to_do(self.listing.files, self.planned, self.log, self.wanted)

    async def run(self) -> RoundEnd | None:
        """Finish the round that was cut off, then do what is left; None when nothing was to be done."""
        await self._drop_lost_round()
        last = None
        if (kept := self.state.round) is not None:
            last = await self._round(kept, self.to_do())
        if _went_well(last) and (files := self.to_do()):
            opened = await self._open(files)
            last = await self._round(opened, files)
            left = [file for file in files if file.path not in self.log]
            if opened.by_reference and left and _went_well(last):
                # The server saw less of the folder than we do.
                last = await self._round(await self._open_empty(left), left)
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
        directory_id = await self.referrer.refer(len(files), len(self.listing.files))
        if directory_id is None:
            return await self._open_empty(files)
        return self._opened(Round(directory_id, len(files), by_reference=True))

    async def _open_empty(self, files: list[SourceFile]) -> Round:
        made = await self.client.beta.directories.create(name=Path(self.state.folder).name, type="ephemeral")
        return self._opened(Round(made.id, len(files)))

    def _opened(self, opened: Round) -> Round:
        self.state.round = opened
        self.state.save(self.out)
        return opened

    async def _round(self, kept: Round, files: list[SourceFile]) -> RoundEnd:
        """`files` are those of a round that has no batch yet."""
        paths: Mapping[str, str] = {}
        if kept.batch_id is None:
            there = await self._bring(kept, files)
            if there:
                kept.batch_id = await self._batch_over(kept.directory_id)
                self.state.save(self.out)
            paths = _by_id(there) if kept.by_reference else {}
        elif kept.by_reference:
            paths = _by_id(await uploaded_files(self.client, kept.directory_id))
        if kept.batch_id is None:
            self._close()
            return RoundEnd(None, None)
        batch = await self._follow(kept, kept.batch_id, paths)
        self._close()
        return RoundEnd(batch.status, batch.id, getattr(batch, "failure_message", None))

    async def _bring(self, kept: Round, files: list[SourceFile]) -> dict[str, str]:
        """Have the directory hold these files and no others; answers path to directory file id."""
        there = await uploaded_files(self.client, kept.directory_id)
        wanted = {file.path: file for file in files}
        outdated = [there.pop(path) for path in list(there) if self._is_outdated(path, wanted)]
        await leave_out(self.client, kept.directory_id, outdated)
        kept.count = len(wanted)
        self.state.save(self.out)
        self.log.keep_only(file.path for file in self.listing.files if file.path not in wanted)
        self.planned.add({file.path: file.mark for file in files})
        if not kept.by_reference:
            await self._upload(kept, there, [file for file in files if file.path not in there])
        return there

    async def _upload(self, kept: Round, there: dict[str, str], missing: list[SourceFile]) -> None:
        def taken(file: SourceFile, entry_id: str) -> None:
            there[file.path] = entry_id
            self.display.advance()

        def refused(row: Row) -> None:
            self.log.append([row])
            self.display.advance(failed=True)

        self.display.begin("upload", total=kept.count, done=kept.count - len(missing))
        try:
            await upload(self.client, kept.directory_id, missing, taken=taken, refused=refused)
        finally:
            self.display.end()

    def _is_outdated(self, path: str, wanted: Mapping[str, SourceFile]) -> bool:
        file = wanted.get(path)
        if file is None:
            return True
        # What is referred to has no earlier version; what was uploaded may be one.
        opened = self.state.round
        if opened is not None and opened.by_reference:
            return False
        return self.planned.mark_of(path) != file.mark

    async def _batch_over(self, directory_id: str) -> str:
        # The answer to an earlier create may have been lost with the process that asked.
        async for batch in self.client.batches.list(source_directory_id=directory_id):
            return batch.id
        job: Any = {"type": self.configuration.job_type, "configuration_id": self.configuration.id}
        made = await self.client.batches.create(source_directory_id=directory_id, config={"job": job})
        return made.id

    async def _follow(self, kept: Round, batch_id: str, paths: Mapping[str, str]) -> Any:
        # A result must not take the name of what the run itself keeps in OUT.
        names = self.listing.folders() | {FILE}
        open_files = sum(file.path not in self.log for file in self.listing.files)
        self.display.begin("process", total=kept.count, done=max(kept.count - open_files, 0))
        follower = Follower(
            self.client,
            batch_id,
            paths=paths,
            fetcher=Fetcher(self.client, batch_id, self.configuration, self.out, names),
            log=self.log,
            display=self.display,
            open_files=min(open_files, kept.count),
        )
        try:
            return await follower.to_the_end()
        finally:
            self.display.end()

    def _close(self) -> None:
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


def _went_well(end: RoundEnd | None) -> bool:
    return end is None or end.status in (None, COMPLETED)


def _by_id(there: dict[str, str]) -> dict[str, str]:
    return {entry_id: path for path, entry_id in there.items()}
