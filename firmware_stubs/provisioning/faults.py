"""What ends a request with a status other than 200."""


class Fault(Exception):  # noqa: N818 (a request's, not the program's error)
    """A request is refused: HTTP status and a reason for people, with no secret in it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
