"""A bus for benchmarks: 25 messages with 8 signals of 8 bits each, as a DBC text and as frames."""

from __future__ import annotations

import random

MESSAGES = 25
SIGNALS_EACH = 8
FIRST_ID = 0x100
CYCLE_MS = 6
SCALES = ("1", "0.5", "0.1", "0.4")


def dbc_text() -> str:
    """Write the database file; every fourth signal is signed, every third one big-endian."""
    lines = ['VERSION ""', "", "NS_ :", "", "BS_:", "", "BU_: Car", ""]
    for message in range(MESSAGES):
        lines.append(f"BO_ {FIRST_ID + message} Message{message:02d}: 8 Car")
        for signal in range(SIGNALS_EACH):
            order = "0" if signal % 3 == 2 else "1"
            start = 8 * signal + (7 if order == "0" else 0)
            sign = "-" if signal % 4 == 3 else "+"
            scale = SCALES[signal % len(SCALES)]
            lines.append(
                f" SG_ Signal{message:02d}_{signal} : {start}|8@{order}{sign} ({scale},-10) "
                f'[0|0] "unit" Vector__XXX'
            )
        lines.append("")
    lines.append('BA_DEF_ BO_ "GenMsgCycleTime" INT 0 65535;')
    lines.append('BA_DEF_DEF_ "GenMsgCycleTime" 0;')
    lines.extend(
        f'BA_ "GenMsgCycleTime" BO_ {FIRST_ID + message} {CYCLE_MS};' for message in range(MESSAGES)
    )
    return "\n".join(lines) + "\n"


def frames(count: int) -> list[tuple[int, bytes]]:
    """Give identifiers and data, one message after the other."""
    numbers = random.Random(1)
    return [(FIRST_ID + index % MESSAGES, numbers.randbytes(8)) for index in range(count)]
