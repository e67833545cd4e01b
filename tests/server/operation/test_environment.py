"""Variables of the older systems (O01-O04)."""

from __future__ import annotations

import pytest

from server.config import GatewayConfig, parse_config
from server.errors import ConfigError
from server.obd.link import ObdOptions


def parsed(text: str = "", **env: str) -> GatewayConfig:
    """The configuration of a text and an environment."""
    return parse_config(text, "telerig.toml", env)


@pytest.mark.promise("O01")
def test_variables_of_s1() -> None:
    """Ports, baud rates and rates of GPS and OBD make links with the old defaults."""
    config = parsed(
        DATABASE_URL="postgresql+asyncpg://u:pw@db/telemetry",
        DEBUG="true",
        GPS_PORT="/dev/ttyACM0",
        GPS_RATE_HZ="5",
        OBD_BAUDRATE="115200",
        OBD_RATE_HZ="2.5",
        MESHTASTIC_RATE_HZ="1",
    )
    assert config.database.url == "postgresql://u:pw@db/telemetry"
    assert config.log.level == "debug"
    gps, obd = config.links
    assert (gps.options.port, gps.options.baud) == ("/dev/ttyACM0", 9600)
    assert isinstance(obd.options, ObdOptions)
    assert obd.options.backend.port == "/dev/ttyUSB1"  # type: ignore[attr-defined]
    assert obd.options.backend.baud == 115_200  # type: ignore[attr-defined]
    assert {entry.rate_hz for entry in obd.options.plan} == {2.5}
    assert len(config.notes) == 1
    assert config.notes[0].startswith("MESHTASTIC_RATE_HZ: no mesh link is configured")


@pytest.mark.promise("D02")
@pytest.mark.promise("D09")
def test_a_rate_that_the_wire_cannot_carry() -> None:
    """10 Hz of NMEA at 9600 baud: the gateway says what fits, and which baud rate carries it."""
    (note,) = parsed(GPS_RATE_HZ="10").notes
    assert note == (
        "GPS_RATE_HZ=10: RMC and GGA fit 9600 baud 6.2 times a second at most; "
        "set receiver and GPS_BAUDRATE to 19200"
    )
    assert parsed(GPS_RATE_HZ="10", GPS_BAUDRATE="19200").notes == ()
    assert "lower rate" in parsed(GPS_RATE_HZ="9999").notes[0]


def test_variables_change_the_links_of_the_file() -> None:
    """A link of the file keeps its name and plan; variables change port and rate."""
    text = "[links.car]\nkind = 'obd'\nport = '/dev/a'\nplan = [{signal = 'RPM', rate_hz = 9}]"
    (link,) = parsed(text, OBD_PORT="/dev/b").links
    assert (link.name, link.options.backend.port) == ("car", "/dev/b")
    assert [entry.rate_hz for entry in link.options.plan] == [9]
    (link,) = parsed(text, OBD_RATE_HZ="3").links
    assert [(e.signal.name, e.rate_hz) for e in link.options.plan] == [("RPM", 3)]


@pytest.mark.promise("O02")
@pytest.mark.promise("T12")
def test_variables_of_s3() -> None:
    """Host, port, log, pool and secrets of S3 are taken; those of telerig's own win."""
    env = {
        "DATABASE_URL": "postgres://u@db/x",
        "APP_ENV": "staging",
        "API_SECRET_KEY": "s" * 32,
        "DEVICE_API_KEYS": "esp-1:" + "k" * 32,
        "LOG_LEVEL": "WARN",
        "LOG_FORMAT": "JSON",
        "DEBUG": "false",
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "DB_POOL_SIZE": "7",
        "DB_MAX_OVERFLOW": "3",
        "WS_HEARTBEAT_INTERVAL": "15",
    }
    config = parsed(**env)
    assert config.database.url == "postgresql://u@db/x"
    assert (config.database.pool_size, config.database.max_overflow) == (7, 3)
    assert (config.http.host, config.http.port, config.http.ws_heartbeat_s) == ("0.0.0.0", 8080, 15)
    assert (config.log.format, config.log.level) == ("json", "warning")
    assert config.api.secret == "s" * 32
    assert "PORT" in config.taken
    assert parsed(**env, TELERIG_HTTP_PORT="9").http.port == 9
    assert parsed().database.pool_size == 5


@pytest.mark.promise("O03")
@pytest.mark.promise("T15")
def test_variables_of_s4() -> None:
    """Without Supabase nothing is kept; with it, its PostgreSQL is wanted by URL."""
    assert parsed(ENABLE_SUPABASE="false").database.enabled is False
    assert parsed(ENABLE_SUPABASE="True", DATABASE_URL="postgres://x/y").database.enabled is True
    with pytest.raises(ConfigError, match="SUPABASE_URL: expected DATABASE_URL=postgresql"):
        parsed(ENABLE_SUPABASE="1", SUPABASE_URL="https://abc.supabase.co")
    with pytest.raises(ConfigError, match="ENABLE_SUPABASE: expected true or false"):
        parsed(ENABLE_SUPABASE="perhaps")


@pytest.mark.promise("O04")
def test_variables_of_s2() -> None:
    """Interval and connection limit come from the environment."""
    config = parsed(TELEMETRY_INTERVAL="0.2", MAX_CONNECTIONS="50")
    assert (config.pipeline.publish_ms, config.http.connections) == (200, 50)
    with pytest.raises(ConfigError, match="TELEMETRY_INTERVAL: expected seconds"):
        parsed(TELEMETRY_INTERVAL="often")


@pytest.mark.promise("T01")
@pytest.mark.parametrize("url", ["sqlite:///./telemetry.db", "sqlite+aiosqlite:///x", "data.db"])
def test_sqlite_is_refused_with_the_way_out(url: str) -> None:
    """A SQLite URL names the command that imports it."""
    with pytest.raises(ConfigError, match="telerig import") as caught:
        parsed(DATABASE_URL=url)
    assert caught.value.file == "DATABASE_URL"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"PORT": "80a"}, "PORT: expected a whole number from 0"),
        ({"GPS_BAUDRATE": "fast"}, "GPS_BAUDRATE: expected a number above 0"),
        ({"OBD_RATE_HZ": "-1"}, "OBD_RATE_HZ: expected a number above 0"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: expected one of debug"),
        ({"DB_POOL_SIZE": "0"}, "DB_POOL_SIZE: expected a whole number from 1"),
    ],
)
def test_errors_name_the_variable(env: dict[str, str], expected: str) -> None:
    """What is wrong is told by the name that was used."""
    with pytest.raises(ConfigError) as caught:
        parsed(**env)
    assert str(caught.value).startswith(expected)


def test_empty_variables_count_as_absent() -> None:
    """As compose files write them."""
    config = parsed(DATABASE_URL="", PORT="", GPS_PORT="", ENABLE_SUPABASE="", DEBUG="*")
    assert config == parsed()
