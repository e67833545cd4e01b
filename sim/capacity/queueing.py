"""Waiting, where theory has a formula.

Erlang's C for c servers with exponential service (Erlang 1917), Pollaczek and Khinchine for one
server with any (Kleinrock, Queueing Systems I, 5.6). A writer that commits what has gathered while
the last commit was on its way is a bulk server without a timer: in balance a commit of n rows lasts
as long as n rows need to gather.
"""

from __future__ import annotations

import math


def erlang_c(servers: int, load: float) -> float:
    """Give the share of arrivals that wait; `load` is the offered one, in servers.

    Raises:
        ValueError: more is offered than the servers can do: the queue grows for ever.
    """
    if not 0 <= load < servers:
        raise ValueError(f"expected a load within 0 to {servers} servers, found {load:g}")
    blocked = 1.0  # Erlang's B, by its recursion
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def wait_s(rate: float, service_s: float, servers: int = 1, variation: float = 1.0) -> float:
    """Give the mean wait before service.

    Args:
        rate: arrivals a second, at random.
        service_s: mean time of one.
        servers: that take from one queue.
        variation: standard deviation / mean of the service: 1 exponential, 0 always the same. For
            one server exact, for more Allen's and Cunneen's approximation.

    Raises:
        ValueError: more is offered than the servers can do.
    """
    load = rate * service_s
    waiting = erlang_c(servers, load)
    return waiting * service_s / (servers - load) * (1 + variation**2) / 2


def percentile_s(share: float, rate: float, service_s: float, servers: int = 1) -> float:
    """Give the wait that so large a share of arrivals does not exceed, with exponential service."""
    load = rate * service_s
    waiting = erlang_c(servers, load)
    if waiting <= 1 - share:
        return 0.0
    return math.log(waiting / (1 - share)) * service_s / (servers - load)


def group_rows(rate: float, commit_s: float, row_s: float) -> float:
    """Give the rows of a commit in balance, at least one.

    Raises:
        ValueError: rows come faster than they can be written, however many go together.
    """
    if rate * row_s >= 1:
        raise ValueError(f"expected fewer than {1 / row_s:.0f} rows a second, found {rate:.0f}")
    return max(1.0, rate * commit_s / (1 - rate * row_s))


def commit_wait_s(rate: float, commit_s: float, row_s: float) -> float:
    """Give the mean time from a row's arrival at the writer to the end of its commit."""
    rows = group_rows(rate, commit_s, row_s)
    lasts_s = commit_s + rows * row_s
    busy = min(1.0, rate * lasts_s / rows)
    return lasts_s * (1 + busy / 2)
