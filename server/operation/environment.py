"""Variables of the older systems (O01-O04), as the configuration of this one.

    DATABASE_URL            [database] url; sqlite is refused with the way to import it
    DB_POOL_SIZE, DB_MAX_OVERFLOW            [database] pool_size, max_overflow
    HOST, PORT              [http] host, port
    DEBUG                   [log] level = "debug", unless a level is given
    LOG_LEVEL, LOG_FORMAT   [log] level, format
    API_SECRET_KEY, DEVICE_API_KEYS          [api] secret, device_keys
    WS_HEARTBEAT_INTERVAL, MAX_CONNECTIONS   [http] ws_heartbeat_s, connections
    TELEMETRY_INTERVAL      [pipeline] publish_ms
    ENABLE_SUPABASE         [database] enabled; false: nothing is kept
    SUPABASE_URL, SUPABASE_SERVICE_KEY       refused where they alone would name the database
    GPS_PORT, GPS_BAUDRATE, GPS_RATE_HZ      [links.gps], made where the file has none
    OBD_PORT, OBD_BAUDRATE, OBD_RATE_HZ      [links.obd], likewise
    MESHTASTIC_RATE_HZ      [links.*] kind mesh-uplink: least period of its packets

A variable TELERIG_… wins over an older name, which wins over the file. An empty one counts as
absent. Only a link that some variable names is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from server.errors import ConfigError

SQLITE_HINT = (
    "a URL postgresql://… (SQLite is not used any more: without DATABASE_URL an embedded "
    "PostgreSQL is started; bring the old data over with: telerig import FILE.db)"
)
SUPABASE_HINT = (
    "DATABASE_URL=postgresql://… beside ENABLE_SUPABASE (Supabase: Settings, Database, "
    "Connection string), or ENABLE_SUPABASE=false"
)
GPS_PORT, OBD_PORT = "/dev/ttyUSB0", "/dev/ttyUSB1"
GPS_BAUD, OBD_BAUD = 9_600, 38_400
OBD_RATE_HZ = 5.0
EPOCH_BYTES = 154
"""RMC and GGA of one epoch, as receivers write them."""
BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800)

_LEVELS = {
    "trace": "debug",
    "warn": "warning",
    "critical": "error",
    "fatal": "error",
}
_URL = re.compile(r"postgres(ql)?(\+\w+)?://")
_TRUE = {"1": True, "true": True, "yes": True, "on": True}
_FALSE = {"0": False, "false": False, "no": False, "off": False}


def translate(env: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Give the variables TELERIG_… that the older names stand for, and by which name each came.

    Raises:
        ConfigError: a variable says what this gateway cannot do.
    """
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, (variable, convert) in _NAMES.items():
        text = env.get(name, "").strip()
        if text and variable not in env and variable not in found:
            value = convert(name, text)
            if value is not None:
                found[variable] = value
                names[variable] = name
    _check_supabase(env, found)
    return found, names


def is_old_name(name: str) -> bool:
    """Tell whether a variable is one of the older systems."""
    return name in _NAMES or name in _LINK_NAMES


def _same(name: str, text: str) -> str:
    return text


def _database_url(name: str, text: str) -> str:
    if text.lower().startswith(("sqlite", "file:")) or text.endswith((".db", ".sqlite")):
        raise ConfigError(name, None, SQLITE_HINT, "a SQLite database")
    # SQLAlchemy writes its driver into the scheme: postgresql+asyncpg://
    return _URL.sub("postgresql://", text, count=1)


def _flag(name: str, text: str) -> bool:
    value = {**_TRUE, **_FALSE}.get(text.lower())
    if value is None:
        raise ConfigError(name, None, "true or false", repr(text[:40]))
    return value


def _enabled(name: str, text: str) -> str:
    return "true" if _flag(name, text) else "false"


def _debug(name: str, text: str) -> str | None:
    # Other programs use this name for other things ("*", "app:*"): only what says yes counts.
    return "debug" if _TRUE.get(text.lower()) else None


def _level(name: str, text: str) -> str:
    return _LEVELS.get(text.lower(), text.lower())


def _lower(name: str, text: str) -> str:
    return text.lower()


def _seconds_as_ms(name: str, text: str) -> str:
    try:
        return str(round(float(text) * 1000))
    except (ValueError, OverflowError):
        raise ConfigError(name, None, "seconds, as 0.05", repr(text[:40])) from None


