"""A look at the gateway of a bench: commands that start it, and whether it answers."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator

from rig.bench import power
from rig.bench.credentials import headers_of
from rig.bench.model import GatewayPlace
from server.operation.checks.finding import FAIL, OK, WARN, Finding

PATH = "/api/v1/links"
TIMEOUT_S = 5.0
CHECK = "gateway"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The box stands on the desk: no proxy of the house leads there."""


def look_at_gateway(gateway: GatewayPlace) -> Iterator[Finding]:
    """Ask a gateway on another box for its links."""
    if gateway.is_here:
        yield Finding(CHECK, OK, "a process that the rig starts here")
        return
    for words in filter(None, (gateway.start, gateway.stop)):
        if not power.is_there(words):
            found = f"{gateway.place}: expected the program {words[0]!r}, found none"
            yield Finding(CHECK, FAIL, found, f"install {words[0]}, or correct the command")
            return
    token = os.environ.get(gateway.token, "") if gateway.token else ""
    if gateway.token and not token:
        found = f"{gateway.place}: expected a token in the environment variable {gateway.token}"
        advice = f"export {gateway.token}=…: telerig users --help says how one is made"
        yield Finding(CHECK, FAIL, f"{found}, found none", advice)
        return
    yield _asked(gateway, token)


def _asked(gateway: GatewayPlace, token: str) -> Finding:
    where = f"{gateway.place}: expected a gateway at {gateway.at}"
    try:
        request = urllib.request.Request(gateway.at + PATH, headers=headers_of(token))
        with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
            links = json.load(answer)["links"]
        names = ", ".join(f"{link['name']} ({link['state']})" for link in links) or "none"
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            found = f"{where} that lets us in, found: it does not ({error.code})"
            advice = "write `token: VARIABLE`, and put a viewer's token into that variable"
            return Finding(CHECK, FAIL, found, advice)
        found = f"{where}, found something else: it answers {error.code}"
        return Finding(CHECK, FAIL, found, "is the address right?")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or error
        reason = getattr(reason, "strerror", None) or str(reason)
        if gateway.start:
            return Finding(CHECK, WARN, f"{where}, found: {reason}", "its 'start' will be tried")
        return Finding(CHECK, FAIL, f"{where}, found: {reason}", "is it on, and serving there?")
    return Finding(CHECK, OK, f"{gateway.at} answers; its links: {names}")
