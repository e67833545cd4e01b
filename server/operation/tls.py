"""TLS of the gateway's own: `[http] tls_cert` and `tls_key`, read again by a reload."""

from __future__ import annotations

import ssl
from pathlib import Path

from server.errors import ConfigError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all sound."""


def make_context(cert: Path, key: Path) -> ssl.SSLContext:
    """Give the context of a server.

    Raises:
        ConfigError: a file cannot be read, or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, cert, key)
    return context


def load_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Put a certificate into a context; connections that stand keep theirs.

    Raises:
        ConfigError: as `make_context`; the context keeps what it had.
    """
    # A file that is wrong must not leave half of a pair in the context that serves.
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for target in (trial, context):
        _load(target, cert, key)


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    for path, name in ((cert, "tls_cert"), (key, "tls_key")):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            expected = f"a file in PEM that this user may read for [http] {name}"
            raise ConfigError(str(path), None, expected, error.strerror or str(error)) from None
    try:
        # Never asks for a passphrase on the terminal: a key that has one is refused.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        expected = f"a certificate chain in PEM, and its key without a passphrase in {key}"
        raise ConfigError(str(cert), None, expected, _why(error)) from None


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error) or type(error).__name__


def expires_ns(cert: Path) -> int:
    """Give when a certificate expires, UTC nanoseconds.

    Raises:
        ConfigError: it is no certificate.
    """
    try:
        # The standard library decodes certificates only of connections, or this way.
        told = ssl._ssl._test_decode_cert(str(cert))  # type: ignore[attr-defined]
        return int(ssl.cert_time_to_seconds(told["notAfter"])) * 10**9
    except (OSError, ssl.SSLError, KeyError, ValueError) as error:
        raise ConfigError(str(cert), None, "a certificate in PEM", _why(error)) from None
