"""The board's access point on a TCP port of the loopback: any HTTP client can provision it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus

import h11

from rig.device.speaker import Speaker
from rig.walltime.clock import WallClock
from rig.walltime.listener import Listener
from sim.esp32.soft_ap import MAX_BODY_BYTES, SoftAp

READ_BYTES = 8192
MAX_CLIENTS = 8
ANSWER_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 60.0


_REASONS = {status.value: status.phrase for status in HTTPStatus}


class ApDoor:
    """Serves HTTP for the board; `open()` it, and `close()` it."""

    def __init__(self, clock: WallClock, soft_ap: SoftAp, port: int, speaker: Speaker) -> None:
        self.clock = clock
        self.soft_ap = soft_ap
        self.speaker = speaker
        self._listener = Listener(clock, port, self._take, option="--http")
        self._clients: list[_Client] = []

    def open(self) -> None:
        """Listen; `port` is then the true one where it was 0.

        Raises:
            PortBusyError: it cannot be listened on.
        """
        self._listener.open()

    @property
    def port(self) -> int:
        """Where it is reached."""
        return self._listener.port

    def close(self) -> None:
        """Send everybody away and listen no more."""
        for client in list(self._clients):
            client.close()
        self._listener.close()

    def forget(self, client: _Client) -> None:
        """A client has gone."""
        self._clients.remove(client)

    def _take(self, client: socket.socket, _port: int) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            client.close()
            self.speaker.event("refused", reason=f"more than {MAX_CLIENTS} clients")
            return
        self._clients.append(_Client(self, client))


class _Client:
    """One connection; it may carry several requests, one after the other."""

    def __init__(self, door: ApDoor, socket_: socket.socket) -> None:
        self._door = door
        self._socket = socket_
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=16384)
        self._request: h11.Request | None = None
        self._body = b""
        self._open = True
        self._waits = 0
        self._descriptor = socket_.fileno()
        door.clock.watch_port(self._descriptor, self._read)
        self._limit(IDLE_TIMEOUT_S)

    def close(self) -> None:
        """End it; twice does no harm."""
        if self._open:
            self._open = False
            self._door.clock.unwatch_port(self._descriptor)
            self._socket.close()
            self._door.forget(self)

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            self._connection.receive_data(data)
            self._take()
        except h11.RemoteProtocolError as error:
            self._answer(error.error_status_hint, [], f"no HTTP: {error}".encode())
            self.close()

    def _take(self) -> None:
        while self._open:
            event = self._connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    self._answer(413, [], b"the body is too long")
                    self.close()
            elif isinstance(event, h11.EndOfMessage):
                self._ask()
                return
            elif isinstance(event, h11.ConnectionClosed):
                self.close()

    def _ask(self) -> None:
        request = self._request
        assert request is not None
        path = request.target.decode("latin-1")
        self._door.speaker.event("http", method=request.method.decode("latin-1"), path=path)
        if request.method != b"POST":
            self._answer(405, [("Allow", "POST")], b"the board takes POST only")
            return
        cookie = b"; ".join(value for name, value in request.headers if name == b"cookie")
        self._waits += 1
        number = self._waits

        def reply(status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
            if number == self._waits:
                self._waits += 1
                self._answer(status, headers, body)

        self._later(ANSWER_TIMEOUT_S, lambda: reply(504, [], b"the board does not answer"))
        self._door.soft_ap.request(cookie, path, self._body, reply)

    def _answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        answerable = self._connection.our_state in (h11.SEND_RESPONSE, h11.IDLE)
        if not (self._open and answerable):
            return
        kept = [(k, v) for k, v in headers if k.lower() not in ("content-length", "connection")]
        head = h11.Response(
            status_code=status,
            reason=_REASONS.get(status, ""),
            headers=[*kept, ("Content-Length", str(len(body)))],
        )
        events: tuple[h11.Event, ...] = (head, h11.Data(data=body), h11.EndOfMessage())
        data = b"".join(self._connection.send(event) or b"" for event in events)
        try:
            sent = self._socket.send(data)
        except OSError:
            sent = 0
        over = self._connection.our_state is self._connection.their_state is h11.DONE
        if sent < len(data) or not over:
            # Bytes that do not fit a socket's buffer: nobody reads there. A request that was not
            # read to its end: what follows cannot be told from it.
            self.close()
            return
        self._connection.start_next_cycle()
        self._limit(IDLE_TIMEOUT_S)
        # The next request may have come with this one.
        self._take()

    def _limit(self, duration_s: float) -> None:
        self._waits += 1
        number = self._waits

        def idle() -> None:
            if number == self._waits:
                self.close()

        self._later(duration_s, idle)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        event = self._door.clock.env.timeout(delay_s)
        event.callbacks.append(lambda _event: action())
