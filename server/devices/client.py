"""A small client of a gateway's API, for commands: standard library only."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from server.devices.access import HEADER
from server.errors import ServerError

DEFAULT_URL = "http://127.0.0.1:8000"
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Hosts that are asked without a proxy, which has another localhost."""
TIMEOUT_S = 15.0
ANSWER_LIMIT_BYTES = 64_000_000


class ApiError(ServerError):
    """The gateway did not answer, or refused; `status` 0: it did not answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class UsageError(ServerError):
    """The command cannot be asked that way."""

    exit_code = 2


class Client:
    """Asks one gateway.

    Args:
        url: where the gateway listens.
        secret: of the operator.
        needed: without a secret nothing is asked; else the gateway decides what this machine may.
    """

    def __init__(self, url: str, secret: str, *, needed: bool = True) -> None:
        host = _host(url)
        if not secret and needed:
            raise UsageError(
                "expected the gateway's API secret, found none; set TELERIG_API_SECRET to what "
                "the gateway has in [api] secret"
            )
        if not (secret.isascii() and secret.isprintable()):
            raise UsageError("expected an API secret of printable ASCII characters")
        self._url = url.rstrip("/")
        self._secret = secret
        self._open = _opener(host).open

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Give the gateway's answer as decoded JSON.

        Raises:
            ApiError: no answer, or a refusal, with its reason.
        """
        data = None if body is None else json.dumps(body).encode()
        with self.answer(method, path, data) as answer:
            try:
                return json.loads(answer.read(ANSWER_LIMIT_BYTES))
            except ValueError as error:
                raise ApiError(
                    f"expected a gateway's JSON from {self._url}, got: {error}"
                ) from None

    @contextlib.contextmanager
    def answer(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> Iterator[http.client.HTTPResponse]:
        """Give the gateway's good answer, to be read around a block.

        Raises:
            ApiError: no answer, or a refusal, with its reason; also while it is read.
        """
        headers = {"Content-Type": content_type}
        if self._secret:
            headers[HEADER] = self._secret
        try:
            request = urllib.request.Request(
                self._url + path, data=data, method=method, headers=headers
            )
            with self._open(request, timeout=timeout_s) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise ApiError(f"{method} {path}: {_reason(error)}", error.code) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            advice = "start it with telerig serve, or name it with --url"
            if isinstance(reason, ssl.SSLCertVerificationError):
                advice = "name the file of those who signed its certificate in SSL_CERT_FILE"
            raise ApiError(f"expected a gateway at {self._url}, got: {reason}; {advice}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The secret goes to the address that was named, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing; the answer is then an error with its code."""


def _host(url: str) -> str:
    """Give the host of a gateway's URL.

    Raises:
        UsageError: it is no such URL.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")  # as a look-up would: an empty or endless part is no name
        is_right = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:  # of the port and of the name too
        is_right = False
    if not is_right or parts.query or parts.fragment or parts.username or " " in url:
        raise UsageError(f"expected a URL http://HOST:PORT or https://…, found {url[:80]!r}")
    return host


def _opener(host: str) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if host in LOCAL:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def part(text: str) -> str:
    """Give a text as one part of a path."""
    return urllib.parse.quote(text, safe="")


def _reason(error: urllib.error.HTTPError) -> str:
    """Say why the gateway refused."""
    try:
        told = json.loads(error.read(65_536))
        return f"{told['where']}: expected {told['expected']}, found {told['found']}"
    except (OSError, http.client.HTTPException, ValueError, TypeError, LookupError):
        return f"the answer {error.code} {error.reason}; is this a telerig gateway?"
