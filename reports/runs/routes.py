"""The API of runs: what pages ask for. Served by `telerig view` alone, to whoever may see it.

GET  /api/runs                      the list; /api/runs.csv the same for a spreadsheet
GET  /api/runs/{run}                what it is: Info
GET  /api/runs/{run}/series         lines of signals and of figures
GET  /api/runs/{run}/track          where the car was
GET  /api/runs/{run}/events         what was worth a line
GET  /api/runs/{run}/wire           the bytes of every link at an instant, decoded
GET  /api/runs/{run}/journey        one reading, hop by hop
GET  /api/runs/{run}/statistics     figures as numbers
GET  /api/runs/{run}/verdicts       the limits
POST /api/runs/{run}/marks          keep a note at an instant
POST /api/runs/{run}/stop           end a run that this process has started
WS   /api/runs/{run}/live           a run that goes on
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from reports.runs.asking import (
    INT64_MAX,
    JSON,
    MOST_POINTS,
    NO_STORE,
    POINTS,
    answering,
    body_of,
    integer,
    problem_of,
    span,
    words,
)
from reports.runs.cache import DamagedError
from reports.runs.comparing import divergence_of
from reports.runs.cutting import cut_route
from reports.runs.events import shown_events
from reports.runs.figures import figure_units
from reports.runs.growing import follow
from reports.runs.info import info_of
from reports.runs.journey import journey_of
from reports.runs.limits import limits_of
from reports.runs.lines import line_of
from reports.runs.listing import as_csv, chosen
from reports.runs.marks import parsed, put, shown_marks
from reports.runs.problem import BAD_REQUEST, CONFLICT, NOT_FOUND, RunError
from reports.runs.run import DELAY, ERROR, FIGURE, NO_COLUMN, Run
from reports.runs.statistics import statistics_of
from reports.runs.store import Runs
from reports.runs.track import track_of
from reports.runs.wire.at import MOST_WITHIN_MS, wire_at

DEFAULT_ROWS, MOST_ROWS = 100, 5000
FORBIDDEN = 403

Stop = Callable[[Path], bool]


def make_routes(root: Path, stop: Stop | None = None) -> list[BaseRoute]:
    """Return the routes of the runs below `root`.

    Args:
        root: the folder of runs.
        stop: ends the run of a folder, if this process has started it; says whether it did.
    """
    runs = Runs(root)
    api = _Api(runs, stop)
    path = "/api/runs/{run}"
    gets: dict[str, Callable[[Request], Any]] = {
        "/api/runs": api.rows,
        "/api/runs.csv": api.csv,
        path: api.info,
        f"{path}/series": api.series,
        f"{path}/track": api.track,
        f"{path}/events": api.events,
        f"{path}/wire": api.wire,
        f"{path}/journey": api.journey,
        f"{path}/statistics": api.statistics,
        f"{path}/verdicts": api.verdicts,
        f"{path}/divergence": partial(divergence_of, runs),
    }
    return [
        *(Route(path, answering(api.again(make))) for path, make in gets.items()),
        Route(f"{path}/stop", answering(api.stop), methods=["POST"]),
        Route(f"{path}/marks", api.mark, methods=["POST"]),
        cut_route(runs),
        WebSocketRoute(f"{path}/live", api.live),
    ]


class _Api:
    def __init__(self, runs: Runs, stop: Stop | None) -> None:
        self._runs = runs
        self._stop = stop

    def again(self, make: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """Let an answer be made anew where columns that were kept turn out to be damaged."""

        def made(request: Request) -> Any:
            try:
                return make(request)
            except DamagedError:
                self._runs.forget()
                return make(request)

        return made

    def _run(self, request: Request) -> Run:
        return self._runs.get(request.path_params["run"])

    # -- the list --------------------------------------------------------------------------------
    def _chosen(self, request: Request) -> list[Any]:
        query = request.query_params
        asked = {name: query.get(name, "") for name in ("scenario", "outcome", "text")}
        return chosen(self._runs.list.rows(), **asked)

    def rows(self, request: Request) -> dict[str, Any]:
        rows = self._chosen(request)
        offset = integer(request, "offset", 0)
        limit = integer(request, "limit", DEFAULT_ROWS, 1, MOST_ROWS)
        return {"runs": rows[offset : offset + limit], "total": len(rows)}

    def csv(self, request: Request) -> Response:
        name = {"content-disposition": 'attachment; filename="runs.csv"'}
        return Response(as_csv(self._chosen(request)), media_type="text/csv", headers=name)

    # -- one run -----------------------------------------------------------------------------------
    def info(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        return {**info_of(run), "stoppable": self._stop is not None and run.running}

    def series(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        start_ns, end_ns = span(request)
        points = integer(request, "points", POINTS, 2, MOST_POINTS)
        layers: list[str | None] = [*words(request, "layer")] or [None]
        names = words(request, "signal")
        if not names:
            raise RunError(BAD_REQUEST, "signal", "names of signals", "none", "see /api/runs/{run}")
        units = figure_units(run.manifest)
        ids = {info.name: number for number, info in run.names.signals.items()}
        wait = request.query_params.get("wait") != "0"
        lines = []
        for name in names:
            family = units.get(name)
            for layer in layers if family is None else [None]:
                made = family is not None or layer in (ERROR, DELAY)
                pending = made and not wait and not run.figures_are_there()
                column = NO_COLUMN if pending else run.column(name, layer)
                unit = family.unit if family else run.names.info(name).unit
                if layer == DELAY:
                    unit = "ms"
                lines.append(
                    line_of(
                        column,
                        start_ns,
                        end_ns,
                        points,
                        signal=name,
                        unit=unit,
                        layer=FIGURE if family else layer,
                        pending=pending,
                        id=ids.get(run.names.split(name)[1]),
                    )
                )
        return {"run": run.id, "series": lines}

    def track(self, request: Request) -> dict[str, Any]:
        points = integer(request, "points", POINTS, 2, MOST_POINTS)
        return track_of(self._run(request), *span(request), points)

    def events(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        asked = span(request)
        found = shown_events(run.manifest, run.names, run.events(), *asked)
        marks = shown_marks(run.folder, *asked)
        return {"events": sorted([*found, *marks], key=lambda event: event.t)}

    async def mark(self, request: Request) -> Response:
        try:
            if not is_own_page(request):
                raise RunError(FORBIDDEN, "origin", "a page of this server", "another site's")
            mark = parsed(await body_of(request))
            run = await run_in_threadpool(self._run, request)
            await run_in_threadpool(put, run.folder, mark)
        except RunError as error:
            return problem_of(error, request.url.path)
        except OSError as error:
            text = error.strerror or str(error)
            found = RunError(CONFLICT, "marks", "a folder that can be written", text)
            return problem_of(found, request.url.path)
        return Response(msgspec.json.encode(mark), 201, NO_STORE, JSON)

    def wire(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        at_ns = integer(request, "at_ns", -1, -1)
        if at_ns < 0:
            raise RunError(BAD_REQUEST, "at_ns", "an instant in ns", "none")
        within_ms = integer(request, "within_ms", 50, 1, MOST_WITHIN_MS)
        return wire_at(run, at_ns, within_ms, words(request, "link"))

    def journey(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        at_ns = integer(request, "at_ns", -1, -1)
        names = words(request, "signal")
        if at_ns < 0 or len(names) != 1:
            raise RunError(
                BAD_REQUEST, "signal, at_ns", "one signal and an instant in ns", str(names)
            )
        return journey_of(run, names[0], at_ns)

    def statistics(self, request: Request) -> dict[str, Any]:
        return statistics_of(self._run(request), *span(request))

    def verdicts(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        found = run.verdicts()
        if found is None and not run.running:
            found = run.verdicts(judge_now=True)
        now_ns = None if run.finished else run.end_ns()
        return {
            "verdict": None if found is None else "judged",
            "limits": limits_of(run, found, now_ns),
        }

    def stop(self, request: Request) -> dict[str, Any]:
        run = self._run(request)
        if not is_own_page(request):
            raise RunError(FORBIDDEN, "origin", "a page of this server", "another site's")
        if self._stop is None:
            raise RunError(
                CONFLICT, "stop", "a run that this process has started", "another's",
                "end it where it was started (Ctrl-C)",
            )  # fmt: skip
        if not self._stop(run.folder):
            raise RunError(CONFLICT, "stop", "a run that goes on", "one that has ended")
        return {"stopped": run.id}

    async def live(self, socket: WebSocket) -> None:
        await follow(socket, self._runs)


def is_own_page(request: Request) -> bool:
    """Return whether a request that changes something comes from a page of this server."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


__all__ = ["INT64_MAX", "NOT_FOUND", "make_routes"]
