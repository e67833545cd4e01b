"""How requests were answered, counted by path and status, with the time that they took."""

from __future__ import annotations

from bisect import bisect_left

BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
"""Upper bounds of the classes of time; longer ones have no bound."""
ROUTES_LIMIT = 500
"""So many kinds are told apart: paths come from declarations, so this is never met."""
OTHER = "other"


class RouteCount:
    """Answers of one path, method and status."""

    __slots__ = ("buckets", "count", "total_s")

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.buckets = [0] * (len(BUCKETS_S) + 1)


class HttpCounts:
    """The counts of one run.

    Attributes:
        routes: by (method, path as declared, status).
        active: requests and WebSockets that are not at their end.
        sockets: WebSockets accepted so far.
    """

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str, int], RouteCount] = {}
        self.active = 0
        self.sockets = 0

    def add(self, method: str, path: str, status: int, took_s: float) -> None:
        """Count an answer."""
        key = method, path, status
        counted = self.routes.get(key)
        if counted is None:
            if len(self.routes) >= ROUTES_LIMIT:
                key = OTHER, OTHER, status
            counted = self.routes.setdefault(key, RouteCount())
        counted.count += 1
        counted.total_s += took_s
        counted.buckets[bisect_left(BUCKETS_S, took_s)] += 1
