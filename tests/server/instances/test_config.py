"""[instances]: defaults, environment, and errors that name the line and show no password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.config import GatewayConfig, parse_config
from server.errors import ConfigError
from server.instances.config import InstancesConfig, bus_servers
from server.operation.checks.finding import FAIL, OK, WARN, Finding
from server.operation.checks.instances import _clock, instances
from tests.server.instances.conftest import NatsServer

DATABASE = "[database]\nurl = 'postgresql://u:p@h/d'\n"


def parse(text: str, database: str = DATABASE, **env: str) -> GatewayConfig:
    """Parse text that is called telerig.toml."""
    return parse_config(text + database, "telerig.toml", env)


def test_absent_is_alone() -> None:
    """Without the table there are no others."""
    assert parse("").instances is None


def test_defaults() -> None:
    """An empty table is enough: the name is the device's."""
    config = parse("[gateway]\ndevice = 'gw-7'\n[instances]\n")
    assert config.instances == InstancesConfig("gw-7", None, "notify", None, 1.0, 20)


def test_all_of_it(tmp_path: Path) -> None:
    """Every key is taken."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("")
    bus = "nats+tls://u:p@one, tls://two:4333"
    config = parse(
        f"[instances]\nname = 'a'\nurl = 'https://10.0.0.7'\nbus = '{bus}'\n"
        f"ca_file = '{ca_file}'\nlease_s = 0.5\nlive_ms = 5\n"
    )
    assert config.instances == InstancesConfig("a", "https://10.0.0.7", bus, ca_file, 0.5, 5)
    assert bus_servers(bus) == ["tls://u:p@one:4222", "tls://two:4333"]


def test_the_environment_is_enough() -> None:
    """Variables make the table, as with other sections; a password stays out of the file."""
    config = parse(
        "",
        "",
        TELERIG_DATABASE_URL="postgresql:///d",
        TELERIG_INSTANCES_NAME="a",
        TELERIG_INSTANCES_BUS="nats://u:hidden@h:4222",
        TELERIG_INSTANCES_LEASE_S="2.5",
        TELERIG_INSTANCES_LIVE_MS="40",
    )
    assert config.instances is not None
    assert (config.instances.lease_s, config.instances.live_ms) == (2.5, 40)
    assert "hidden" not in repr(config)


@pytest.mark.parametrize(
    ("text", "database", "message"),
    [
        ("[instances]\n", "", ":1: expected [database] url and enabled: several gateways share"),
        ("[instances]\n", "[database]\nenabled = false\nurl = 'postgresql:///d'\n", "= false"),
        ("[instances]\nname = 'a b'\n", DATABASE, ":2: expected 1 to 64 letters"),
        ("[instances]\nbus = 'redis://h'\n", DATABASE, ':2: expected "notify" or "nats://HOST'),
        ("\n[instances]\nbus = 'nats://'\n", DATABASE, ":3: expected"),
        ("[instances]\nbus = 'nats://u:hidden@h:x'\n", DATABASE, "instances.bus, found"),
        ("[instances]\nbus = 'nats://u:hidden@h/path'\n", DATABASE, "without a path"),
        ("[instances]\nbus = 'nats:/u:hidden@h'\n", DATABASE, "found string 'nats:/h'"),
        ("[instances]\nbus = 'u:hidden@h:4222'\n", DATABASE, "found string 'h:4222'"),
        ("[instances]\nbus = 'nats://u:a/hidden@h'\n", DATABASE, "instances.bus, found"),
        ("[instances]\nbus = 'nats://a, tls://u:hidden@b'\n", DATABASE, "all servers with TLS"),
        ("[instances]\nbus = 'nats://a,'\n", DATABASE, ":2: expected"),
        ("[instances]\nurl = 'gw-a:8000'\n", DATABASE, ":2: expected a URL as http://HOST:PORT"),
        ("[instances]\nlease_s = 0.01\n", DATABASE, ":2: expected a number from 0.2 to 60"),
        ("[instances]\nlive_ms = 0\n", DATABASE, ":2: expected a whole number from 1 to 1000"),
        ("[instances]\nca_file = '/nowhere'\n", DATABASE, ":2: expected a file"),
        ("[instances]\nnmae = 'a'\n", DATABASE, "did you mean 'name'?"),
    ],
)
def test_what_is_wrong_is_named(text: str, database: str, message: str) -> None:
    """File, line, what was expected, what was found; never a password."""
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse(text, database)
    assert "hidden" not in str(caught.value)


def test_a_wrong_variable_is_named() -> None:
    """The place is the variable."""
    with pytest.raises(ConfigError, match="TELERIG_INSTANCES_LEASE_S: expected a number"):
        parse("", TELERIG_INSTANCES_LEASE_S="soon")


# -- telerig doctor ----------------------------------------------------------------------------


def look(url: str, text: str) -> dict[str, Finding]:
    """The findings by what was looked at."""
    config = parse(text, f"[database]\nurl = '{url}'\n")
    return {finding.check: finding for finding in instances(config, {})}


def test_the_doctor_looks_at_bus_and_clock(database_url: str, nats_server: NatsServer) -> None:
    """Both are right; then the server of the bus is gone."""
    text = f"[instances]\nname = 'a'\nbus = '{nats_server.url}'\n"
    found = look(database_url, text)
    assert {finding.state for finding in found.values()} == {OK}
    assert found["instances"].found == "this one is a; living now: none"
    assert f"nats at {nats_server.url} answers" in found["instances: bus"].found
    nats_server.kill()
    found = look(database_url, text)
    assert found["instances: bus"].state == FAIL
    assert "[instances] bus" in found["instances: bus"].advice
    assert found["instances: clock"].state == OK
    assert look(database_url, "[instances]\n")["instances: bus"].found == "notify answers"
    assert not look(database_url, "")


@pytest.mark.parametrize(("ahead_s", "words"), [(3600.0, "3600.0 s ahead"), (-1.5, "1.5 s behind")])
def test_a_clock_that_differs(ahead_s: float, words: str) -> None:
    """It is said in words, with what to do."""
    finding = _clock(ahead_s)
    assert finding.state == WARN
    assert words in finding.found
    assert "chrony" in finding.advice
