"""The gateway's configuration: a TOML file, then environment variables on top.

    [gateway]
    device = "car-1"                # device id under which the local links' readings are stored
    vehicle = "auto"                # "auto" (the VIN that a link reports) or a VIN

    [http]
    host = "127.0.0.1"
    port = 8000                     # 0: any free port, reported when the gateway is ready
    origins = ["https://…"]         # pages of other sites that may use the API (CORS, WebSockets)
    ws_heartbeat_s = 30             # of /api/v1/realtime/subscribe
    connections = 1000              # open at a time, WebSockets included; beyond them 503
    keep_alive_s = 75               # a connection may rest so long between two requests
    pages = true                    # at /, /index.html, … where they are installed (extra view)
    tls_cert = "/etc/…/cert.pem"    # with tls_key: https and wss; read again by a reload (SIGHUP)
    tls_key = "/etc/…/key.pem"

    [api]
    secret = "…"                    # the operator's key, 16 characters or more; none: nobody's
    device_keys = ["esp-1:…"]       # fixed device keys, for development; else: telerig devices
    device_requests_per_s = 0       # of one device, beyond it 429; 0: no limit

    [users]
    local_role = "none"             # what this machine may do without credentials; or viewer, …
    token_s = 900                   # life of an access token
    session_days = 30               # of a browser's session, or a refresh token,
    idle_days = 7                   # and how long it may rest
    requests_per_s = 100            # of one user, beyond it 429; 0: no limit

    [control]                       # commands to devices
    standing = ["clear_dtcs"]       # only while the vehicle stands
    allowed = ["reboot", …]         # no others; absent: all that a device knows
    templates = "command_templates.json"    # for all devices, beside those that they tell

    [database]
    url = "postgresql://…"          # absent: an embedded server with its data in data_dir
    data_dir = "/var/lib/telerig"
    enabled = true                  # false: live only, nothing is kept
    pool_size = 5                   # connections for reads, at most so many and
    max_overflow = 0                # so many more

    [metrics]
    token = "…"                     # for whoever reads /metrics; absent: this machine only

    [pipeline]
    queue_readings = 10000          # accepted, not yet stored, at most; then refused
    flush_ms = 500                  # group commit: the longest a reading waits for its commit
    publish_ms = 20                 # live stream: readings are sent together at this interval

    [journal]                       # while the database is away; see server.journal
    folder = "/var/lib/telerig/journal"     # default: in data_dir
    max_mb = 256

    [store]                         # see server.store.config
    compact_after_s = 600           # readings go from the hot log into segments
    compactor = "gateway"           # or "elsewhere": telerig compact does it
    raw_days = 0                    # readings older than this are dropped; 0: never
    rollup_days = 0                 # windows of 5 min likewise

    [live]                          # bounds of the live stream; see server.live.config
    clients = 500                   # WebSockets at a time
    clients_per_user = 250
    queue_messages = 4096           # that wait for one client; then the oldest are left out
    queue_kb = 512
    resume_kb = 4096                # newest events, for clients that come back
    replays = 4                     # recorded drives that are played at a time

    [log]
    format = "console"              # or "json"
    level = "info"                  # debug, info, warning, error
    requests = false                # each request a line at level info (else: at debug)

    [export]                        # downloads; see docs/export.md
    concurrent = 2                  # at a time; each is a process of its own
    longest_s = 3600

    [alerts], [mail]                # see server.alerts.config
    [forward]                       # to another gateway; see server.forward.config
    [outbound]                      # where the gateway may connect to; see server.outbound.config

    [instances]                     # with others on one database; see server.instances.config
    name = "gw-a"                   # absent, with all of the table: alone
    bus = "notify"
    lease_s = 1.0
    live_ms = 20

    [provisioning]                  # of devices, by the gateway; see server.provisioning.config
    enabled = true

    [dialects]                      # other people's devices; see server.dialects.config
    torque = false
    osmand = false
    thingsboard = false

    [compat]                        # interfaces of older systems; see server.compat.config
    s0 = false                      # its paths ask for a user, as all others do
    s2 = false                      # without a key only this machine may use them
    s4 = false
    s2_key = "…"
    s4_key = "…"
    s4_port = 8001                  # a second address; absent: none
    ws = "s2"                       # what /ws means where the client does not say
    device = "esp-1"                # whom S2's clients command; absent: the gateway's own
    telemetry_types = "telemetry_types.json"

    [compat.logger]
    command = ["/usr/bin/logger", "--port", "/dev/ttyUSB0"]
    stop_timeout_s = 5
    restart = false                 # again after it has ended by itself

    [links.obd]                     # any number of links; the name is free
    kind = "obd"                    # the rest of the table belongs to the kind

Any key outside `links` that is no list can be set by an environment variable, which wins over the
file:
TELERIG_HTTP_PORT, TELERIG_DATABASE_URL, TELERIG_PIPELINE_FLUSH_MS, … Names of older systems
(DATABASE_URL, PORT, …: `server.operation.environment`) are taken where that variable is not set.
With APP_ENV=production secrets need 32 characters.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from server.alerts.config import AlertsConfig, MailConfig, read_alerts, read_mail
from server.catalogue import Signal, register
from server.compat.config import CompatConfig, LoggerConfig
from server.config_section import Section, Where, describe
from server.control.schema import SchemaError
from server.control.templates import load_templates, read_json_file
from server.dialects.config import DialectsConfig, parse_dialects
from server.errors import CatalogueError, ConfigError
from server.export.config import ExportConfig, parse_export
from server.forward.config import ForwardConfig, read_forward
from server.instances.config import InstancesConfig, read_instances
from server.journal import JournalConfig, read_journal
from server.links.registry import link_class
from server.live.config import INTEGER_KEYS as LIVE_KEYS
from server.live.config import LiveConfig, read_live
from server.operation.config import MetricsConfig, metrics_config, tls_files
from server.operation.environment import add_links, translate
from server.outbound.config import OutboundConfig, read_outbound
from server.provisioning.config import ProvisioningConfig, read_provisioning
from server.store.config import ELSEWHERE, GATEWAY, StoreConfig, parse_store
from server.store.config import KEYS as STORE_KEYS
from server.store.shown_url import shown
from server.toml_lines import KeyPath, key_lines
from server.users.config import UsersConfig, users_config

NO_FILE = "configuration"
"""Stands in messages where no file was given."""

_LINK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:]+\](:\d{1,5})?")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")  # ISO 3779: without I, O and Q

_TEXT_KEYS: Mapping[str, tuple[str, ...]] = {
    "gateway": ("device", "vehicle"),
    "http": ("host", "tls_cert", "tls_key"),
    "api": ("secret", "device_keys"),
    "users": ("local_role",),
    "control": ("templates",),
    "compat": ("s2_key", "s4_key", "ws", "device", "telemetry_types"),
    "database": ("url", "data_dir"),
    "metrics": ("token",),
    "pipeline": (),
    "live": (),
    "log": ("format", "level"),
    "export": (),
    "dialects": (),
    "alerts": (),
    "mail": ("host", "security", "user", "password", "sender", "recipients", "ca_file"),
    "forward": ("url", "key", "folder", "devices", "ca_file"),
    "journal": ("folder",),
    "instances": ("name", "url", "bus", "ca_file"),
    "outbound": ("allow",),
    "provisioning": (),
    "store": ("compactor",),
}
_INTEGER_KEYS: Mapping[str, tuple[str, ...]] = {
    "http": ("port", "ws_heartbeat_s", "connections", "keep_alive_s"),
    "api": ("device_requests_per_s",),
    "users": ("token_s", "session_days", "idle_days", "requests_per_s"),
    "compat": ("s4_port",),
    "live": LIVE_KEYS,
    "export": ("concurrent", "longest_s"),
    "store": STORE_KEYS,
    "alerts": ("rules", "history_days"),
    "mail": ("port",),
    "forward": ("max_mb",),
    "journal": ("max_mb",),
    "instances": ("live_ms",),
    "database": ("pool_size", "max_overflow"),
    "pipeline": ("queue_readings", "flush_ms", "publish_ms"),
}
_FLAG_KEYS: Mapping[str, tuple[str, ...]] = {
    "http": ("pages",),
    "compat": ("s0", "s2", "s4"),
    "dialects": ("torque", "osmand", "thingsboard"),
    "database": ("enabled",),
    "log": ("requests",),
    "provisioning": ("enabled",),
}
_NUMBER_KEYS: Mapping[str, tuple[str, ...]] = {"instances": ("lease_s",)}
SECRET_LENGTH = 16
"""Characters of a secret that somebody chose, at least."""
PRODUCTION_SECRET_LENGTH = 32
"""The same where APP_ENV is "production"."""


class HttpConfig(msgspec.Struct, frozen=True):
    """Where the API listens, and for whose pages; port 0 takes any free port.

    `tls` is the file of the certificate and that of its key.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    origins: tuple[str, ...] = ()
    ws_heartbeat_s: int = 30
    connections: int = 1000
    keep_alive_s: int = 75
    pages: bool = True
    tls: tuple[Path, Path] | None = None


