"""A run that Espressif's own client did against this device, said again byte by byte.

`data/esp_prov_run.json` was recorded with the session, message and HTTP code of esp_prov (ESP-IDF,
Security 2 with patch version 1): version, handshake, custom-data, scan, set, apply, state. With
the same random numbers the device has to give the same answers. How it was recorded:
docs/provisioning.md.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.firmware.provisioning.board import PASSPHRASE, Board, Rig
from tests.server.provisioning.device_server import MS_PER_REQUEST

RUN = json.loads(Path(__file__).with_name("data").joinpath("esp_prov_run.json").read_text())


class DrawnBoard(Board):
    """A board whose random numbers are those of the recording, by their length."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = {
            int(n): [bytes.fromhex(d) for d in all_] for n, all_ in RUN["random_by_length"].items()
        }

    def random(self, n: int) -> bytes:
        """Give the next one of this length."""
        return self.drawn[n].pop(0)


def test_the_device_answers_espressifs_client_as_recorded() -> None:
    """Eleven exchanges; at the end the board is in its network and knows its gateway."""
    rig = Rig(DrawnBoard())
    cookie = b""
    for number, (endpoint, request, status, answer) in enumerate(RUN["exchanges"], 1):
        rig.board.requests.append((number, cookie, "/" + endpoint, bytes.fromhex(request)))
        rig.poll(MS_PER_REQUEST)
        reply = rig.board.replies[number]
        cookie = reply.headers.get("Set-Cookie", cookie.decode()).encode()
        assert (reply.status, reply.body.hex()) == (status, answer), f"{number}: {endpoint}"
    assert [exchange[0] for exchange in RUN["exchanges"]] == [
        "proto-ver",
        *["prov-session"] * 2,
        "custom-data",
        *["prov-scan"] * 3,
        *["prov-config"] * 4,
    ]
    assert rig.board.nvs["wifi.pass"] == PASSPHRASE.encode()
    assert rig.board.nvs["gw.url"] == b"http://192.168.1.10:8000"
