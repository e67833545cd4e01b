"""What an ESP32 prints while it starts: the ROM's words, then the second-stage boot loader's."""

from __future__ import annotations

# esp_reset_reason() as the ROM prints it.
ROM_REASONS = {
    "power-on": "0x1 (POWERON_RESET)",
    "brown-out": "0xf (RTCWDT_BROWN_OUT_RESET)",
    "watchdog": "0x8 (TG1WDT_SYS_RESET)",
    "command": "0xc (SW_CPU_RESET)",
    "panic": "0xc (SW_CPU_RESET)",
}
OTHER_REASON = "0xc (SW_CPU_RESET)"

LEVELS = ((40, "E"), (30, "W"), (20, "I"), (0, "D"))


def boot_log(reason: str, flash_bytes: int) -> bytes:
    """Return the text of a start for `reason`."""
    lines = [
        "ets Jul 29 2019 12:21:46",
        "",
        f"rst:{ROM_REASONS.get(reason, OTHER_REASON)},boot:0x13 (SPI_FAST_FLASH_BOOT)",
        "configsip: 0, SPIWP:0xee",
        "mode:DIO, clock div:2",
        "load:0x3fff0030,len:7104",
        "entry 0x400805f0",
        "I (29) boot: ESP-IDF v5.2 2nd stage bootloader",
        "I (46) boot.esp32: SPI Flash Size : 4MB",
        "I (61) boot: Partition Table:",
        "I (72) boot:  0 nvs              WiFi data        01 02 00009000 00060000",
        f"I (80) boot:  1 queue            Unknown data     01 81 00110000 {flash_bytes:08x}",
        "I (290) cpu_start: Starting scheduler on PRO CPU.",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def log_line(level: int, ticks_ms: int, text: str) -> bytes:
    """Return a line of the firmware as ESP-IDF's logger prints it."""
    letter = next(letter for least, letter in LEVELS if level >= least)
    return f"{letter} ({ticks_ms}) logger: {text}\r\n".encode("utf-8", "replace")
