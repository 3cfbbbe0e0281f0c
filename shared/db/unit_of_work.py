"""One commit, then publish: the only place that commits a request's or a task's work."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from shared.pausing import Point, reach
from shared.queue.messages import Message, TaskQueue


class UnitOfWork:
    """One short transaction and the bells that its commit makes true.

    `ring` only remembers. `commit` commits and then publishes, so no bell speaks of rows that may yet
    vanish; a bell lost after the commit is rung again by the sweeper. Leaving the block without `commit`
    rolls back and rings nothing.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession], queue: TaskQueue) -> None:
        self._sessions = sessions
        self._queue = queue
        self._bells: list[Message] = []

    async def __aenter__(self) -> Self:
        self.session = self._sessions()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing a session with an open transaction rolls it back.
        await self.session.close()
        self._bells.clear()

    def ring(self, message: Message) -> None:
        """Publish `message` after the commit; the same bell rung twice goes out once."""
        if message not in self._bells:
            self._bells.append(message)

    def ring_again(self, message: Message) -> None:
        """Like `ring`, but twice is twice: one bell wakes one slot."""
        self._bells.append(message)

    async def commit(self) -> None:
        """Make the work durable, then ring. The unit may go on with a new transaction."""
        await self.session.commit()
        await reach(Point.COMMITTED)
        bells, self._bells = self._bells, []
        for bell in bells:
            self._queue.publish(bell)


UnitOfWorkFactory = Callable[[], UnitOfWork]


def session_maker(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions that keep loaded values after a commit and never load behind the caller's back."""
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=False)
