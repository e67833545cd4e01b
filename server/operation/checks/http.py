"""The gateway's door: its port, its certificate, its secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from server.errors import ConfigError, ServerError
from server.operation.checks.finding import FAIL, OK, WARN, Finding
from server.operation.health import ask
from server.operation.tls import expires_ns, make_context
from server.serve import listen

if TYPE_CHECKING:
    from server.config import GatewayConfig

CERTIFICATE_WARN_DAYS = 21


def port(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether the port is free, or a gateway's."""
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


def tls(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether certificate and key are there, and for how long they are good."""
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


def secrets(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether anybody can register devices."""
    if config.api.secret is None:
        advice = (
            "set TELERIG_API_SECRET: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
        yield Finding("secrets", WARN, "no API secret: nobody can register devices", advice)
    elif env.get("APP_ENV") != "production":
        yield Finding("secrets", OK, "an API secret is set", "APP_ENV=production checks its length")
    else:
        yield Finding("secrets", OK, "an API secret is set, of a length for production")
