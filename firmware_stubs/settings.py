"""Settings in non-volatile storage, by their names.

wifi.ssid, wifi.pass    the network to join
gw.url                  of the gateway; not set: serial only
gw.device, gw.key       this device's name, and its key there
plan                    what to sample, JSON (firmware_stubs/plan.py)
profile                 a trained codec profile; used while it fits the plan
prof.0 to prof.2        profiles of packets that may still wait in the queue
"""

import json

from firmware_stubs.hal import WARNING, Hal

KEPT_PROFILES = 3


class Settings:
    """What was set, read again at each question: provisioning and commands change it."""

    def __init__(self, hal: Hal) -> None:
        self._hal = hal

    def text(self, key: str) -> str:
        """Give a setting as text; "" when it is not set or is no text."""
        value = self._hal.nvs_get(key)
        try:
            return str(value, "utf-8") if value else ""
        except (UnicodeError, ValueError):
            return ""

    def number(self, key: str, default: int, most: int) -> int:
        """Give a setting of digits; the default when it is not set, or makes no sense."""
        text = self.text(key)
        if not text or len(text) > 6 or not text.isdigit() or int(text) > most:
            return default
        return int(text)

    def has_gateway(self) -> bool:
        """Tell whether there is all that an uplink over Wi-Fi needs."""
        return bool(self.text("gw.url") and self.text("gw.key") and self.text("wifi.ssid"))

    def is_wired(self) -> bool:
        """Tell whether the device has a name but no gateway's URL: it waits for a serial host."""
        return bool(self.text("gw.device")) and not self.text("gw.url")

    def plan(self) -> "dict[str, object] | None":
        """Give the plan as it was set; None when there is none that can be read."""
        value = self._hal.nvs_get("plan")
        if not value:
            return None
        try:
            plan = json.loads(str(value, "utf-8"))
        except (UnicodeError, ValueError):
            plan = None
        if isinstance(plan, dict):
            return plan
        self._hal.log(WARNING, "the plan in NVS is no JSON object; the default is used")
        return None

    def save_plan(self, plan: "dict[str, object]") -> None:
        """Keep a plan over resets."""
        self._hal.nvs_set("plan", json.dumps(plan).encode())
        self._hal.nvs_commit()

    def trained_profile(self) -> bytes | None:
        """Give the profile that was installed."""
        return self._hal.nvs_get("profile")

    def kept_profile(self, profile_hash: bytes) -> bytes | None:
        """Give the profile of this hash; None when it is kept no more."""
        for slot in range(KEPT_PROFILES):
            kept = self._hal.nvs_get(f"prof.{slot}")
            if kept and kept[:8] == profile_hash:
                return kept[8:]
        return None

    def keep_profile(self, profile_hash: bytes, profile: bytes, needed: list[bytes]) -> bool:
        """Keep a profile beside those of the hashes in `needed`; False when there is no room."""
        if self.kept_profile(profile_hash) is not None:
            return True
        for slot in range(KEPT_PROFILES):
            key = f"prof.{slot}"
            kept = self._hal.nvs_get(key)
            if not kept or bytes(kept[:8]) not in needed:
                self._hal.nvs_set(key, profile_hash + profile)
                self._hal.nvs_commit()
                return True
        return False