class ApiConfig(msgspec.Struct, frozen=True):
    """Secrets of the API: the operator's, and device keys as (device, key) for development."""

    secret: str | None = None
    device_keys: tuple[tuple[str, str], ...] = ()
    device_requests_per_s: int = 0

    def __repr__(self) -> str:
        secret = "None" if self.secret is None else "…"
        return f"ApiConfig(secret={secret}, device_keys={len(self.device_keys)})"


class ControlConfig(msgspec.Struct, frozen=True):
    """Which commands devices may be given; `allowed` None: all that have a template."""

    standing: tuple[str, ...] = ("clear_dtcs",)
    allowed: tuple[str, ...] | None = None
    templates: Path | None = None


class DatabaseConfig(msgspec.Struct, frozen=True):
    """Which PostgreSQL; `url` None means the embedded server with its data in `data_dir`.

    Where it is not `enabled` there is none, and nothing is kept.
    """

    url: str | None = None
    data_dir: Path | None = None
    enabled: bool = True
    pool_size: int = 5
    max_overflow: int = 0


class PipelineConfig(msgspec.Struct, frozen=True):
    """Bounds and intervals of the pipeline, milliseconds."""

    queue_readings: int = 10_000
    flush_ms: int = 500
    publish_ms: int = 20


class LogConfig(msgspec.Struct, frozen=True):
    """How the log is written."""

    format: str = "console"
    level: str = "info"
    requests: bool = False


