"""The table `can` of an OBD link: what is taken, and how what is wrong is named."""

from __future__ import annotations

import importlib.util

import pytest

from server.config_section import Where
from server.errors import ConfigError
from server.obd.can.addressing import EXTENDED
from server.obd.can.backend import _candidates
from server.obd.can.options import CanObdOptions
from server.obd.elm import adapter
from server.obd.link import ObdLink

WHERE = Where("gateway.toml", ("links", "obd"), {("links", "obd"): 3})
DOOR = {"interface": "socketcand", "channel": "can0", "host": "127.0.0.1", "port": 29536}


def parse(**table: object) -> CanObdOptions:
    """Options out of a table `can`."""
    options = ObdLink.parse("obd", {"kind": "obd", "can": DOOR | table}, WHERE).backend
    assert isinstance(options, CanObdOptions)
    return options


def test_an_interface_is_enough() -> None:
    """Everything but the interface has a default: search, several PIDs, P2 and a margin."""
    options = parse()
    assert options.port.name == "socketcand can0 at 127.0.0.1:29536"
    assert (options.id_bits, options.request, options.request_id) == (None, "auto", None)
    assert (options.several, options.reply_timeout_s, options.pending_timeout_s) == (True, 0.1, 5.1)
    assert [candidate.bits for candidate in _candidates(options, None)] == [11, 29]
    assert [candidate.bits for candidate in _candidates(options, "29")] == [29, 11]


def test_python_obd_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPL library belongs to the ELM327 alone."""
    monkeypatch.setattr(adapter, "is_installed", lambda: False)
    assert parse().request == "auto"


def test_can_isotp_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the configuration is refused with what to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "isotp" else find(name)
    )
    with pytest.raises(ConfigError, match=r"can-isotp .*pip install 'telerig\[can\]'"):
        parse()


@pytest.mark.parametrize(
    ("table", "ids"),
    [
        ({"request_id": 0x7E0}, (0x7E0, 0x7E8)),
        ({"request_id": 0x726, "response_id": 0x72E}, (0x726, 0x72E)),
        ({"request_id": 0x18DA10F1}, (0x18DA10F1 | EXTENDED, 0x18DAF110 | EXTENDED)),
        ({"request_id": 0x7E0, "id_bits": 29}, (0x7E0 | EXTENDED, 0xE007 | EXTENDED)),
    ],
)
def test_one_ecu_by_its_number(table: dict, ids: tuple[int, int]) -> None:
    """A number fixes the identifiers, the answers' too; more than 11 bits are 29."""
    (only,) = _candidates(parse(**table), None)
    assert only.fixed == ids
    assert only.request_id(only.engine_id) == only.functional_id == ids[0]
    assert only.is_answer(ids[1])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id_bits": 12}, "11 or 29 for links.obd.can.id_bits"),
        ({"request_id": "physicaly"}, "did you mean physical"),
        ({"request_id": 0x800, "id_bits": 11}, "from 0 to 2047"),
        ({"request_id": True}, "request_id"),
        ({"request_id": 0x7E0, "response_id": 0x800}, "response_id"),
        ({"response_id": 0x7E8}, "request_id as a number beside it"),
        ({"reply_timeout_s": 0}, "reply_timeout_s"),
        ({"several": 3}, "true or false"),
        ({"interfaces": "slcan"}, "did you mean 'interface'"),
        ({"interface": 5}, "for links.obd.can.interface"),
    ],
)
def test_wrong_options_name_the_key(table: dict, message: str) -> None:
    """Wrong values and unknown keys are refused with their place."""
    with pytest.raises(ConfigError, match=message):
        parse(**table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"can": DOOR, "port": "/dev/ttyUSB0"}, "one of port and can"),
        ({"can": DOOR, "baud": 38400}, "unknown key 'baud'"),
        ({"can": "can0"}, r"a table \[links.obd.can\]"),
        ({}, "port"),
    ],
)
def test_an_adapter_and_an_interface_exclude_each_other(table: dict, message: str) -> None:
    """`port` is an ELM327, `can` is none."""
    with pytest.raises(ConfigError, match=message):
        ObdLink.parse("obd", {"kind": "obd", **table}, WHERE)
