"""Structured logs: one event a line, for people (console) or machines (JSON), and counted.

Standard logging (uvicorn, asyncio, libraries of links) goes the same way, so that an error
anywhere is an error in the count.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Event = MutableMapping[str, Any]


class LogCounts:
    """How many events of each level were logged in this process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"warning": 0, "error": 0}

    def add(self, level: str) -> None:
        """Count an event; levels above error count as errors."""
        name = "error" if level in ("critical", "exception") else level
        if name in self._counts:
            with self._lock:
                self._counts[name] += 1

    @property
    def errors(self) -> int:
        """Events of level error and above."""
        return self._counts["error"]

    @property
    def warnings(self) -> int:
        """Events of level warning."""
        return self._counts["warning"]

    def take(self, other: LogCounts) -> None:
        """Add the counts of an earlier configuration."""
        with self._lock:
            for level, count in other._counts.items():
                self._counts[level] += count


class RequestMark:
    """The id of a request, for the lines that it writes; without one when it is over.

    A task has the context of whoever has begun it, and some outlive that: a writer that goes on, a
    compactor. What they write later is not the request's.
    """

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        self.id = id

    def end(self) -> None:
        """Take note that the request is over."""
        self.id = ""


_current = LogCounts()
_stream: TextSink | None = None


def current_counts() -> LogCounts:
    """Give the counts of the log as it was configured last; zeros before."""
    return _current


class TextSink(Protocol):
    """Where log lines go: standard error, or whatever else takes text."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


def configure_logs(
    stream: TextSink | None = None, *, format: str = "console", level: str = "info"
) -> LogCounts:
    """Send structlog and standard logging to a stream (default stderr); give the counts.

    Events below `level` are neither written nor counted. Libraries log from warning up.
    """
    global _current, _stream
    _stream = stream
    out = stream if stream is not None else sys.stderr
    counts = _current = LogCounts()
    write_lock = threading.Lock()

    def emit(logger: object, method: str, event: Event) -> str:
        counts.add(method)
        return render(logger, method, event)

    render = _json_line if format == "json" else _console_line
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request,
            _add_time,
            _add_level,
            structlog.processors.format_exc_info,
            emit,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=_LineLoggerFactory(out, write_lock),
        cache_logger_on_first_use=False,
    )
    handler = _Bridge(level=max(LEVELS[level], logging.WARNING))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Bridge)]:
        root.removeHandler(old)
    root.addHandler(handler)
    logging.captureWarnings(True)
    return counts


def reconfigure_logs(*, format: str, level: str) -> None:
    """Go on with another format and level, on the same stream and with the counts so far."""
    counts = _current
    fresh = configure_logs(_stream, format=format, level=level)
    fresh.take(counts)


class _LineLogger:
    """Writes whole lines; a stream that is gone (closed terminal) never stops the gateway."""

    def __init__(self, stream: TextSink, lock: threading.Lock) -> None:
        self._stream = stream
        self._lock = lock

    def msg(self, line: str) -> None:
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                return

    debug = info = warning = error = critical = exception = msg


class _LineLoggerFactory:
    def __init__(self, stream: TextSink, lock: threading.Lock) -> None:
        self._stream = stream
        self._lock = lock

    def __call__(self, *args: object) -> _LineLogger:
        return _LineLogger(self._stream, self._lock)


class _Bridge(logging.Handler):
    """Hands records of standard logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger = structlog.get_logger()
            method = logger.error if record.levelno >= logging.ERROR else logger.warning
            method(record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 (logging must not raise: the standard's own rule)
            self.handleError(record)


def _add_request(logger: object, method: str, event: Event) -> Event:
    mark = event.get("request_id")
    if isinstance(mark, RequestMark):
        if mark.id:
            event["request_id"] = mark.id
        else:
            del event["request_id"]
    return event


def _add_time(logger: object, method: str, event: Event) -> Event:
    seconds, rest_ns = divmod(time.time_ns(), 1_000_000_000)
    instant = datetime.fromtimestamp(seconds, UTC)
    event["time"] = f"{instant:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"
    return event


def _add_level(logger: object, method: str, event: Event) -> Event:
    event["level"] = "error" if method == "exception" else method
    return event


def _json_line(logger: object, method: str, event: Event) -> str:
    rendered = structlog.processors.JSONRenderer(ensure_ascii=False)(logger, method, event)
    return rendered if isinstance(rendered, str) else rendered.decode()


def _console_line(logger: object, method: str, event: Event) -> str:
    head = f"{event.pop('time')} {event.pop('level'):7} {event.pop('event')}"
    trace = event.pop("exception", None)
    pairs = " ".join(f"{key}={_shown(value)}" for key, value in event.items())
    line = f"{head}  {pairs}" if pairs else head
    return f"{line}\n{trace}" if trace else line


def _shown(value: object) -> str:
    text = str(value)
    # Quotes keep one event on one line, whatever a device has sent.
    return text if text and text.isprintable() and " " not in text else repr(text)
