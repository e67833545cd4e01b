"""Provisioning as the logger sees it: started in factory state, polled, done in the end.

    provisioner = Provisioner(hal)
    provisioner.start()
    while not provisioner.done: wait(provisioner.poll())

While it runs, the Wi-Fi station is its own: the logger sends as soon as `hal.wifi_state()` says
connected and the settings name a gateway, and calls `accepted()` when the gateway has taken the
first reading. The console belongs to the logger, which hands on what it reads with `console()`.

Settings in NVS: `wifi.ssid`, `wifi.pass`, `gw.url`, `gw.device`, `gw.key` (written here, read by
the logger), `prov.salt` and `prov.verifier` (given by the factory, or made at first start from
user and password), `prov.done`.
"""

from firmware_stubs.hal import INFO, Hal
from firmware_stubs.provisioning.access_point import AccessPoint
from firmware_stubs.provisioning.console import Console
from firmware_stubs.provisioning.core import Core
from firmware_stubs.provisioning.endpoints import Endpoints
from firmware_stubs.provisioning.security2 import Security2
from firmware_stubs.provisioning.srp import KEY_BYTES, make_salt, make_verifier
from firmware_stubs.provisioning.station import Station

USER = "wifiprov"
PASSWORD = "abcd1234"

IDLE_POLL_MS = 20
LINGER_MS = 3000  # the client that waits for us to be connected gets its answer


def needed(hal: Hal) -> bool:
    """Say whether this board was never provisioned to the end."""
    return hal.nvs_get("prov.done") is None


def forget(hal: Hal) -> None:
    """Go back to factory state, but for salt and verifier."""
    for key in ("prov.done", "wifi.ssid", "wifi.pass", "gw.url", "gw.device", "gw.key"):
        hal.nvs_erase(key)
    hal.nvs_commit()


class Provisioner:
    """Answers clients until the gateway has accepted a first reading.

    Args:
        settings: "user" and "password" of the factory, "name" of the device's own network.
    """

    def __init__(self, hal: Hal, settings: "dict[str, str] | None" = None) -> None:
        self._hal = hal
        self._settings = settings or {}
        self._station = Station(hal)
        self._access_point: AccessPoint | None = None
        self._console: Console | None = None
        self._accepted_ms: int | None = None
        self.done = False

    def start(self) -> None:
        """Make salt and verifier if there are none, open the access point, rejoin the network."""
        salt, verifier = self._credentials()
        security = Security2(self._hal, salt, verifier)
        core = Core(self._hal, security, Endpoints(self._hal, self._station).table())
        self._access_point = AccessPoint(self._hal, core)
        self._console = Console(self._hal, core)
        name = self._settings.get("name") or "PROV_" + salt[:3].hex().upper()
        self._hal.ap_start(name)
        self._hal.log(INFO, "provisioning: open as " + name)
        self._station.resume()

    def _credentials(self) -> tuple[bytes, bytes]:
        salt = self._hal.nvs_get("prov.salt")
        verifier = self._hal.nvs_get("prov.verifier")
        if salt and verifier and len(verifier) <= KEY_BYTES:
            return salt, verifier
        user = self._settings.get("user", USER).encode()
        password = self._settings.get("password", PASSWORD).encode()
        salt = make_salt(self._hal)
        verifier = make_verifier(self._hal, user, password, salt)
        self._hal.nvs_set("prov.salt", salt)
        self._hal.nvs_set("prov.verifier", verifier)
        self._hal.nvs_commit()
        return salt, verifier

    def console(self, data: bytes) -> None:
        """Take bytes that came on the console."""
        if self._console is not None:
            self._console.feed(data)

    def accepted(self) -> None:
        """Take note that the gateway accepted a reading of this board: provisioning ends."""
        if self._accepted_ms is None:
            self._accepted_ms = self._hal.ticks_ms()
            self._hal.nvs_set("prov.done", b"1")
            self._hal.nvs_commit()

    def poll(self) -> int:
        """Do one step; gives the milliseconds after which it wants to be called again."""
        if self.done or self._access_point is None or self._console is None:
            return IDLE_POLL_MS
        self._station.poll()
        busy = self._access_point.poll()
        busy = self._console.poll() or busy
        if busy:
            return 0
        self._end_when_accepted()
        return IDLE_POLL_MS

    def _end_when_accepted(self) -> None:
        if self._accepted_ms is None:
            return
        if self._hal.ticks_ms() - self._accepted_ms >= LINGER_MS:
            self.done = True
            self._hal.ap_stop()
            self._hal.log(INFO, "provisioning: done")
