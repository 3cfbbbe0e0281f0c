"""Twins of our ports for tests: they keep the port's promise and let a test look inside."""

from shared.queue.messages import Message


class HeardBells:
    """A `TaskQueue` that delivers to nobody and remembers what was rung."""

    def __init__(self) -> None:
        self.rung: list[Message] = []
        self.closed = False
        self.broker_up = True

    def publish(self, message: Message) -> None:
        """Remember it."""
        self.rung.append(message)

    @property
    def sent(self) -> int:
        """All of them."""
        return len(self.rung)

    def close(self, timeout: float) -> None:
        """Nothing waits here."""
        self.closed = True

    def heard(self, kind: type[Message]) -> list[Message]:
        """The bells of one kind, in the order they were rung."""
        return [message for message in self.rung if isinstance(message, kind)]