class LinkConfig(msgspec.Struct, frozen=True):
    """One link: its name, its kind, the options that the kind's class made of its table, the
    signals that it adds to the catalogue, and its table as text, to see whether it has changed."""

    name: str
    kind: str
    options: Any
    signals: tuple[Signal, ...] = ()
    source: str = ""


class GatewayConfig(msgspec.Struct, frozen=True):
    """Everything that `serve` needs to know; `vehicle` None means: as a link reports it.

    `notes` is what is to be said about the environment, `taken` the older names found there.
    """

    device: str = "car-1"
    vehicle: str | None = None
    http: HttpConfig = HttpConfig()
    api: ApiConfig = ApiConfig()
    users: UsersConfig = UsersConfig()
    control: ControlConfig = ControlConfig()
    database: DatabaseConfig = DatabaseConfig()
    metrics: MetricsConfig = MetricsConfig()
    pipeline: PipelineConfig = PipelineConfig()
    journal: JournalConfig = JournalConfig()
    log: LogConfig = LogConfig()
    compat: CompatConfig = CompatConfig()
    live: LiveConfig = LiveConfig()
    store: StoreConfig = StoreConfig()
    export: ExportConfig = ExportConfig()
    dialects: DialectsConfig = DialectsConfig()
    alerts: AlertsConfig = AlertsConfig()
    mail: MailConfig = MailConfig()
    forward: ForwardConfig = ForwardConfig()
    outbound: OutboundConfig = OutboundConfig()
    provisioning: ProvisioningConfig = ProvisioningConfig()
    instances: InstancesConfig | None = None
    links: tuple[LinkConfig, ...] = ()
    notes: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that the links add to the catalogue."""
        return tuple(signal for link in self.links for signal in link.signals)

    def with_database_url(self, url: str, data_dir: Path | None = None) -> GatewayConfig:
        """Give the same configuration on another database, and where its data are."""
        data_dir = data_dir or self.database.data_dir
        return msgspec.structs.replace(
            self, database=msgspec.structs.replace(self.database, url=url, data_dir=data_dir)
        )


def load_config(path: Path | None, env: Mapping[str, str]) -> GatewayConfig:
    """Read the configuration file (None: no file) and the environment.

    Raises:
        ConfigError: with file, line, what was expected and what was found.
    """
    if path is None:
        return parse_config("", NO_FILE, env)
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors of Windows begin it with a mark
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
    old, names = translate(env)
    notes = add_links(table, env)
    variables = _apply_environment(table, {**env, **old}, names)
    top = Section(table, Where(file, (), key_lines(text), variables))
    gateway = top.section("gateway")
    config = GatewayConfig(
        device=_device(gateway),
        vehicle=_vehicle(gateway),
        http=_http(top.section("http")),
        api=_api(top.section("api")),
        users=users_config(top.section("users")),
        control=_control(top.section("control")),
        database=_database(top.section("database")),
        metrics=metrics_config(top.section("metrics")),
        pipeline=_pipeline(top.section("pipeline")),
        journal=read_journal(top.section("journal")),
        log=_log(top.section("log")),
        compat=_compat(top.section("compat")),
        live=read_live(top.section("live")),
        store=parse_store(top.section("store")),
        export=parse_export(top.section("export")),
        dialects=parse_dialects(top.section("dialects")),
        alerts=read_alerts(top.section("alerts")),
        mail=read_mail(top.section("mail")),
        forward=read_forward(top.section("forward")),
        outbound=read_outbound(top.section("outbound")),
        provisioning=read_provisioning(top.section("provisioning")),
        instances=_instances(top, _device(gateway)),
        links=_links(top.section("links")),
        notes=tuple(notes),
        taken=tuple(sorted(names.values())),
    )
    gateway.done()
    top.done()
    if config.device in dict(config.api.device_keys):
        where = top.where.at("api")
        raise where.error("device_keys", "other devices than the gateway's own", config.device)
    if config.instances is not None and (
        config.database.url is None or not config.database.enabled
    ):
        expected = "[database] url and enabled: several gateways share one server"
        found = "no url" if config.database.enabled else "enabled = false"
        raise top.where.error("instances", expected, found)
    if config.store.compactor == ELSEWHERE and config.database.url is None:
        expected = f'"{GATEWAY}" where there is no [database] url: an embedded server is ours alone'
        raise top.where.at("store").error("compactor", expected, describe(ELSEWHERE))
    if env.get("APP_ENV") == "production":
        _check_production(config, top.where)
    return config


def _check_production(config: GatewayConfig, where: Where) -> None:
    """Refuse what is too weak for production: short secrets, trust in whoever is local."""
    if config.users.local_role is not None:
        expected = '"none" (APP_ENV is production)'
        raise where.error(
            ("users", "local_role"), expected, describe(config.users.local_role.value)
        )
    secrets = [
        (("api", "secret"), config.api.secret),
        (("compat", "s2_key"), config.compat.s2_key),
        (("compat", "s4_key"), config.compat.s4_key),
        *((("api", "device_keys"), key) for _, key in config.api.device_keys),
    ]
    for path, text in secrets:
        if text is not None and len(text) < PRODUCTION_SECRET_LENGTH:
            expected = f"{PRODUCTION_SECRET_LENGTH} or more characters (APP_ENV is production)"
            raise where.error(path, expected, f"{len(text)} characters")


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


def _apply_environment(
    table: dict[str, Any], env: Mapping[str, str], names: Mapping[str, str]
) -> dict[KeyPath, str]:
    """Put environment variables into the table; give which variable set which key.

    `names` has the older name of those that came by one.
    """
    sections = {f"TELERIG_{section.upper()}_": section for section in _TEXT_KEYS}
    known = {
        f"{prefix}{key.upper()}": (section, key)
        for prefix, section in sections.items()
        for key in (
            *_TEXT_KEYS[section],
            *_INTEGER_KEYS.get(section, ()),
            *_FLAG_KEYS.get(section, ()),
            *_NUMBER_KEYS.get(section, ()),
        )
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
        inner[key] = _value(section, key, text)
        variables[section, key] = names.get(variable, variable)
    return variables


def _value(section: str, key: str, text: str) -> object:
    """Give the value of a key that a variable sets."""
    if key in _INTEGER_KEYS.get(section, ()):
        return _integer_text(text)
    if key in _FLAG_KEYS.get(section, ()):
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if key in _NUMBER_KEYS.get(section, ()):
        return _number_text(text)
    return text


def _integer_text(text: str) -> int | str:
    """Give the number where the text is one; else the text, which is refused later."""
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text.strip(), re.ASCII) else text


def _number_text(text: str) -> float | str:
    """Give the number where the text is one; else the text, which is refused later."""
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip(), re.ASCII) else text


def _device(section: Section, default: Any = "car-1") -> Any:
    device = section.text("device", default)
    if device is not None and not _DEVICE.fullmatch(device):
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
        origins=_origins(section),
        ws_heartbeat_s=section.integer("ws_heartbeat_s", 30, minimum=1, maximum=3600),
        connections=section.integer("connections", 1000, minimum=1, maximum=1_000_000),
        keep_alive_s=section.integer("keep_alive_s", 75, minimum=1, maximum=3600),
        pages=section.flag("pages", True),
        tls=tls_files(section),
    )
    section.done()
    return http


def _origins(section: Section) -> tuple[str, ...]:
    origins: tuple[str, ...] = section.texts("origins", ())
    for index, origin in enumerate(origins):
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            expected = 'an origin as "https://app.example" (no path), or "*"'
            raise section.where.error(("origins", index), expected, describe(origin))
    return origins


def _api(section: Section) -> ApiConfig:
    api = ApiConfig(
        secret(section, "secret"),
        _device_keys(section),
        section.integer("device_requests_per_s", 0, minimum=0, maximum=1_000_000),
    )
    section.done()
    return api


def secret(section: Section, key: str) -> str | None:
    """Give a secret that somebody chose; None where there is none. Errors do not show it."""
    text: str | None = section.text(key, None)
    if text is not None and (len(text) < SECRET_LENGTH or not text.isprintable()):
        expected = f"{SECRET_LENGTH} or more printable characters"
        raise section.where.error(key, expected, f"{len(text)} characters")
    return text


def _device_keys(section: Section) -> tuple[tuple[str, str], ...]:
    """Read keys as "device:key", or bare ones, whose device is named after the key's hash."""
    if isinstance(section.table.get("device_keys"), str):
        section.has("device_keys")
        texts = [text.strip() for text in section.table["device_keys"].split(",")]
    else:
        texts = list(section.texts("device_keys", ()))
    keys: list[tuple[str, str]] = []
    for number, text in enumerate(filter(None, texts), 1):
        device, colon, key = text.partition(":")
        if not colon:
            key = text
            device = f"key-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        if not _DEVICE.fullmatch(device):
            raise section.where.error("device_keys", "DEVICE:KEY", f"device {device[:80]!r}")
        if len(key) < SECRET_LENGTH or not key.isprintable():
            expected = f"keys of {SECRET_LENGTH} or more printable characters"
            raise section.where.error(
                "device_keys", expected, f"{len(key)} characters in number {number}"
            )
        keys.append((device, key))
    if len({key for _, key in keys}) < len(keys):
        raise section.where.error("device_keys", "a key of its own for each device", "one twice")
    return tuple(keys)


