"""Endpoints behind the session: the gateway's data, and messages that nobody knows."""

from __future__ import annotations

import json

import pytest

from server.provisioning import protocomm_pb2 as pb
from server.provisioning.errors import RequestRefused
from tests.firmware.provisioning.board import Rig
from tests.firmware.provisioning.direct import opened

GOOD = {"url": "http://192.168.1.10:8000", "device": "car-1", "key": "vtg_dev_car-1_abc_def"}


def answer(data: bytes, rig: Rig | None = None) -> dict[str, str]:
    """Send data to custom-data."""
    told: dict[str, str] = json.loads(opened(rig or Rig()).request("custom-data", data))
    return told


def test_the_gateways_data_are_kept() -> None:
    """URL without the slash at its end, id and key: in NVS, and answered with ok."""
    rig = Rig()
    assert answer(json.dumps({**GOOD, "url": GOOD["url"] + "/"}).encode(), rig) == {"status": "ok"}
    assert rig.board.nvs["gw.url"] == GOOD["url"].encode()
    assert rig.board.nvs["gw.device"] == b"car-1"
    assert rig.board.nvs["gw.key"] == GOOD["key"].encode()
    assert not rig.board.uncommitted


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "JSON object"),
        (b"[1]", "JSON object"),
        (b"\xff\xfe", "JSON object"),
        (b"[" * 4000, "JSON object"),
        (json.dumps({**GOOD, "url": "ftp://x"}).encode(), "url: expected http"),
        (json.dumps({**GOOD, "url": "http://x y"}).encode(), "url: expected printable"),
        (json.dumps({**GOOD, "url": "http://x\r\nHost: y"}).encode(), "url: expected printable"),
        (json.dumps({**GOOD, "url": "http://" + "x" * 200}).encode(), "url: expected a text of 1"),
        (json.dumps({**GOOD, "device": ""}).encode(), "device: expected a text of 1 to 64"),
        (json.dumps({**GOOD, "key": 7}).encode(), "key: expected a text of 1 to 256"),
        (json.dumps({"url": GOOD["url"], "device": "x"}).encode(), "key: expected a text"),
    ],
)
def test_data_that_cannot_be_used_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    """Nothing is kept of them; the session goes on."""
    rig = Rig()
    told = answer(data, rig)
    assert told["status"] == "error"
    assert reason in told["detail"]
    assert "gw.url" not in rig.board.nvs


@pytest.mark.parametrize(
    ("endpoint", "request_"),
    [
        ("prov-config", pb.Config(type=pb.Config.STATUS)),
        ("prov-config", pb.Config(type=pb.Config.SET_NETWORK)),
        ("prov-config", pb.Config(type=9)),  # type: ignore[arg-type]
        ("prov-scan", pb.Scan(type=pb.Scan.START)),
        ("prov-scan", pb.Scan(type=pb.Scan.GET_RESULT)),
        ("prov-scan", pb.Scan(type=pb.Scan.RESULT)),
        ("prov-ctrl", pb.Control()),
        ("prov-ctrl", pb.Control(type=pb.Control.RESET_DONE)),
    ],
)
def test_messages_that_nobody_knows_are_refused(endpoint: str, request_: object) -> None:
    """Wrong types, and commands without their contents: 500, and the session is still good."""
    made = opened(Rig())
    with pytest.raises(RequestRefused) as caught:
        made.request(endpoint, request_.SerializeToString())  # type: ignore[attr-defined]
    assert caught.value.status == 500
    assert made.request("custom-data", b"{}")


def test_a_sealed_message_that_is_no_protobuf_is_refused() -> None:
    """500 with the reason; the session goes on."""
    made = opened(Rig())
    with pytest.raises(RequestRefused, match="message: "):
        made.request("prov-config", b"\xff\xff\xff")
    assert made.request("custom-data", b"{}")
