"""To the device over HTTP: its own Wi-Fi network (SoftAP) or any other way to its server.

Each request has a connection of its own: an ESP32 keeps only one open, and tells a session by its
cookie. ESP-IDF refuses by closing without an answer; that is told apart from a lost network by
the connection having been made.
"""

from __future__ import annotations

import http.client
import urllib.parse

from server.provisioning.errors import DeviceUnreachable, RequestRefused, printable

TIMEOUT_S = 30.0
ANSWER_LIMIT_BYTES = 16384
DEFAULT_PORT = 80


def parse_address(text: str) -> tuple[str, int]:
    """Read `host`, `host:port` or `[v6]:port`, with or without http:// in front.

    Raises:
        ValueError: it is none of these.
    """
    parts = urllib.parse.urlsplit(text if "://" in text else f"http://{text}")
    host, port = parts.hostname or "", DEFAULT_PORT if parts.port is None else parts.port
    is_more = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username
    is_host = host.isprintable() and not any(c.isspace() for c in host)
    if parts.scheme != "http" or not (host and is_host and port) or is_more:
        raise ValueError(f"expected HOST or HOST:PORT, got {text!r}")
    host.encode("idna")  # as a look-up would: an empty or endless part is no name
    return host, port


class HttpTransport:
    """POSTs to `/endpoint` of the device's server.

    Args:
        host: name or address.
        port: of its server.
        timeout_s: for connecting and for each answer.
    """

    networks_per_answer = 50

    def __init__(self, host: str, port: int = DEFAULT_PORT, timeout_s: float = TIMEOUT_S) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._cookie = ""

    def exchange(self, endpoint: str, body: bytes) -> bytes:
        """Send a request and give the answer."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            self._connect(connection)
            return self._answer(connection, endpoint, body)
        except http.client.RemoteDisconnected:
            raise RequestRefused(endpoint, 0, "the device closed the connection") from None
        except (OSError, http.client.HTTPException) as error:
            raise DeviceUnreachable(
                f"expected an answer of the device at {self._where}, found: {_told(error)}; "
                "is this computer still in the device's Wi-Fi network?"
            ) from None
        finally:
            connection.close()

    @property
    def _where(self) -> str:
        return f"http://{self._host}:{self._port}"

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except OSError as error:
            raise DeviceUnreachable(
                f"expected a device at {self._where}, found: {_told(error)}; "
                "join the device's own Wi-Fi network (PROV_…) first, then try again"
            ) from None

    def _answer(self, connection: http.client.HTTPConnection, endpoint: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/octet-stream", "Connection": "close"}
        if self._cookie:
            headers["Cookie"] = self._cookie
        connection.request("POST", f"/{endpoint}", body, headers)
        response = connection.getresponse()
        answer = response.read(ANSWER_LIMIT_BYTES)
        if response.length:
            raise http.client.IncompleteRead(answer, response.length)
        cookie = response.getheader("Set-Cookie", "").partition(";")[0].strip()
        if cookie.startswith("session="):
            self._cookie = cookie
        if response.status != http.client.OK:
            after = response.getheader("Retry-After", "")
            raise RequestRefused(
                endpoint,
                response.status,
                printable(answer),
                int(after) if after.isdecimal() and len(after) < 6 else None,
            )
        return answer

    def close(self) -> None:
        """Nothing is kept open."""


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
