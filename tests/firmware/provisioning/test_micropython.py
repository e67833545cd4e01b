"""The device's side of provisioning under the real MicroPython."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.provisioning import protocomm_pb2 as pb
from server.provisioning.errors import ProvisionError
from tests import micropython
from tests.firmware.provisioning.board import PASSPHRASE, Board, Rig
from tests.firmware.provisioning.direct import (
    apply,
    opened,
    scan,
    session,
    set_network,
    wifi,
)

MATHEMATICS = ("random", "sha512", "mod_exp", "aes_gcm_seal", "aes_gcm_open")

# What a board's hardware computes is taken from the run here, call by call: MicroPython must ask
# for the same things in the same order, with the same arguments.
SETUP = """
import json
from firmware_stubs.hal import Hal
from firmware_stubs.provisioning.provisioner import Provisioner

class Replay(Hal):
    def __init__(self):
        self.calls = iter(CALLS)
        self.now_ms = 0
        self.nvs = {}
        self.waiting = None
        self.reply = None
        self.joined = False
        self.out = b""

    def _next(self, name, *args):
        wanted, arguments, result = next(self.calls)
        given = [a if isinstance(a, int) else a.hex() for a in args]
        assert (wanted, arguments) == (name, given), (wanted, name, arguments, given)
        return None if result is None else bytes.fromhex(result)

    def random(self, n): return self._next("random", n)
    def sha512(self, data): return self._next("sha512", data)
    def mod_exp(self, base, exponent, modulus):
        return self._next("mod_exp", base, exponent, modulus)
    def aes_gcm_seal(self, key, nonce, plain):
        return self._next("aes_gcm_seal", key, nonce, plain)
    def aes_gcm_open(self, key, nonce, sealed):
        return self._next("aes_gcm_open", key, nonce, sealed)
    def ticks_ms(self): return self.now_ms
    def log(self, level, text): pass
    def nvs_get(self, key): return self.nvs.get(key)
    def nvs_set(self, key, value): self.nvs[key] = value
    def nvs_erase(self, key): self.nvs.pop(key, None)
    def nvs_commit(self): pass
    def ap_start(self, ssid): print("ap", ssid)
    def ap_stop(self): print("ap closed")
    def ap_receive(self):
        waiting, self.waiting = self.waiting, None
        return waiting
    def ap_reply(self, connection, status, headers, body): self.reply = (status, body)
    def wifi_scan(self): return [(n[0], bytes.fromhex(n[1]), n[2], n[3], n[4]) for n in NETWORKS]
    def wifi_connect(self, ssid, passphrase): self.joined = (ssid, passphrase)
    def wifi_disconnect(self): self.joined = False
    def wifi_state(self): return 2 if self.joined else 0
    def console_write(self, data):
        self.out += data
        return len(data)

hal = Replay()
provisioner = Provisioner(hal)
provisioner.start()
todo = iter(REQUESTS)
"""

STEP = """
number, cookie, path, body, status, answer = next(todo, (0, "", "", "", 0, ""))
finished = number == 0
if number:
    hal.waiting = (number, cookie.encode(), path, bytes.fromhex(body))
    hal.reply = None
    while provisioner.poll() == 0 or hal.reply is None:
        pass
    assert hal.reply == (status, bytes.fromhex(answer)), (number, path, hal.reply)
"""

FINISH = """
provisioner.console(b"proto-ver 5 2d\\r")
while provisioner.poll() == 0:
    pass
print("console", hal.out)
provisioner.accepted()
hal.now_ms += 3000
provisioner.poll()
print("done", provisioner.done, sorted(hal.nvs), hal.nvs["wifi.pass"])
"""


class RecordingBoard(Board):
    """A board that remembers its requests and what its hardware computed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.asked: list[Any] = []
        for name in MATHEMATICS:
            setattr(self, name, self._remembering(name, getattr(self, name)))

    def _remembering(self, name: str, function: Any) -> Any:
        def call(*args: Any) -> Any:
            result = function(*args)
            given = [a if isinstance(a, int) else a.hex() for a in args]
            self.calls.append([name, given, None if result is None else result.hex()])
            return result

        return call

    def ap_receive(self) -> tuple[int, bytes, str, bytes] | None:
        """Remember the request."""
        request = super().ap_receive()
        if request is not None:
            self.asked.append(request)
        return request


def recorded() -> RecordingBoard:
    """Do a run with a wrong password, a session, and refused messages in it."""
    rig = Rig(RecordingBoard())
    rig.board.join_takes_ms = 0
    with pytest.raises(ProvisionError, match="refused"):
        session(rig, "wrong").open()
    made = opened(rig)
    made.request("custom-data", b'{"url": "http://gw", "device": "d", "key": "k"}')
    made.request("custom-data", b'{"url": "gw"')
    scan(made, pb.Scan(type=pb.Scan.START, start=pb.ScanStart(blocking=True)))
    scan(made, pb.Scan(type=pb.Scan.GET_RESULT, get_result=pb.ScanWanted(count=2)))
    set_network(made, b"Home", PASSPHRASE.encode())
    set_network(made, b"\xff", PASSPHRASE.encode())
    apply(made)
    wifi(made)
    rig.post("prov-config", b"\0" * 40)
    rig.post("nowhere", b"x")
    assert isinstance(rig.board, RecordingBoard)
    return rig.board


def test_a_whole_run_is_the_same_under_micropython() -> None:
    """Every answer has the same bytes, and the hardware is asked for the same things."""
    board = recorded()
    requests = [
        [
            number,
            cookie.decode(),
            path,
            body.hex(),
            board.replies[number].status,
            board.replies[number].body.hex(),
        ]
        for number, cookie, path, body in board.asked
    ]
    assert len(requests) > 12
    networks = [[n[0], n[1].hex(), *n[2:]] for n in board.networks]
    data = f"CALLS = {board.calls!r}\nREQUESTS = {requests!r}\nNETWORKS = {networks!r}\n"
    setup = data + SETUP
    lines = micropython.run(setup, step=STEP, steps=len(requests) + 1, finish=FINISH)
    assert lines == micropython.run_here(setup, step=STEP, steps=len(requests) + 1, finish=FINISH)
    assert lines[0].startswith("ap PROV_")
    assert "sec_ver" in bytes.fromhex(lines[1].split("\\r\\n")[1]).decode()
    assert lines[-1].startswith("done True ['gw.device', 'gw.key', 'gw.url'")
    assert json.dumps(PASSPHRASE).strip('"') in lines[-1]
