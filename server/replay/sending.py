"""Takes a replay from one gateway and hands it to another, as one of its devices."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import struct
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from server.devices.access import HEADER
from server.devices.client import LOCAL, ApiError, UsageError
from server.wire.telemetry_pb2 import Readings

__all__ = ["Played", "UsageError", "play"]

OPEN_S = 30.0
ANSWER_S = 15.0
PATIENCE_S = 120.0
"""So long the other gateway may be away."""
RETRY_S = 1.0
MESSAGE_BYTES = 16_777_216
ANSWER_BYTES = 1_000_000
COLUMNS_MOST = 400


@dataclass
class Played:
    """What has become of a replay.

    Attributes:
        readings: that were played.
        accepted: that the other gateway has stored.
        duplicates: that it had already, from a request whose answer was lost.
        rejected: that it refused.
        lost: that were lost then already: they have no value to send.
        position_s: where the tape is, since its beginning.
        duration_s: of the drive.
        problem: the first thing that was refused.
    """

    readings: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    lost: int = 0
    position_s: float = 0.0
    duration_s: float = 0.0
    problem: str = ""
    boots: list[int] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The same in one line."""
        refused = f", {self.rejected} refused ({self.problem})" if self.rejected else ""
        return (
            f"{self.position_s:.0f} of {self.duration_s:.0f} s: {self.readings} readings, "
            f"{self.accepted + self.duplicates} stored{refused}"
        )

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return dict(vars(self))


def play(
    url: str,
    secret: str,
    query: Mapping[str, Any],
    to: str | None,
    key: str,
    *,
    is_now: bool,
    show: Callable[[Played], None],
) -> Played:
    """Play to the end; without `to`, messages are lines of the standard output.

    Raises:
        ApiError: a gateway does not answer, or refuses.
        UsageError: an address is none.
    """
    played = Played()
    sender = Sender(to, key, played, is_now=is_now) if to else None
    try:
        with _connect(url, secret, query) as socket:
            for text in socket:
                message = json.loads(text)
                if message["type"] == "hello":
                    _check(message["replay"], played)
                    if sender is not None:
                        sender.begin(message)
                elif message["type"] == "readings" and sender is not None:
                    sender.send(message["boot"], message["readings"])
                    show(played)
                if sender is None:
                    print(text)
                    sys.stdout.flush()
                if message["type"] == "replay":
                    _check(message, played)
                    if message["state"] == "ended":
                        return played
    except ConnectionClosed as error:
        raise ApiError(f"expected the drive to its end, the gateway closed: {error}") from None
    finally:
        if sender is not None:
            sender.close()
    raise ApiError("expected the drive to its end, the gateway closed the stream")


def _check(replay: Mapping[str, Any], played: Played) -> None:
    played.position_s = replay["position_s"]
    played.duration_s = replay["duration_s"]


def _connect(
    url: str, secret: str, query: Mapping[str, Any]
) -> websockets.sync.client.ClientConnection:
    parts = _parts(url)
    place = urllib.parse.urlunsplit(
        (
            "wss" if parts.scheme == "https" else "ws",
            parts.netloc,
            parts.path.rstrip("/") + "/api/v1/replay",
            urllib.parse.urlencode(query, doseq=True),
            "",
        )
    )
    try:
        return websockets.sync.client.connect(
            place,
            additional_headers={HEADER: secret} if secret else {},
            compression=None,
            open_timeout=OPEN_S,
            max_size=MESSAGE_BYTES,
            proxy=None if parts.hostname in LOCAL else True,
        )
    except InvalidStatus as error:
        answer = error.response
        raise ApiError(_reason(answer.status_code, bytes(answer.body or b""))) from None
    except (OSError, InvalidHandshake) as error:
        raise ApiError(
            f"expected a gateway at {url}, got: {error or type(error).__name__}; start it with "
            "telerig serve, or name it with --url"
        ) from None


