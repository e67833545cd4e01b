"""S2's words: one message for each point, never several in one.

out  {"type": "data", "id": "RPM", "value": 812.5, "timestamp": ISO, "device": …}
out  {"type": "data", "id": "command_confirmation", "value": {"command", "id", "state",
      "detail"}, "timestamp", "device"}      when the device says so, among the points
out  {"type": "data", "id": "notification", "value": {"link"|"store"|"log": …}, "timestamp"}
out  {"type": "error", "error": {"expected", "found", "where"}}    to who was not understood
in   {"type": "command", "command": "reboot", "parameters": {}, "device"?: "esp-1"}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from server.answers import BadParameter, iso
from server.catalogue import SHORT_NAMES
from server.compat.channel import text_of, unknown_message
from server.errors import CommandRefused
from server.live.events import Event, Notice, Readings
from server.live.words import number
from server.store.connection import STORE_ERRORS, first_line

if TYPE_CHECKING:
    from server.gateway import Gateway

CONFIRMATION = "command_confirmation"
NOTIFICATION = "notification"


def point(signal: int, value: float | None, time_ns: int) -> dict[str, object]:
    """Give a reading as S2 has it."""
    name = SHORT_NAMES.get(signal, str(signal))
    return {"id": name, "value": value, "timestamp": iso(time_ns)}


class S2:
    """The dialect `telerig.s2`."""

    subprotocol = "telerig.s2"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @property
    def device(self) -> str:
        """Whom clients mean that name no device."""
        return self._gateway.config.compat.device or self._gateway.config.device

    async def first(self) -> Sequence[bytes]:
        """Give nothing: the stream begins with what comes."""
        return ()

    def say(self, event: Event) -> Sequence[bytes]:
        """Give one message for each reading; commands and notices as points too."""
        if isinstance(event, Readings):
            return self._points(event)
        assert isinstance(event, Notice)
        frame = event.content
        match frame["type"]:
            case "command":
                value = {
                    "command": frame["name"],
                    "id": frame["id"],
                    "state": frame["state"],
                    "detail": frame["detail"],
                }
                return [self._data(CONFIRMATION, value, frame)]
            case "link":
                value = {"link": frame["name"], "state": frame["state"], "reason": frame["reason"]}
                return [self._data(NOTIFICATION, value, frame)]
            case "store":
                value = {"store": frame["state"], "reason": frame["reason"]}
                return [self._data(NOTIFICATION, value, frame)]
            case "log":
                value = {"log": frame["text"], "level": frame["level"]}
                return [self._data(NOTIFICATION, value, frame)]
        return ()

    def _points(self, event: Readings) -> list[bytes]:
        device = text_of(event.device)
        names: dict[int, bytes] = {}
        texts = []
        told_ns, told = -1, b""
        for _, signal, time_ns, value, _, _ in event.rows:
            name = names.get(signal)
            if name is None:
                name = names[signal] = text_of(SHORT_NAMES.get(signal, str(signal)))
            if time_ns != told_ns:  # readings of one instant come together
                told_ns, told = time_ns, text_of(iso(time_ns))
            texts.append(
                b'{"type":"data","id":%b,"value":%b,"timestamp":%b,"device":%b}'
                % (name, number(value), told, device)
            )
        return texts

    def dropped(self, count: int) -> bytes:
        """Say that so many were left out."""
        return b'{"type":"dropped","count":%d}' % count

    @staticmethod
    def _data(name: str, value: object, frame: dict[str, Any]) -> bytes:
        message = {"type": "data", "id": name, "value": value, "timestamp": iso(frame["time_ns"])}
        if "device" in frame:
            message["device"] = frame["device"]
        return text_of(message)

    async def heard(self, message: dict[str, Any]) -> Sequence[bytes]:
        """Take a command; its confirmation comes with the points."""
        if message.get("type") != "command":
            raise unknown_message(message, '"command"')
        name = _field(message, "command", str, "")
        parameters = _field(message, "parameters", dict, {})
        device = _field(message, "device", str, self.device)
        try:
            found = await self._gateway.registry.find(device)
            if found is not None and not found.active:
                raise BadParameter("device", "an active device", f"{device!r} is deactivated")
            await self._gateway.control.order(device, name, parameters)
        except CommandRefused as error:
            raise BadParameter(error.where, error.expected, error.found) from None
        except STORE_ERRORS as error:
            expected = "an answer from the database"
            raise BadParameter("database", expected, first_line(error)) from None
        return ()

    def complaint(self, problem: BadParameter) -> bytes:
        """Give the reason of a refusal."""
        error = {"expected": problem.expected, "found": problem.found, "where": problem.where}
        return text_of({"type": "error", "error": error})


T = TypeVar("T")


def _field(message: dict[str, Any], key: str, kind: type[T], default: T) -> T:
    value = message.get(key, default)
    if not isinstance(value, kind):
        expected = "a text" if kind is str else "an object"
        raise BadParameter(key, expected, repr(value)[:80])
    return value