def _control(section: Section) -> ControlConfig:
    templates = json_file(section, "templates", load_templates)
    control = ControlConfig(
        section.texts("standing", ("clear_dtcs",)), section.texts("allowed", None), templates
    )
    section.done()
    return control


def json_file(section: Section, key: str, read: Callable[[Path], object]) -> Path | None:
    """Give the path of a JSON file, which is read once to see that it is right."""
    text = section.text(key, None)
    if text is None:
        return None
    path = Path(text).expanduser()
    try:
        read(path)
    except SchemaError as error:
        raise section.where.error(key, error.expected, f"{error.found} at {error.where}") from None
    return path


def _database(section: Section) -> DatabaseConfig:
    url = section.text("url", None)
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise section.where.error("url", "a URL postgresql://…", describe(shown(url)))
    data_dir = section.text("data_dir", None)
    database = DatabaseConfig(
        url,
        None if data_dir is None else Path(data_dir).expanduser(),
        section.flag("enabled", True),
        section.integer("pool_size", 5, minimum=1, maximum=1000),
        section.integer("max_overflow", 0, minimum=0, maximum=1000),
    )
    section.done()
    return database


def _instances(top: Section, device: str) -> InstancesConfig | None:
    return read_instances(top.section("instances"), device) if top.has("instances") else None


