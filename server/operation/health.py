"""Asks the gateway of this machine whether it is ready; exit code 0 where it is.

For health checks of containers: `python -m server.operation.health [URL]`. Standard library only,
and of this project nothing: it runs every few seconds.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4.0


def main(arguments: list[str]) -> int:
    """Ask; say the answer."""
    url = arguments[0] if arguments else default_url()
    status, text = _get(f"{url}/ready")
    print(text)
    return 0 if status == 200 else 1


def ask(url: str, path: str) -> str:
    """Give what a gateway answers, whatever its status; empty where none does."""
    status, text = _get(f"{url}{path}")
    return text if status else ""


def _get(url: str) -> tuple[int, str]:
    """Give status and text; 0 and the reason where nobody answers."""
    context = ssl.create_default_context()
    # It asks itself: the certificate names the world's address, not this one.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=TIMEOUT_S) as got:
            return 200, got.read(10_000).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(10_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"expected a gateway at {url}, got: {error}"


def default_url() -> str:
    """Give where the gateway of this environment listens."""
    scheme = "https" if os.environ.get("TELERIG_HTTP_TLS_CERT") else "http"
    port = os.environ.get("TELERIG_HTTP_PORT") or os.environ.get("PORT") or "8000"
    return f"{scheme}://127.0.0.1:{port}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