class Sender:
    """An ingest client: each request is sent until it is answered, and the same again does no harm.

    Args:
        url: of the gateway.
        key: of a device there.
        played: counts.
        is_now: readings were measured now, rather than then.
    """

    def __init__(self, url: str, key: str, played: Played, *, is_now: bool) -> None:
        self._parts = _parts(url)
        self._key = key
        self._played = played
        self._is_now = is_now
        self._connection: http.client.HTTPConnection | None = None
        self._boots: dict[int, tuple[int, int]] = {}
        self._names: Mapping[str, str] = {}
        self._begin_ns = self._now_ns = 0
        self._speed = 1.0

    def begin(self, hello: Mapping[str, Any]) -> None:
        """Take note of what the stream says of itself."""
        self._names = hello["signals"]
        self._begin_ns = hello["replay"]["start_ns"]
        self._speed = hello["replay"]["speed"]
        self._now_ns = time.time_ns()

    def send(self, boot: int, whole: list[list[Any]]) -> None:
        """Send readings of one boot of then; they are of one boot there too, a new one."""
        played = self._played
        played.readings += len(whole)
        rows = [row for row in whole if row[3] is not None]
        played.lost += len(whole) - len(rows)
        # A request has so many columns at most, and a column is of one signal.
        is_wide = len({(row[1], row[5]) for row in rows}) > COLUMNS_MOST
        step = COLUMNS_MOST if is_wide else max(1, len(rows))
        for begin in range(0, len(rows), step):
            self._send(boot, rows[begin : begin + step])

    def _send(self, boot: int, rows: list[list[Any]]) -> None:
        played = self._played
        if boot not in self._boots:
            self._boots[boot] = (secrets.randbits(31) | 1, 1)
            self._played.boots.append(self._boots[boot][0])
        other, seq = self._boots[boot]
        body = self._message(other, seq, rows).SerializeToString()
        self._boots[boot] = (other, seq + len(rows))
        answer = self._post(body)
        if answer is None:
            played.rejected += len(rows)
            return
        played.accepted += answer["accepted"]
        played.duplicates += answer["duplicates"]
        played.rejected += answer["rejected"]
        if answer["errors"] and not played.problem:
            first = answer["errors"][0]
            played.problem = f"expected {first['expected']}, found {first['found']}"

    def _message(self, boot: int, seq: int, rows: list[list[Any]]) -> Readings:
        columns: dict[tuple[int, int], tuple[list[int], list[float]]] = {}
        for _, signal, time_ns, value, _, state in rows:
            times, values = columns.setdefault((signal, state), ([], []))
            times.append(self._instant(time_ns))
            values.append(value)
        message = Readings(boot=boot, seq=seq)
        for (signal, state), (times, values) in columns.items():
            column = message.columns.add(
                signal=self._names.get(str(signal), str(signal)),
                first_time_ns=times[0],
                step_ns=[after - before for before, after in pairwise(times)],
                state=state,
            )
            column.values = _packed(values)
        return message

    def _instant(self, time_ns: int) -> int:
        if not self._is_now:
            return time_ns
        return self._now_ns + round((time_ns - self._begin_ns) / self._speed)

    def _post(self, body: bytes) -> Any:
        """Send until it is answered; give the answer, None where not one reading is good.

        Raises:
            ApiError: it is refused, or nobody answers for too long.
        """
        end_s = time.monotonic() + PATIENCE_S
        while True:
            status, text, wait_s = self._try(body)
            if status == 200:
                return json.loads(text)
            if status == 400:
                self._played.problem = self._played.problem or _reason(status, text)
                return None
            is_final = 400 < status < 500 and status not in (408, 429)
            if is_final or time.monotonic() > end_s:
                raise ApiError(f"into the other gateway: {_reason(status, text)}")
            time.sleep(wait_s)

    def _try(self, body: bytes) -> tuple[int, bytes, float]:
        """Give status, body and how long to wait before the next try; status 0: no answer."""
        headers = {HEADER: self._key, "Content-Type": "application/x-protobuf"}
        try:
            if self._connection is None:
                self._connection = self._new()
            path = self._parts.path.rstrip("/") + "/api/v1/ingest/batch"
            self._connection.request("POST", path, body, headers)
            answer = self._connection.getresponse()
            text = answer.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return 0, str(error).encode(), RETRY_S
        if answer.will_close:
            self.close()
        wait = answer.headers.get("retry-after", "")
        return answer.status, text, float(wait) if wait.isdigit() else RETRY_S

    def _new(self) -> http.client.HTTPConnection:
        kind = (
            http.client.HTTPSConnection
            if self._parts.scheme == "https"
            else http.client.HTTPConnection
        )
        return kind(self._parts.hostname or "", self._parts.port, timeout=ANSWER_S)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


def _packed(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def _parts(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or parts.query or parts.username:
        raise UsageError(f"expected a URL http://HOST:PORT or https://…, found {url[:80]!r}")
    return parts


def _reason(status: int, text: bytes) -> str:
    """Say why a gateway refused."""
    if not status:
        return f"no answer: {text.decode(errors='replace')}"
    try:
        told = json.loads(text)
        return f"{told['where']}: expected {told['expected']}, found {told['found']}"
    except (ValueError, TypeError, LookupError):
        return f"the answer {status}; is this a telerig gateway?"