def _pipeline(section: Section) -> PipelineConfig:
    pipeline = PipelineConfig(
        queue_readings=section.integer("queue_readings", 10_000, minimum=1, maximum=10_000_000),
        flush_ms=section.integer("flush_ms", 500, minimum=1, maximum=60_000),
        publish_ms=section.integer("publish_ms", 20, minimum=1, maximum=60_000),
    )
    section.done()
    return pipeline


def _log(section: Section) -> LogConfig:
    log = LogConfig(
        format=section.choice("format", ("console", "json"), "console"),
        level=section.choice("level", ("debug", "info", "warning", "error"), "info"),
        requests=section.flag("requests", False),
    )
    section.done()
    return log


def _compat(section: Section) -> CompatConfig:
    compat = CompatConfig(
        s0=section.flag("s0", False),
        s2=section.flag("s2", False),
        s4=section.flag("s4", False),
        s2_key=secret(section, "s2_key"),
        s4_key=secret(section, "s4_key"),
        s4_port=section.integer("s4_port", None, minimum=0, maximum=65_535),
        ws=section.choice("ws", ("s2", "s4"), None),
        device=_device(section, None),
        telemetry_types=json_file(section, "telemetry_types", read_json_file),
        logger=_logger(section.section("logger")),
    )
    section.done()
    if compat.ws is not None and not (compat.s2 if compat.ws == "s2" else compat.s4):
        raise section.where.error("ws", "an interface that is switched on", describe(compat.ws))
    if compat.s4_port is not None and not compat.s4:
        raise section.where.error("s4_port", "no port while s4 is off", str(compat.s4_port))
    return compat


def _logger(section: Section) -> LoggerConfig:
    logger = LoggerConfig(
        command=section.texts("command", ()),
        stop_timeout_s=section.number("stop_timeout_s", 5.0, minimum=0.0, maximum=60.0),
        restart=section.flag("restart", False),
    )
    section.done()
    return logger


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
        options = cls.parse(name, rest, table.where)
        links.append(LinkConfig(name, kind, options, tuple(cls.signals(options)), repr(rest)))
        _register(links, table.where)
    return tuple(links)


def _register(links: Sequence[LinkConfig], where: Where) -> None:
    """Add the signals of the last link to the catalogue."""
    newest = links[-1]
    for link in links[:-1]:
        both = {signal.name for signal in link.signals} & {s.name for s in newest.signals}
        if both:
            expected = "signals that no other link has (choose with the key signals)"
            raise where.error((), expected, f"{min(both)} of link {link.name} too")
    try:
        register(newest.signals)
    except CatalogueError as error:
        raise where.error((), "signals with names and ids of their own", str(error)) from error
