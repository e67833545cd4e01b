"""[metrics], and the keys of [http] and [database] that are about operation."""

from __future__ import annotations

from pathlib import Path

import msgspec

from server.config_section import Section

TOKEN_LENGTH = 16


class MetricsConfig(msgspec.Struct, frozen=True):
    """Who may read /metrics; `token` None: this machine, and who may see everything else."""

    token: str | None = None

    def __repr__(self) -> str:
        return f"MetricsConfig(token={'None' if self.token is None else '…'})"


def metrics_config(section: Section) -> MetricsConfig:
    """Read [metrics]."""
    token: str | None = section.text("token", None)
    if token is not None and (
        len(token) < TOKEN_LENGTH or not (token.isascii() and token.isprintable())
    ):
        expected = f"{TOKEN_LENGTH} or more printable ASCII characters"
        raise section.where.error("token", expected, f"{len(token)} characters")
    section.done()
    return MetricsConfig(token)


def tls_files(section: Section) -> tuple[Path, Path] | None:
    """Read `tls_cert` and `tls_key` of [http]; None where there is neither."""
    cert, key = section.text("tls_cert", None), section.text("tls_key", None)
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        given, missing = ("tls_key", "tls_cert") if cert is None else ("tls_cert", "tls_key")
        raise section.where.error(given, f"{missing} beside {given}", "one of the two alone")
    return Path(cert).expanduser(), Path(key).expanduser()
