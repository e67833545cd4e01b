"""POST /api/runs/{run}/cut: a window of a run becomes a scenario file, as by `telerig cut`."""

from __future__ import annotations

import ipaddress
import os
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reports.runs.asking import JSON, NO_STORE, body_of, problem_of
from reports.runs.problem import BAD_REQUEST, CONFLICT, RunError
from reports.runs.store import Runs
from rig.errors import RigError
from rig.record.reader import RecordReader
from rig.scenario.cut import cut_scenario

FORBIDDEN = 403


class Window(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for: seconds since the run's start, and the new file's name without suffix."""

    start_s: float
    end_s: float
    name: str


def cut_route(runs: Runs) -> Route:
    """Return the route. It writes a file, so only pages of this very machine may ask for it."""

    async def endpoint(request: Request) -> Response:
        try:
            refuse_strangers(request)
            window = _window(await body_of(request))
            made = await run_in_threadpool(_cut, runs, request.path_params["run"], window)
        except RunError as error:
            return problem_of(error, request.url.path)
        return Response(msgspec.json.encode(made), 201, NO_STORE, JSON)

    return Route("/api/runs/{run}/cut", endpoint, methods=["POST"])


def refuse_strangers(request: Request) -> None:
    """Raise a RunError unless the request is this machine's, and of a page of this server."""
    host = request.client.host if request.client is not None else ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        raise RunError(FORBIDDEN, "client", "this machine", host or "no address", "cut it there")
    origin = request.headers.get("origin")
    own = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    if not own or request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise RunError(FORBIDDEN, "origin", "a page of this server", "another site's")


def _window(body: bytes) -> Window:
    try:
        return msgspec.json.decode(body, type=Window)
    except msgspec.DecodeError as error:
        expected = '{"start_s": number, "end_s": number, "name": text}'
        raise RunError(BAD_REQUEST, "body", expected, str(error)) from error


def _cut(runs: Runs, name: str, window: Window) -> dict[str, Any]:
    run = runs.get(name)
    if not run.finished:
        raise RunError(CONFLICT, "run", "one that has ended", "one that has not", "wait for it")
    try:
        path = cut_scenario(
            RecordReader(run.folder), window.start_s, window.end_s, name=window.name
        )
    except RigError as error:
        raise RunError(BAD_REQUEST, "cut", "a window of this run", str(error)) from error
    shown = os.path.relpath(path)
    return {"file": str(path), "command": f"telerig run {shown}"}
