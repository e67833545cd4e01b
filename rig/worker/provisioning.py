"""Provisions the boards of a run from their factory state, with the gateway's own client.

The client blocks, so it runs in a thread. Its way to a board is the board's access point in the
world; its way to the gateway is the rig's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import simpy

from rig.assembly import API_SECRET, board_names
from rig.device.world import FACTORY_PASSWORD, FACTORY_USER
from rig.scenario.model import Scenario
from rig.worker.boards import GATEWAY_URL, NETWORK
from sim.esp32 import Board, HttpAnswer, HttpRequest
from sim.world import World

AP_WAY_S = 0.01  # through the board's own network, each way
ANSWER_TIMEOUT_S = 30.0
FIRST_READING_TIMEOUT_S = 120.0
KIND = "provision"

InWorld = Callable[[Callable[[], None]], None]
"""Lets the world's thread call something."""
Ask = Callable[[HttpRequest], HttpAnswer]
"""Asks the gateway, and waits for its answer."""


def provision_all(world: World, scenario: Scenario, in_world: InWorld, ask: Ask) -> None:
    """Provision one board after the other; what comes of it becomes events of the world."""
    assert world.fleet is not None
    for board, name in zip(world.fleet, board_names(scenario), strict=True):
        _Provision(world, board, name, in_world, ask).run()


class _Provision:
    """One board."""

    def __init__(
        self, world: World, board: Board, device: str, in_world: InWorld, ask: Ask
    ) -> None:
        self._world = world
        self._board = board
        self._device = device
        self._in_world = in_world
        self._ask = ask

    def run(self) -> None:
        from server.provisioning.errors import ProvisionError
        from server.provisioning.flow import Provisioning, User, Wanted

        wanted = Wanted(
            FACTORY_USER,
            FACTORY_PASSWORD,
            ssid=NETWORK.ssid,
            passphrase=NETWORK.passphrase,
            gateway_url=GATEWAY_URL,
            device=self._device,
            timeout_s=FIRST_READING_TIMEOUT_S,
        )
        user = User(lambda line: self._note("told", line), _nobody, _nobody)
        transport = BoardTransport(self._world.env, self._board, self._in_world)
        try:
            Provisioning(transport, wanted, user, _registrar(self._ask)).run()
        except ProvisionError as error:
            self._note("failed", str(error))
        else:
            self._note("done", "")

    def _note(self, name: str, text: str) -> None:
        detail = {"text": text}
        self._in_world(lambda: self._world.note(KIND, name, self._device, detail))


class BoardTransport:
    """The client's way to a board: POSTs to its access point, with the session's cookie.

    Args:
        env: the world's clock.
        board: which one.
        in_world: lets the world's thread call something.
    """

    networks_per_answer = 50

    def __init__(self, env: simpy.Environment, board: Board, in_world: InWorld) -> None:
        self._env = env
        self._board = board
        self._in_world = in_world
        self._cookie = b""

    def exchange(self, endpoint: str, body: bytes) -> bytes:
        """Send a request and return the answer.

        Raises:
            RequestRefused: the board says no; DeviceUnreachable: it says nothing.
        """
        from server.provisioning.errors import DeviceUnreachable, RequestRefused

        answered = threading.Lock()
        answered.acquire()
        replies: list[tuple[int, Sequence[tuple[str, str]], bytes]] = []

        def reply(status: int, headers: Sequence[tuple[str, str]], answer: bytes) -> None:
            def arrive() -> None:
                replies.append((status, headers, answer))
                answered.release()

            self._after_a_way(arrive)

        def leave() -> None:
            self._after_a_way(
                lambda: self._board.soft_ap.request(self._cookie, f"/{endpoint}", body, reply)
            )

        self._in_world(leave)
        if not answered.acquire(timeout=ANSWER_TIMEOUT_S):
            raise DeviceUnreachable("expected an answer of the board, found none")
        status, headers, answer = replies[0]
        for name, value in headers:
            if name.lower() == "set-cookie" and value.startswith("session="):
                self._cookie = value.partition(";")[0].encode()
        if status != 200:
            raise RequestRefused(endpoint, status, answer.decode("utf-8", "replace"))
        return answer

    def close(self) -> None:
        """Nothing is kept open."""

    def _after_a_way(self, action: Callable[[], None]) -> None:
        event = self._env.timeout(AP_WAY_S)
        event.callbacks.append(lambda _event: action())


def _registrar(ask: Ask) -> Any:
    from server.provisioning.gateway_api import GatewayApi, GatewayUnreachable

    class RigGatewayApi(GatewayApi):
        """The same requests, on the rig's way to the gateway."""

        def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
            headers = (("X-API-Key", API_SECRET), ("Content-Type", "application/json"))
            data = b"" if body is None else json.dumps(body).encode()
            answer = ask(HttpRequest(method, GATEWAY_URL + path, headers, data))
            if not answer.status:
                raise GatewayUnreachable(answer.body.decode("utf-8", "replace"))
            return answer.status, self._read(answer.body)

    return RigGatewayApi(GATEWAY_URL, API_SECRET)


def _nobody(_question: object) -> Any:
    from server.provisioning.errors import ProvisionError

    raise ProvisionError("nobody is there to be asked")
