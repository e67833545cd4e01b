"""The two ways to the gateway: HTTP over Wi-Fi, and frames on the USB console.

Each carries one message at a time: `send`, then `poll` until it gives the answer or a failure.
"""

from firmware_stubs.hal import WIFI_CONNECTED, Hal
from firmware_stubs.settings import Settings
from firmware_stubs.station import Station
from server.wire import frame

PENDING = 0
ANSWERED = 1
FAILED = 2
REFUSED = 3  # the gateway does not want this device: its key is wrong
TOO_LARGE = 4


class HttpLink:
    """POST {gw.url}/api/v1/uplink with the device's key."""

    BATCH_BYTES = 8192

    def __init__(self, hal: Hal, settings: Settings) -> None:
        self.timeout_ms = 15000
        self.answer = b""
        self.reason = ""
        self._hal = hal
        self._settings = settings
        self._station = Station(hal, settings)
        self._handle = 0

    def ready(self, now_ms: int, own_radio: bool) -> bool:
        """Tell whether a message can go; joins the network unless provisioning has the radio."""
        if not self._settings.has_gateway():
            return False
        if own_radio:
            return self._station.poll(now_ms)
        return self._hal.wifi_state() == WIFI_CONNECTED

    def send(self, message: bytes) -> None:
        """Begin a request."""
        headers = [
            ("Content-Type", "application/x-protobuf"),
            ("X-API-Key", self._settings.text("gw.key")),
        ]
        url = self._settings.text("gw.url").rstrip("/") + "/api/v1/uplink"
        self._handle = self._hal.http_start("POST", url, headers, message)

    def poll(self) -> int:
        """Tell how the message fares; `answer` or `reason` says more."""
        result = self._hal.http_poll(self._handle)
        if result is None:
            return PENDING
        status, body = result
        if 200 <= status < 300:
            self.answer = body
            return ANSWERED
        self.reason = f"HTTP {status}" if status else _text(body)
        if status in (401, 403):
            return REFUSED
        return TOO_LARGE if status == 413 else FAILED

    def cancel(self) -> None:
        """Give up the message under way."""
        self._hal.http_cancel(self._handle)


class SerialLink:
    """Frames on the console, once the host has said HELLO."""

    BATCH_BYTES = 2048
    ANSWER_MS = 5000
    LONGEST_DOWNLINK_BYTES = 16384

    def __init__(self, hal: Hal, settings: Settings) -> None:
        self.answer = b""
        self.reason = ""
        self._hal = hal
        self._settings = settings
        self._decoder = frame.Decoder(self.LONGEST_DOWNLINK_BYTES)
        self.timeout_ms = self.ANSWER_MS
        self._heard_ms = -1
        self._fed_ms = 0
        self._out = b""
        self._downlink: bytes | None = None

    def receive(self, data: bytes, now_ms: int) -> bool:
        """Take what came on the console, b"" too; True when a host is there that was not before."""
        before = self.active(now_ms)
        if data:
            self._fed_ms = now_ms
            frames = self._decoder.feed(data)
        elif self._decoder.waits() and now_ms - self._fed_ms > 500:
            frames = self._decoder.give_up()
        else:
            return False
        for kind, payload in frames:
            if kind == frame.HELLO and payload[:1] == bytes((frame.VERSION,)):
                self._out += frame.hello(self._settings.text("gw.device"))
            elif kind == frame.DOWNLINK:
                self._downlink = payload
            else:
                continue
            self._heard_ms = now_ms
        return self.active(now_ms) and not before

    def active(self, now_ms: int) -> bool:
        """Tell whether a host is there."""
        return self._heard_ms >= 0 and now_ms - self._heard_ms < frame.SERIAL_MODE_S * 1000

    def pump(self) -> bool:
        """Write on what the console did not take; True while some of it is left."""
        if self._out:
            self._out = self._out[self._hal.console_write(self._out) :]
        return len(self._out) > 0

    def send(self, message: bytes) -> None:
        """Begin a frame."""
        self._downlink = None
        self._out += frame.frame(frame.UPLINK, message)
        # At 115200 baud a byte takes a tenth of a millisecond.
        self.timeout_ms = self.ANSWER_MS + len(self._out) // 5
        self.pump()

    def poll(self) -> int:
        """Tell how the message fares."""
        self.pump()
        if self._downlink is None:
            return PENDING
        self.answer = self._downlink
        self._downlink = None
        return ANSWERED

    def cancel(self) -> None:
        """Stop waiting for the answer."""
        self.reason = "no answer"


def _text(reason: bytes) -> str:
    try:
        return str(reason[:80], "utf-8")
    except (UnicodeError, ValueError):
        return "the request failed"
