"""The HTTP API of the gateway: the rooms that declare endpoints, and what stands around them.

Each room says in `endpoints` what it serves; `server.api.frame` makes routes of it. What is refused
is answered with a problem (RFC 9457): `server.answers.Problem`.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from server.alerts import routes as alerts
from server.api import document_routes, problems
from server.api import routes as own
from server.api.endpoint import Endpoint, Socket
from server.api.frame import LeanPaths, routes
from server.compat import alerts as compat_alerts
from server.compat import streams
from server.compat.routes import CompatApi
from server.control import routes as control
from server.devices import routes as devices
from server.dialects import routes as dialects
from server.export import routes as export
from server.forward import routes as forward
from server.gateway import Gateway
from server.history import routes as history
from server.importer import routes as importer
from server.ingest import routes as ingest
from server.instances import routes as instances
from server.live import routes as live
from server.operation import routes as operation
from server.origins import guards
from server.pages import with_pages
from server.provisioning import routes as provisioning
from server.replay import routes as replay
from server.request_log import RequestLog
from server.sessions import routes as sessions
from server.users import routes as users


def declared(gateway: Gateway) -> list[Endpoint | Socket]:
    """Give all endpoints; the busy ones first, because routes are searched in order."""
    compat = CompatApi(gateway)
    rooms: list[Endpoint | Socket] = [
        *ingest.endpoints(gateway),
        *own.endpoints(gateway, compat),
        *history.endpoints(gateway),
        *sessions.endpoints(gateway),
        *devices.endpoints(gateway),
        *live.endpoints(gateway),
        *streams.endpoints(gateway),
        *replay.endpoints(gateway),
        *control.endpoints(gateway),
        *export.endpoints(gateway),
        *dialects.endpoints(gateway),
        *importer.endpoints(gateway),
        *operation.endpoints(gateway),
        *users.endpoints(gateway),
        *alerts.endpoints(gateway),
        *forward.endpoints(gateway),
        *instances.endpoints(gateway),
        *provisioning.endpoints(gateway),
        *compat_alerts.endpoints(gateway),
        *compat.endpoints,
    ]
    return [*rooms, *document_routes.endpoints(rooms)]


def make_app(gateway: Gateway) -> Starlette:
    """Make the application."""
    table = routes(gateway, declared(gateway))
    app = Starlette(
        routes=table,
        middleware=[*_middleware(gateway), Middleware(LeanPaths, routes=table)],
        exception_handlers={
            HTTPException: problems.handle_http,
            Exception: problems.handle_bug,
            **dict.fromkeys(problems.KNOWN, problems.handle),
        },
    )
    if gateway.config.http.pages:
        # Not a route of its own: one for "/" would also take what a wrong method is answered with.
        app.router.default = with_pages(app.router.default)
    return app


def _middleware(gateway: Gateway) -> list[Middleware]:
    log = Middleware(
        RequestLog,
        clock=gateway.clock,
        counts=gateway.http_counts,
        prefix=f"{gateway.boot:08x}",
        is_loud=gateway.config.log.requests,
    )
    return [log, *guards(gateway.config.http.origins)]
