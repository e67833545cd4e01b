"""The Wi-Fi station as provisioning sees it: scan, join, tell how it went."""

from firmware_stubs.hal import (
    INFO,
    WARNING,
    WIFI_AUTH_FAILED,
    WIFI_CONNECTED,
    WIFI_NOT_FOUND,
    Hal,
)
from firmware_stubs.provisioning.messages import (
    AUTH_ERROR,
    CONNECTED,
    CONNECTING,
    CONNECTION_FAILED,
    DISCONNECTED,
    INTERNAL_ERROR,
    INVALID_ARGUMENT,
    NETWORK_NOT_FOUND,
    SUCCESS,
    AttemptFailed,
    Network,
    SetConfig,
    WifiConnected,
    WifiStatus,
)

TYPE_CHECKING = False  # MicroPython has no typing; a checker takes this name for True
if TYPE_CHECKING:
    Found = tuple[str, bytes, int, int, int]

ATTEMPTS = 3
ATTEMPT_MS = 20000
RETRY_PAUSE_MS = 1000
SSID_MAX_BYTES = 32
PASSPHRASE_MIN_BYTES = 8
PASSPHRASE_MAX_BYTES = 63
MAX_NETWORKS = 64


class Station:
    """Joins the network that the client names, and keeps it in NVS once it works."""

    def __init__(self, hal: Hal) -> None:
        self._hal = hal
        self._ssid = ""  # not set
        self._passphrase = ""
        self._networks: list[Found] = []
        self._attempts_left = ATTEMPTS
        self._begun_ms = 0
        self._again_ms: int | None = None
        self._reason = NETWORK_NOT_FOUND
        self.state = DISCONNECTED

    # --- scan ---

    def scan(self) -> None:
        """Look for networks, strongest first."""
        found = sorted(self._hal.wifi_scan(), key=lambda network: -network[3])
        self._networks = found[:MAX_NETWORKS]

    def count(self) -> int:
        """Give how many networks the last scan found."""
        return len(self._networks)

    def networks(self, start: int, count: int) -> "list[Network] | None":
        """Give some of the networks found; None when there are not so many."""
        if start + count > len(self._networks):
            return None
        return [_network(found) for found in self._networks[start : start + count]]

    # --- join ---

    def resume(self) -> None:
        """Join again the network that worked before a reset, if there is one."""
        ssid = self._hal.nvs_get("wifi.ssid")
        if ssid:
            self._ssid = str(ssid, "utf-8")
            self._passphrase = str(self._hal.nvs_get("wifi.pass") or b"", "utf-8")
            self.apply()

    def set_config(self, wanted: SetConfig) -> int:
        """Take the network to join; gives a protocomm status."""
        length = len(wanted.passphrase)
        if not 0 < len(wanted.ssid) <= SSID_MAX_BYTES or len(wanted.bssid) not in (0, 6):
            return INVALID_ARGUMENT
        if length and not PASSPHRASE_MIN_BYTES <= length <= PASSPHRASE_MAX_BYTES:
            return INVALID_ARGUMENT
        try:
            ssid = str(wanted.ssid, "utf-8")
            passphrase = str(wanted.passphrase, "utf-8")
        except (UnicodeError, ValueError):
            return INVALID_ARGUMENT
        self._ssid = ssid
        self._passphrase = passphrase
        return SUCCESS

    def apply(self) -> int:
        """Begin to join; gives a protocomm status."""
        if not self._ssid:
            return INTERNAL_ERROR
        self._attempts_left = ATTEMPTS
        self._connect()
        return SUCCESS

    def reset(self) -> None:
        """Leave the network and forget it."""
        self._hal.wifi_disconnect()
        self._ssid = ""
        self._passphrase = ""
        self._again_ms = None
        self.state = DISCONNECTED
        self._hal.nvs_erase("wifi.ssid")
        self._hal.nvs_erase("wifi.pass")
        self._hal.nvs_commit()

    def _connect(self) -> None:
        self._begun_ms = self._hal.ticks_ms()
        self._again_ms = None
        self._reason = NETWORK_NOT_FOUND
        self.state = CONNECTING
        self._hal.wifi_connect(self._ssid, self._passphrase)

    def poll(self) -> None:
        """Follow what the radio does."""
        if self.state != CONNECTING:
            return
        now = self._hal.ticks_ms()
        if self._again_ms is not None:
            if now >= self._again_ms:
                self._connect()
            return
        wifi = self._hal.wifi_state()
        if wifi == WIFI_CONNECTED:
            self._joined()
        elif wifi == WIFI_AUTH_FAILED:
            self._attempt_failed(AUTH_ERROR)
        elif wifi == WIFI_NOT_FOUND or now - self._begun_ms > ATTEMPT_MS:
            self._attempt_failed(NETWORK_NOT_FOUND)

    def _joined(self) -> None:
        self.state = CONNECTED
        self._hal.nvs_set("wifi.ssid", self._ssid.encode())
        self._hal.nvs_set("wifi.pass", self._passphrase.encode())
        self._hal.nvs_commit()
        self._hal.log(INFO, "provisioning: Wi-Fi connected")

    def _attempt_failed(self, reason: int) -> None:
        self._reason = reason
        self._attempts_left -= 1
        self._hal.wifi_disconnect()
        if self._attempts_left > 0:
            self._again_ms = self._hal.ticks_ms() + RETRY_PAUSE_MS
            return
        self.state = CONNECTION_FAILED
        self._hal.log(WARNING, f"provisioning: Wi-Fi failed, reason {reason}")

    # --- tell ---

    def status(self) -> WifiStatus:
        """Give the state as the client asks for it."""
        answer = WifiStatus(state=self.state)
        if self.state == CONNECTED:
            answer.connected = self._connected()
        elif self.state == CONNECTION_FAILED:
            answer.fail_reason = self._reason
        elif self.state == CONNECTING and self._attempts_left < ATTEMPTS:
            answer.attempt_failed = AttemptFailed(attempts_remaining=self._attempts_left)
        return answer

    def _connected(self) -> WifiConnected:
        # The board does not tell its address; 0.0.0.0 is what clients take for "not known".
        told = WifiConnected(ip4_addr="0.0.0.0", ssid=self._ssid.encode())
        for found in self._networks:
            if found[0] == self._ssid:
                told.bssid, told.channel, told.auth_mode = bytes(found[1]), found[2], found[4]
                break
        return told


def _network(found: "Found") -> Network:
    ssid, bssid, channel, rssi, auth = found
    return Network(
        ssid=ssid.encode()[:SSID_MAX_BYTES],
        bssid=bytes(bssid),
        channel=channel,
        rssi=rssi & 0xFFFFFFFFFFFFFFFF,
        auth=auth,
    )
