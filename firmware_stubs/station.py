"""Wi-Fi as the logger uses it: join the network of the settings, again and again, ever slower."""

from firmware_stubs.backoff import Backoff
from firmware_stubs.hal import WIFI_CONNECTED, WIFI_CONNECTING, WIFI_IDLE, Hal
from firmware_stubs.settings import Settings

ATTEMPT_MS = 20000


class Station:
    """Keeps the board on its network."""

    def __init__(self, hal: Hal, settings: Settings) -> None:
        self._hal = hal
        self._settings = settings
        self._pause = Backoff(hal, 1000, 60000)
        self._attempt_ms = -1  # when it was begun; -1: none is under way

    def poll(self, now_ms: int) -> bool:
        """Do what is due; tell whether the network is there."""
        state = self._hal.wifi_state()
        if state == WIFI_CONNECTED:
            self._attempt_ms = -1
            self._pause.worked()
            return True
        if self._attempt_ms >= 0 and (
            state not in (WIFI_IDLE, WIFI_CONNECTING) or now_ms - self._attempt_ms > ATTEMPT_MS
        ):
            self._hal.wifi_disconnect()
            self._attempt_ms = -1
            self._pause.failed(now_ms)
        elif self._attempt_ms < 0 and self._pause.over(now_ms):
            self._attempt_ms = now_ms
            self._hal.wifi_connect(
                self._settings.text("wifi.ssid"), self._settings.text("wifi.pass")
            )
        return False
