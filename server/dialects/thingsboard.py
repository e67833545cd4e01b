"""Telemetry JSON of ThingsBoard devices.

    POST /api/v1/{token}/telemetry
    {"RPM": 812.5, "SPEED": 50}                           the gateway's instant
    {"ts": 1767323045000, "values": {"RPM": 812.5}}       milliseconds since 1970
    [{"ts": …, "values": {…}}, {"ts": …, "values": {…}}]  any number of either

A key is a short name, path or id of the catalogue, or a word of [dialects.thingsboard_keys]. Values
are numbers, or texts that are numbers, which ThingsBoard takes for such too. Two messages with one
instant are both kept (there, the second overwrote the first: thingsboard#8215).
Source: thingsboard.io/docs/reference/http-api/telemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from server.dialects.gathered import NUMBER, Gathered, not_the_form
from server.ingest.signals import find_signal

ENTRIES_MOST = 10_000
_NOT_MS = 2**53

_json = msgspec.json.Decoder()


def read_telemetry(body: bytes, keys: Mapping[str, int], now_ns: int) -> Gathered:
    """Take a body apart; keys and values that are none are left out and counted.

    Raises:
        Refusal: 400, it is no such JSON.
    """
    try:
        content = _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_the_form("body", "JSON", str(error)) from None
    entries = content if isinstance(content, list) else [content]
    if len(entries) > ENTRIES_MOST:
        raise not_the_form("body", f"at most {ENTRIES_MOST} entries", str(len(entries)))
    gathered = Gathered()
    for number, entry in enumerate(entries):
        where = f"[{number}]." if isinstance(content, list) else ""
        if not isinstance(entry, dict):
            expected = "an object of keys and values, or {ts, values}"
            raise not_the_form(where or "body", expected, type(entry).__name__)
        _entry(gathered, entry, where, keys, now_ns)
    return gathered


def _entry(
    gathered: Gathered, entry: dict[str, Any], where: str, keys: Mapping[str, int], now_ns: int
) -> None:
    if "ts" not in entry or "values" not in entry:
        _values(gathered, entry, where, keys, now_ns)
        return
    stamp, values = entry["ts"], entry["values"]
    if not isinstance(values, dict):
        raise not_the_form(f"{where}values", "an object", type(values).__name__)
    time_ms = _time_ms(stamp)
    if time_ms is None:
        raise not_the_form(f"{where}ts", "milliseconds since 1970", repr(stamp))
    _values(gathered, values, f"{where}values.", keys, time_ms * 1_000_000)


def _time_ms(stamp: object) -> int | None:
    """Give an instant; None for what is none.

    ThingsBoard takes a number with decimals, which it cuts off, and a text that is one
    (JsonConverter, Gson's getAsLong): clients whose numbers are all floats send these.
    """
    if isinstance(stamp, str) and NUMBER.fullmatch(stamp):
        stamp = int(stamp) if stamp.isdigit() else float(stamp)
    if not isinstance(stamp, int | float) or isinstance(stamp, bool) or not 0 <= stamp < _NOT_MS:
        return None
    return int(stamp)


def _values(
    gathered: Gathered,
    values: dict[str, Any],
    where: str,
    keys: Mapping[str, int],
    time_ns: int,
) -> None:
    for key, value in values.items():
        place = f"{where}{key[:60]}"
        signal = keys.get(key)
        if signal is None:
            is_id = key.isascii() and key.isdigit() and len(key) < 10
            found = find_signal(int(key) if is_id else key[:128])
            if found is None:
                expected = "a name, path or id of /api/v1/signals, or of thingsboard_keys"
                gathered.leave_out(expected, repr(key[:60]), place, "unknown signal")
                continue
            signal = found.id
        if isinstance(value, str):
            gathered.text(signal, time_ns, value, place)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            gathered.add(signal, time_ns, float(value))
        else:
            gathered.leave_out("a number", f"{type(value).__name__}", place, "not a number")
