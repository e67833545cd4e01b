"""The endpoints behind a secure session: Wi-Fi, scan, control, and the gateway's data."""

import json

from firmware_stubs.hal import Hal
from firmware_stubs.provisioning import messages as m
from firmware_stubs.provisioning.faults import Fault
from firmware_stubs.provisioning.station import Station

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    from typing import Any

    from firmware_stubs.provisioning.core import Handler

URL_MAX = 200
DEVICE_MAX = 64
KEY_MAX = 256
SCHEMES = ("http://", "https://")


class BadDataError(ValueError):
    """The gateway's data cannot be used; said to the client in the answer."""


class Endpoints:
    """Handlers: each takes a plain request and gives a plain answer."""

    def __init__(self, hal: Hal, station: Station) -> None:
        self._hal = hal
        self._station = station

    def table(self) -> "dict[str, Handler]":
        """Give the handlers by the names of their endpoints."""
        return {
            "prov-config": self.config,
            "prov-scan": self.scan,
            "prov-ctrl": self.control,
            "custom-data": self.custom_data,
        }

    def config(self, plain: bytes) -> bytes:
        """Set the network, begin to join it, tell how it goes."""
        request = m.read(m.ConfigPayload, plain)
        answer = m.ConfigPayload(msg=request.msg + 1)
        if request.msg == m.GET_STATUS:
            answer.status = self._station.status()
        elif request.msg == m.SET_CONFIG and request.set_config is not None:
            status = self._station.set_config(request.set_config)
            answer.set_config_done = m.StatusOnly(status=status)
        elif request.msg == m.APPLY_CONFIG:
            answer.apply_config_done = m.StatusOnly(status=self._station.apply())
        else:
            raise Fault(500, f"prov-config: message {request.msg} is not known, or is empty")
        return answer.to_bytes()

    def scan(self, plain: bytes) -> bytes:
        """Look for networks, tell how many and which."""
        request = m.read(m.ScanPayload, plain)
        answer = m.ScanPayload(msg=request.msg + 1)
        if request.msg == m.SCAN_START and request.start is not None:
            self._station.scan()
            answer.started = m.Empty()
        elif request.msg == m.SCAN_STATUS:
            answer.scan_status = m.ScanStatus(finished=True, count=self._station.count())
        elif request.msg == m.SCAN_RESULT and request.get_result is not None:
            wanted = request.get_result
            networks = self._station.networks(wanted.start, wanted.count)
            answer.result = m.ScanResult(entries=networks or [])
            if networks is None:
                answer.status = m.INTERNAL_ERROR
        else:
            raise Fault(500, f"prov-scan: message {request.msg} is not known, or is empty")
        return answer.to_bytes()

    def control(self, plain: bytes) -> bytes:
        """Forget the network so that another one can be set."""
        request = m.read(m.CtrlPayload, plain)
        answer = m.CtrlPayload(msg=request.msg + 1)
        if request.msg == m.CTRL_RESET:
            self._station.reset()
            answer.reset_done = m.Empty()
        elif request.msg == m.CTRL_REPROV:
            self._station.reset()
            answer.reprov_done = m.Empty()
        else:
            raise Fault(500, f"prov-ctrl: message {request.msg} is not known")
        return answer.to_bytes()

    def custom_data(self, plain: bytes) -> bytes:
        """Keep the gateway's URL and this device's id and key."""
        try:
            url, device, key = _gateway(plain)
        except BadDataError as error:
            # Written out: the order of a dictionary is not the same in every Python.
            detail = json.dumps(str(error))
            return ('{"status": "error", "detail": ' + detail + "}").encode()
        self._hal.nvs_set("gw.url", url.encode())
        self._hal.nvs_set("gw.device", device.encode())
        self._hal.nvs_set("gw.key", key.encode())
        self._hal.nvs_commit()
        return b'{"status": "ok"}'


def _gateway(plain: bytes) -> tuple[str, str, str]:
    try:
        data = json.loads(str(plain, "utf-8"))
    except (ValueError, UnicodeError, RuntimeError):  # RuntimeError: nested too deeply
        raise BadDataError("expected a JSON object with url, device and key") from None
    if not isinstance(data, dict):
        raise BadDataError("expected a JSON object with url, device and key")
    url = _text(data, "url", URL_MAX)
    if not url.startswith(SCHEMES):
        raise BadDataError("url: expected http:// or https:// at its beginning")
    while url.endswith("/"):
        url = url[:-1]
    return url, _text(data, "device", DEVICE_MAX), _text(data, "key", KEY_MAX)


def _text(data: "dict[str, Any]", name: str, longest: int) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise BadDataError(f"{name}: expected a text of 1 to {longest} characters")
    for character in value:
        # The value goes into a request line or a header.
        if not 32 < ord(character) < 127:
            raise BadDataError(f"{name}: expected printable ASCII without spaces")
    return value
