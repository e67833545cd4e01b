"""The configuration: defaults, environment, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.cli import main
from server.config import GatewayConfig, load_config, parse_config
from server.errors import ConfigError


def parse(text: str, **env: str) -> GatewayConfig:
    """Parse text that is called telerig.toml."""
    return parse_config(text, "telerig.toml", env)


def test_nothing_given() -> None:
    """Without file and environment, every key has its default and there are no links."""
    config = load_config(None, {"PATH": "/bin", "TELERIG_DATA": "/somewhere"})
    assert config == GatewayConfig()
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8000)
    assert config.pipeline.queue_readings == 10_000


def test_everything_given(tmp_path: Path) -> None:
    """A file with every key is read, links through their class."""
    file = tmp_path / "telerig.toml"
    file.write_text(
        """
        [gateway]
        device = "car-7"
        vehicle = "WF0DXXGAKDDK12345"
        [http]
        host = "0.0.0.0"
        port = 0
        [database]
        url = "postgresql://u:p@h/d"
        data_dir = "/data"
        [pipeline]
        queue_readings = 5
        flush_ms = 100
        publish_ms = 10
        [log]
        format = "json"
        level = "debug"
        [links.a]
        kind = "fake"
        period_s = 1
        """
    )
    config = load_config(file, {})
    assert config.device == "car-7"
    assert config.vehicle == "WF0DXXGAKDDK12345"
    assert config.database.data_dir == Path("/data")
    assert config.pipeline.flush_ms == 100
    assert config.links[0].name == "a"
    assert config.links[0].options["period_s"] == 1.0
    assert config.with_database_url("postgresql:///x").database.url == "postgresql:///x"


def test_environment_wins() -> None:
    """An environment variable wins over the file, and adds to an absent section."""
    config = parse(
        "[http]\nport = 1", TELERIG_HTTP_PORT=" 2", TELERIG_DATABASE_URL="postgresql:///d"
    )
    assert config.http.port == 2
    assert config.database.url == "postgresql:///d"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[http]\nport = 70000", ":2: expected a whole number from 0 to 65535 for http.port, "),
        ("\n\n[http]\nport = '80'", ":4: expected a whole number"),
        ("[http]\nport = true", "found boolean true"),
        ("[http]\nprot = 1", ":2: expected a key that http has (did you mean 'port'?)"),
        ("[htpt]\nport = 1", ":1: expected a key that the file has (did you mean 'http'?)"),
        ("http = 3", ":1: expected a table [http] for http, found whole number 3"),
        ("[gateway]\ndevice = ''", ":2: expected a string that is not empty"),
        ("[gateway]\ndevice = 'a b'", ":2: expected 1 to 64 letters"),
        ("[gateway]\nvehicle = 'IOQ'", ':2: expected "auto" or a VIN'),
        ("[log]\nlevel = 'inof'", ":2: expected one of debug, info, warning, error (did you mean"),
        ("[database]\nurl = 'mysql://u:secret@h'", "found string 'mysql://u@h'"),
        ("[links.x]\nport = 1", ":1: expected a string for links.x.kind, found no such key"),
        ("[links.x]\n\nkind = 'fkae'", ":3: expected one of can, esp32, fake, gps, mesh"),
        ("[links.x]\nkind = 'fake'\nperiod = 2", ":3: expected a key that links.x has (did you"),
        ("[links.x]\nkind = 'fake'\nperiod_s = 'x'", ":3: expected a number from 0.0001 to 10"),
        ("[links.'a b']\nkind = 'fake'", ":1: expected a link name"),
        ("links = [1]", ":1: expected a table [links]"),
        ("[links]\nobd = 1", ":2: expected a table [links.obd] for links.obd"),
        ("a = \n", ":1: expected TOML, found Invalid value"),
        ("a = 1\na = 2", ":2: expected TOML, found Cannot overwrite a value"),
        ("[[a", ":1: expected TOML"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    """A wrong file is refused with file, line, what was expected and what was found."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith("telerig.toml:")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_errors_name_the_variable() -> None:
    """A wrong environment variable is named; an unknown one gets a suggestion."""
    with pytest.raises(ConfigError, match=r"^TELERIG_HTTP_PORT: expected a whole number"):
        parse("", TELERIG_HTTP_PORT="x")
    with pytest.raises(ConfigError, match=r"known variable \(TELERIG_HTTP_PORT\)"):
        parse("", TELERIG_HTTP_PROT="1")
    with pytest.raises(ConfigError, match="expected a table"):
        parse("http = 1", TELERIG_HTTP_PORT="1")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """An absent file, a folder, and bytes that are no UTF-8 are errors of the configuration."""
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "absent", {})
    with pytest.raises(ConfigError, match="directory"):
        load_config(tmp_path, {})
    (tmp_path / "bytes").write_bytes(b"a = 1\nb = '\xff'")
    with pytest.raises(ConfigError, match="bytes:2: expected UTF-8 text, found byte 0xff"):
        load_config(tmp_path / "bytes", {})


_fragments = st.sampled_from(
    (
        *("[http]", "[links.a]", "kind='fake'", "port=", "1", "'x'", "=", "[gateway]", "{", "]"),
        *("device=", "[database]", "url=", "[[links]]", "plan=", "[", "}", "nan", "\x00", "é"),
        *("\n", "\t"),
    )
)


@given(st.one_of(st.text(), st.lists(_fragments, max_size=14).map("".join)))
def test_any_text_gives_a_configuration_or_one_line(text: str) -> None:
    """No text ends in anything but a configuration or a one-line ConfigError."""
    message = ""
    try:
        parse(text)
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Editors of Windows begin a file with one."""
    file = tmp_path / "telerig.toml"
    file.write_bytes(b"\xef\xbb\xbf[http]\nport = 81\n")
    assert load_config(file, {}).http.port == 81


def test_a_check_looks_into_the_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there is told before the gateway starts."""
    file = tmp_path / "telerig.toml"
    file.write_text(f"[http]\ntls_cert = '{tmp_path}/c.pem'\ntls_key = '{tmp_path}/k.pem'\n")
    assert main(["serve", "--check", "--config", str(file)]) == 2
    assert f"{tmp_path}/c.pem" in capsys.readouterr().err