_NAMES: Mapping[str, tuple[str, Callable[[str, str], str | None]]] = {
    "DATABASE_URL": ("TELERIG_DATABASE_URL", _database_url),
    "DB_POOL_SIZE": ("TELERIG_DATABASE_POOL_SIZE", _same),
    "DB_MAX_OVERFLOW": ("TELERIG_DATABASE_MAX_OVERFLOW", _same),
    "HOST": ("TELERIG_HTTP_HOST", _same),
    "PORT": ("TELERIG_HTTP_PORT", _same),
    "LOG_LEVEL": ("TELERIG_LOG_LEVEL", _level),
    "DEBUG": ("TELERIG_LOG_LEVEL", _debug),
    "LOG_FORMAT": ("TELERIG_LOG_FORMAT", _lower),
    "API_SECRET_KEY": ("TELERIG_API_SECRET", _same),
    "DEVICE_API_KEYS": ("TELERIG_API_DEVICE_KEYS", _same),
    "WS_HEARTBEAT_INTERVAL": ("TELERIG_HTTP_WS_HEARTBEAT_S", _same),
    "MAX_CONNECTIONS": ("TELERIG_HTTP_CONNECTIONS", _same),
    "TELEMETRY_INTERVAL": ("TELERIG_PIPELINE_PUBLISH_MS", _seconds_as_ms),
    "ENABLE_SUPABASE": ("TELERIG_DATABASE_ENABLED", _enabled),
}
_LINK_NAMES = (
    "GPS_PORT",
    "GPS_BAUDRATE",
    "GPS_RATE_HZ",
    "OBD_PORT",
    "OBD_BAUDRATE",
    "OBD_RATE_HZ",
    "MESHTASTIC_RATE_HZ",
    "SUPABASE_URL",
    "SUPABASE_SERVICE_KEY",
)


def _check_supabase(env: Mapping[str, str], found: Mapping[str, str]) -> None:
    is_on = _TRUE.get(env.get("ENABLE_SUPABASE", "").strip().lower(), False)
    has_url = "TELERIG_DATABASE_URL" in env or "TELERIG_DATABASE_URL" in found
    if is_on and env.get("SUPABASE_URL") and not has_url:
        raise ConfigError("SUPABASE_URL", None, SUPABASE_HINT, "only the address of its REST API")


def add_links(table: dict[str, Any], env: Mapping[str, str]) -> list[str]:
    """Put the links that variables name into a configuration; give what is to be said about it.

    Raises:
        ConfigError: a variable is no number, or a rate does not fit its wire.
    """
    links = table.setdefault("links", {})
    if not isinstance(links, dict):
        return []  # refused with its line when the table is read
    said = [*_gps(links, env), *_obd(links, env), *_mesh(links, env)]
    if not links:
        table.pop("links")
    return said


def _gps(links: dict[str, Any], env: Mapping[str, str]) -> list[str]:
    if not _any(env, "GPS_PORT", "GPS_BAUDRATE", "GPS_RATE_HZ"):
        return []
    link = _link(links, "gps", GPS_PORT)
    baud = _number(env, "GPS_BAUDRATE", link.get("baud", GPS_BAUD))
    link["port"] = env.get("GPS_PORT") or link["port"]
    link["baud"] = int(baud)
    rate_hz = _number(env, "GPS_RATE_HZ", 0.0)
    fits_hz = baud / 10 / EPOCH_BYTES
    if rate_hz <= fits_hz:
        return []
    better = next((b for b in BAUDS if b / 10 / EPOCH_BYTES >= rate_hz), None)
    advice = f"set receiver and GPS_BAUDRATE to {better}" if better else "choose a lower rate"
    return [
        f"GPS_RATE_HZ={rate_hz:g}: RMC and GGA fit {baud:g} baud {fits_hz:.1f} times a second at "
        f"most; {advice}"
    ]


def _obd(links: dict[str, Any], env: Mapping[str, str]) -> list[str]:
    if not _any(env, "OBD_PORT", "OBD_BAUDRATE", "OBD_RATE_HZ"):
        return []
    link = _link(links, "obd", OBD_PORT)
    link["port"] = env.get("OBD_PORT") or link["port"]
    link["baud"] = int(_number(env, "OBD_BAUDRATE", link.get("baud", OBD_BAUD)))
    if "plan" not in link or env.get("OBD_RATE_HZ"):
        rate_hz = _number(env, "OBD_RATE_HZ", OBD_RATE_HZ)
        plan = link.get("plan")
        names = (
            [item["signal"] for item in plan if isinstance(item, dict) and "signal" in item]
            if isinstance(plan, list)
            else ["RPM", "SPEED", "THROTTLE_POS", "COOLANT_TEMP"]
        )
        link["plan"] = [{"signal": name, "rate_hz": rate_hz} for name in names]
    return []


def _mesh(links: dict[str, Any], env: Mapping[str, str]) -> list[str]:
    if not env.get("MESHTASTIC_RATE_HZ"):
        return []
    rate_hz = _number(env, "MESHTASTIC_RATE_HZ", 1.0)
    kinds = [link.get("kind") for link in links.values() if isinstance(link, dict)]
    if not any(str(kind).startswith("mesh") for kind in kinds):
        return ["MESHTASTIC_RATE_HZ: no mesh link is configured, so it says nothing"]
    return [
        f"MESHTASTIC_RATE_HZ={rate_hz:g}: a mesh link plans by the airtime that the region allows; "
        "it sends as often as that, and no oftener than readings come"
    ]


def _link(links: dict[str, Any], kind: str, port: str) -> dict[str, Any]:
    """Give the table of the first link of a kind; make it where there is none."""
    for link in links.values():
        if isinstance(link, dict) and link.get("kind") == kind:
            link.setdefault("port", port)
            return link
    made: dict[str, Any] = {"kind": kind, "port": port}
    links[kind] = made
    return made


def _any(env: Mapping[str, str], *names: str) -> bool:
    return any(env.get(name) for name in names)


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 10_000_000:
        raise ConfigError(name, None, "a number above 0", repr(text[:40]))
    return value
