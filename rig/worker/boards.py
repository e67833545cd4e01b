"""The ESP32 boards of a run: known to the gateway, given their settings, switched on."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult

from rig.assembly import API_SECRET, board_names
from rig.errors import RigError
from rig.http_exchange import Place, exchange
from rig.scenario.model import Esp32Spec, Scenario
from sim.esp32 import HttpRequest, Internet, Network
from sim.world import World

GATEWAY_HOST = "gateway.test"
"""The gateway's name in the world: its port is another one in each run, a board's settings not."""
GATEWAY_URL = f"http://{GATEWAY_HOST}"
NETWORK = Network()


class UnknownHostError(OSError):
    """A name that nobody in the world bears."""


class RegistrationError(RigError):
    """The gateway does not take the boards."""


def gateway_at(port: int | Callable[[], int | None]) -> Place:
    """Return a resolver of names that knows the gateway at 127.0.0.1:`port` and nobody else.

    A gateway that starts again listens at another port: then `port` gives the one of now, or None
    while nobody listens.
    """

    def place(url: SplitResult) -> tuple[str, int]:
        if url.hostname != GATEWAY_HOST:
            raise UnknownHostError(f"no such host: {url.hostname}")
        number = port() if callable(port) else port
        if number is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return "127.0.0.1", number

    return place


async def register(scenario: Scenario, port: int) -> dict[str, str]:
    """Register every board as a device of the gateway; return board -> key.

    Raises:
        RegistrationError: the gateway refuses.
    """
    keys = {}
    for name in board_names(scenario):
        body = json.dumps({"id": name, "name": f"board {name}"}).encode()
        headers = (("X-API-Key", API_SECRET), ("Content-Type", "application/json"))
        request = HttpRequest("POST", f"{GATEWAY_URL}/api/v1/devices", headers, body)
        answer = await exchange(request, gateway_at(port))
        if answer.status not in (200, 201):
            raise RegistrationError(
                f"expected the gateway to register the device {name!r}, "
                f"found {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}"
            )
        keys[name] = str(json.loads(answer.body)["key"])
    return keys


def switch_on(
    world: World, scenario: Scenario, internet: Internet, keys: Mapping[str, str]
) -> None:
    """Give every board its settings and its power; one without a key stays in factory state."""
    assert world.fleet is not None
    for board in world.fleet:
        board.internet = internet
        if board.name in keys:
            board.nvs.load(settings(scenario.world.esp32, board.name, keys[board.name]))
        else:
            board.nvs.load(plan_settings(scenario.world.esp32))
        board.power_on()


def settings(spec: Esp32Spec, device: str, key: str) -> dict[str, bytes]:
    """Return what provisioning leaves in a board's non-volatile storage, and its plan."""
    values = {"gw.device": device, "gw.key": key}
    if spec.transport == "wifi":
        values |= {
            "wifi.ssid": NETWORK.ssid,
            "wifi.pass": NETWORK.passphrase,
            "gw.url": GATEWAY_URL,
        }
    return {name: value.encode() for name, value in values.items()} | plan_settings(spec)


def plan_settings(spec: Esp32Spec) -> dict[str, bytes]:
    """Return the sampling plan and the trained profile as the firmware keeps them."""
    plan = {"plan": json.dumps(spec.wish).encode()}
    return plan if spec.profile is None else plan | {"profile": spec.profile.read_bytes()}
