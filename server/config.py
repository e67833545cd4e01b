"""The gateway's configuration: a TOML file, then environment variables on top.

    [gateway]
    device = "car-1"                # device id under which the local links' readings are stored
    vehicle = "auto"                # "auto" (the VIN that a link reports) or a VIN

    [http]
    host = "127.0.0.1"
    port = 8000                     # 0: any free port, reported when the gateway is ready

    [database]
    url = "postgresql://…"          # absent: an embedded server with its data in data_dir
    data_dir = "/var/lib/telerig"

    [pipeline]
    queue_readings = 10000          # accepted, not yet stored, at most; then refused
    flush_ms = 500                  # group commit: the longest a reading waits for its commit
    publish_ms = 50                 # live stream: readings are sent together at this interval

    [log]
    format = "console"              # or "json"
    level = "info"                  # debug, info, warning, error

    [links.obd]                     # any number of links; the name is free
    kind = "obd"                    # the rest of the table belongs to the kind

Any key outside `links` can be set by an environment variable, which wins over the file:
TELERIG_HTTP_PORT, TELERIG_DATABASE_URL, TELERIG_PIPELINE_FLUSH_MS, …
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from server.config_section import Section, Where, describe
from server.errors import ConfigError
from server.links.registry import link_class
from server.store.shown_url import shown
from server.toml_lines import KeyPath, key_lines

NO_FILE = "configuration"
"""Stands in messages where no file was given."""

_LINK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")  # ISO 3779: without I, O and Q

_TEXT_KEYS: Mapping[str, tuple[str, ...]] = {
    "gateway": ("device", "vehicle"),
    "http": ("host",),
    "database": ("url", "data_dir"),
    "pipeline": (),
    "log": ("format", "level"),
}
_INTEGER_KEYS: Mapping[str, tuple[str, ...]] = {
    "http": ("port",),
    "pipeline": ("queue_readings", "flush_ms", "publish_ms"),
}


class HttpConfig(msgspec.Struct, frozen=True):
    """Where the API listens; port 0 takes any free port."""

    host: str = "127.0.0.1"
    port: int = 8000


class DatabaseConfig(msgspec.Struct, frozen=True):
    """Which PostgreSQL; `url` None means the embedded server with its data in `data_dir`."""

    url: str | None = None
    data_dir: Path | None = None


class PipelineConfig(msgspec.Struct, frozen=True):
    """Bounds and intervals of the pipeline, milliseconds."""

    queue_readings: int = 10_000
    flush_ms: int = 500
    publish_ms: int = 50


class LogConfig(msgspec.Struct, frozen=True):
    """How the log is written."""

    format: str = "console"
    level: str = "info"


class LinkConfig(msgspec.Struct, frozen=True):
    """One link: its name, its kind, and the options that the kind's class made of its table."""

    name: str
    kind: str
    options: Any


class GatewayConfig(msgspec.Struct, frozen=True):
    """Everything that `serve` needs to know; `vehicle` None means: as a link reports it."""

    device: str = "car-1"
    vehicle: str | None = None
    http: HttpConfig = HttpConfig()
    database: DatabaseConfig = DatabaseConfig()
    pipeline: PipelineConfig = PipelineConfig()
    log: LogConfig = LogConfig()
    links: tuple[LinkConfig, ...] = ()

    def with_database_url(self, url: str) -> GatewayConfig:
        """Give the same configuration on another database."""
        return msgspec.structs.replace(
            self, database=msgspec.structs.replace(self.database, url=url)
        )


def load_config(path: Path | None, env: Mapping[str, str]) -> GatewayConfig:
    """Read the configuration file (None: no file) and the environment.

    Raises:
        ConfigError: with file, line, what was expected and what was found.
    """
    if path is None:
        return parse_config("", NO_FILE, env)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            str(path), line, "UTF-8 text", f"byte {error.object[error.start]:#04x}"
        ) from error
    except OSError as error:
        raise ConfigError(
            str(path), None, "a readable TOML file", error.strerror or str(error)
        ) from error
    return parse_config(text, str(path), env)


