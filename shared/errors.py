"""The kinds of refusal a service may answer with. They know no HTTP; the API maps kind to status."""


class ServiceError(Exception):
    """A refusal that is the caller's to read: `message` is safe to show, and says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(ServiceError):
    """The request is well-formed but cannot be carried out as asked."""


class Unauthenticated(ServiceError):
    """No key, or one that is unknown or revoked."""


class NotAllowed(ServiceError):
    """The key is good, its role is not enough."""


class NotFound(ServiceError):
    """Unknown, deleted, or another tenant's: the three are told apart to nobody."""


class Conflict(ServiceError):
    """The thing is in a state that forbids the request; sending it again changes nothing."""


class InProgress(ServiceError):
    """The same request is being carried out now; sent again after `retry_after` seconds it has an answer."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLarge(ServiceError):
    """The body, or a part of it, is over its limit."""


class TooMany(ServiceError):
    """A rate limit; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFull(ServiceError):
    """There is no room for what the request brings; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """Something we stand on (storage, database) is out of reach now; the same request may work later."""
