"""Structured logs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from server.logs import RequestMark, configure_logs


@pytest.fixture(autouse=True)
def root_handlers() -> Iterator[None]:
    """Put standard logging back as it was."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers[:] = before
    logging.captureWarnings(False)


@pytest.mark.promise("O06")
def test_json_lines_and_counts() -> None:
    """Each event is one JSON line; levels are counted; below the level nothing is written."""
    out = io.StringIO()
    counts = configure_logs(out, format="json")
    log = structlog.get_logger("x")
    log.debug("unseen")
    log.info("first", n=1)
    log.warning("second")
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        log.exception("third")
    first, second, third = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["level"], first["n"]) == ("first", "info", 1)
    assert first["time"].endswith("Z")
    assert second["level"] == "warning"
    assert third["level"] == "error"
    assert "ValueError: bad" in third["exception"]
    assert (counts.errors, counts.warnings) == (1, 1)


def test_console_lines_stay_one_line() -> None:
    """Whatever a device sent, one event is one line."""
    out = io.StringIO()
    configure_logs(out)
    structlog.get_logger().info("got", data="a\nb \x1b[31m", n=5)
    (line,) = out.getvalue().splitlines()
    assert line.endswith("info    got  data='a\\nb \\x1b[31m' n=5")


def test_standard_logging_is_counted() -> None:
    """An error of a library or of asyncio is an error in the count."""
    out = io.StringIO()
    counts = configure_logs(out, format="json", level="debug")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("hm %d", 1)

    async def run() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "task failed"})

    asyncio.run(run())
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["hm 1", "task failed"]
    assert events[1]["logger"] == "asyncio"
    assert (counts.errors, counts.warnings) == (1, 1)


def test_configuring_again_replaces() -> None:
    """A second configuration writes to its own stream only, once per event."""
    old, new = io.StringIO(), io.StringIO()
    configure_logs(old)
    configure_logs(new)
    logging.getLogger("x").error("one")
    assert old.getvalue() == ""
    assert len(new.getvalue().splitlines()) == 1


def test_a_stream_that_is_gone_stops_nothing() -> None:
    """Logging to a closed stream neither raises nor loses the count."""
    out = io.StringIO()
    counts = configure_logs(out)
    out.close()
    structlog.get_logger().error("unheard")
    assert counts.errors == 1


async def test_a_task_that_outlives_its_request_writes_no_line_of_it() -> None:
    """Lines have the request's id while it lasts, also those of tasks that it has begun."""
    out = io.StringIO()
    configure_logs(out, format="json")
    mark, over = RequestMark("trace-7"), asyncio.Event()

    async def work() -> None:
        structlog.get_logger().info("during")
        await over.wait()
        structlog.get_logger().info("after")

    with structlog.contextvars.bound_contextvars(request_id=mark):
        task = asyncio.create_task(work())
    await asyncio.sleep(0)
    mark.end()
    over.set()
    await task
    lines = map(json.loads, out.getvalue().splitlines())
    assert [(line["event"], line.get("request_id")) for line in lines] == [
        ("during", "trace-7"),
        ("after", None),
    ]
