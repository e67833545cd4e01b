"""Provisioning over HTTP, as a client reaches it that has joined the device's own network."""

from firmware_stubs.hal import Hal
from firmware_stubs.provisioning.core import Core
from firmware_stubs.provisioning.faults import Fault

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from collections.abc import Generator

    Headers = list[tuple[str, str]]


class AccessPoint:
    """One request at a time: from the access point to the core and back.

    A session is known by the cookie `session=<u32>`, or by the connection for clients that send
    no cookie.
    """

    def __init__(self, hal: Hal, core: Core) -> None:
        self._hal = hal
        self._core = core
        self._job: Generator[None, None, bytes] | None = None  # the request being answered
        self._connection = 0
        self._session = ("http", 0)
        self._number = 0  # of the session that is admitted
        self._socket = -1  # its connection, until the client has shown the cookie

    def poll(self) -> bool:
        """Do one step; says whether there is more to do at once."""
        if self._job is None:
            request = self._hal.ap_receive()
            if request is None:
                return False
            connection, cookie, path, body = request
            self._connection = connection
            self._session = ("http", self._identify(connection, cookie))
            endpoint = path[1:] if path.startswith("/") else path
            self._job = self._core.request(self._session, endpoint, body)
        self._step(self._job)
        return True

    def _identify(self, connection: int, cookie: bytes) -> int:
        """Give the number of the client's session; a fresh one when it belongs to none."""
        if self._number:
            if cookie and _number(cookie) == self._number:
                self._socket = -1
                return self._number
            if not cookie and connection == self._socket:
                return self._number
        number = 0
        while number in (0, self._number):
            number = int.from_bytes(self._hal.random(4), "big")
        return number

    def _step(self, job: "Generator[None, None, bytes]") -> None:
        try:
            next(job)
        except StopIteration as end:
            self._answer(200, "application/octet-stream", [], end.value)
        except Fault as fault:
            headers: Headers = []
            if fault.status in (429, 503):
                headers.append(("Retry-After", str(self._core.retry_after_s(fault))))
            self._answer(fault.status, "text/plain", headers, fault.reason.encode())

    def _answer(self, status: int, kind: str, headers: "Headers", body: bytes) -> None:
        self._job = None
        headers.append(("Content-Type", kind))
        number = self._session[1]
        if number != self._number and self._core.owner == self._session:
            self._number = number
            self._socket = self._connection
            headers.append(("Set-Cookie", f"session={number}"))
        self._hal.ap_reply(self._connection, status, headers, body)


def _number(cookie: bytes) -> int:
    """Read the session's number from a Cookie header; 0 when there is none."""
    for part in cookie.split(b";"):
        part = part.strip()
        if part.startswith(b"session="):
            digits = part[8:]
            if 0 < len(digits) <= 10 and digits.isdigit():
                return int(digits)
    return 0