def parse_config(text: str, file: str, env: Mapping[str, str]) -> GatewayConfig:
    """Read configuration text; `file` names it in errors.

    Raises:
        ConfigError: with file, line, what was expected and what was found.
    """
    table = _parse_toml(text, file)
    variables = _apply_environment(table, env)
    top = Section(table, Where(file, (), key_lines(text), variables))
    gateway = top.section("gateway")
    config = GatewayConfig(
        device=_device(gateway),
        vehicle=_vehicle(gateway),
        http=_http(top.section("http")),
        database=_database(top.section("database")),
        pipeline=_pipeline(top.section("pipeline")),
        log=_log(top.section("log")),
        links=_links(top.section("links")),
    )
    gateway.done()
    top.done()
    return config


def _parse_toml(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        match = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", message)
        if match is None:
            raise ConfigError(file, None, "TOML", message) from error
        line = int(match[2]) if match[2] else text.count("\n") + 1
        raise ConfigError(file, line, "TOML", match[1]) from error
    except RecursionError as error:
        raise ConfigError(file, None, "TOML", "brackets nested too deeply") from error


def _apply_environment(table: dict[str, Any], env: Mapping[str, str]) -> dict[KeyPath, str]:
    """Put environment variables into the table; give which variable set which key."""
    sections = {f"TELERIG_{section.upper()}_": section for section in _TEXT_KEYS}
    known = {
        f"{prefix}{key.upper()}": (section, key)
        for prefix, section in sections.items()
        for key in (*_TEXT_KEYS[section], *_INTEGER_KEYS.get(section, ()))
    }
    variables: dict[KeyPath, str] = {}
    for variable, text in sorted(env.items()):
        if not variable.startswith(tuple(sections)):
            continue
        if variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            hint = near[0] if near else ", ".join(sorted(known))
            raise ConfigError("environment", None, f"a known variable ({hint})", variable)
        section, key = known[variable]
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            continue  # refused with its line when the section is read
        inner[key] = _integer_text(text) if key in _INTEGER_KEYS.get(section, ()) else text
        variables[section, key] = variable
    return variables


def _integer_text(text: str) -> int | str:
    """Give the number where the text is one; else the text, which is refused later."""
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text.strip(), re.ASCII) else text


def _device(section: Section) -> str:
    device: str = section.text("device", "car-1")
    if not _DEVICE.fullmatch(device):
        expected = "1 to 64 letters, digits, '.', '_' or '-'"
        raise section.where.error("device", expected, describe(device))
    return device


def _vehicle(section: Section) -> str | None:
    vehicle: str = section.text("vehicle", "auto")
    if vehicle == "auto":
        return None
    if not _VIN.fullmatch(vehicle):
        expected = '"auto" or a VIN of 17 capital letters (no I, O, Q) and digits'
        raise section.where.error("vehicle", expected, describe(vehicle))
    return vehicle


def _http(section: Section) -> HttpConfig:
    http = HttpConfig(
        host=section.text("host", "127.0.0.1"),
        port=section.integer("port", 8000, minimum=0, maximum=65_535),
    )
    section.done()
    return http


def _database(section: Section) -> DatabaseConfig:
    url = section.text("url", None)
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise section.where.error("url", "a URL postgresql://…", describe(shown(url)))
    data_dir = section.text("data_dir", None)
    section.done()
    return DatabaseConfig(url, None if data_dir is None else Path(data_dir).expanduser())


def _pipeline(section: Section) -> PipelineConfig:
    pipeline = PipelineConfig(
        queue_readings=section.integer("queue_readings", 10_000, minimum=1, maximum=10_000_000),
        flush_ms=section.integer("flush_ms", 500, minimum=1, maximum=60_000),
        publish_ms=section.integer("publish_ms", 50, minimum=1, maximum=60_000),
    )
    section.done()
    return pipeline


def _log(section: Section) -> LogConfig:
    log = LogConfig(
        format=section.choice("format", ("console", "json"), "console"),
        level=section.choice("level", ("debug", "info", "warning", "error"), "info"),
    )
    section.done()
    return log


def _links(section: Section) -> tuple[LinkConfig, ...]:
    links: list[LinkConfig] = []
    for name in section.table:
        if not _LINK_NAME.fullmatch(name):
            expected = "a link name of 1 to 32 letters, digits, '_' or '-'"
            raise section.where.error(name, expected, describe(name))
        table = section.section(name)
        kind: str = table.text("kind")
        cls = link_class(kind, table.where)
        rest = {key: value for key, value in table.table.items() if key != "kind"}
        links.append(LinkConfig(name, kind, cls.parse(name, rest, table.where)))
    return tuple(links)
