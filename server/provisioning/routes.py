"""Provisioning over HTTP, for admins: the gateway's machine speaks with the device.

GET    /api/v1/provisioning               which ways and serial ports are there; what was done
POST   /api/v1/provisioning               begin {way, address, password, …}
GET    /api/v1/provisioning/{job}         how far it is
POST   /api/v1/provisioning/{job}/network {ssid, passphrase}, once the device's networks are known
DELETE /api/v1/provisioning/{job}         end it

A browser cannot do it itself: Web Bluetooth and Web Serial exist in one family of browsers and in
secure contexts only, and none may POST to a device that knows no CORS.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from server.answers import BadParameter, Refusal
from server.api.endpoint import Call, Endpoint, Role, Socket
from server.api.parameters import DeviceId, Identifier
from server.provisioning.client import check_network
from server.provisioning.errors import ProvisionError
from server.provisioning.flow import Wanted
from server.provisioning.job import JobShown
from server.provisioning.jobs import made_up_id
from server.provisioning.ports import (
    SerialPort,
    Way,
    check_address,
    serial_ports,
    ways,
)

if TYPE_CHECKING:
    from server.gateway import Gateway

USER = "wifiprov"
_ALL = "/api/v1/provisioning"
_ONE = _ALL + "/{job}"
_TAG = "provisioning"
_URL = re.compile(r"https?://[^/\s]+/?")

Password = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Vin = Annotated[str, Meta(pattern=r"^[A-HJ-NPR-Z0-9]{17}$")]
Ssid = Annotated[str, Meta(min_length=1, max_length=32, description="Name of a Wi-Fi network.")]
Passphrase = Annotated[str, Meta(max_length=63, description="Empty for an open network.")]


class NewProvisioning(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A device to provision.

    Attributes:
        way: http (the device's own Wi-Fi network), serial (its USB console), ble.
        address: IP address with or without a port, serial port, or Bluetooth name.
        password: of the device, from its label.
        user: at the device.
        ssid: network that it shall join; null: one is chosen of those that it hears.
        passphrase: of that network.
        gateway_url: where the device shall send, as the device reaches it; null: Wi-Fi only.
        device: its id at this gateway; null: one is made up.
        vin: of its vehicle.
        scan_only: only tell which networks it hears.
        allow_patch_0: speak also with firmware before March 2025, whose nonces repeat.
        baud: of the serial port.
        timeout_s: for joining the network, and again for the first reading.
    """

    way: Literal["http", "serial", "ble"]
    address: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Password
    user: Password = USER
    ssid: Ssid | None = None
    passphrase: Passphrase = ""
    gateway_url: Annotated[str, Meta(max_length=300)] | None = None
    device: DeviceId | None = None
    vin: Vin | None = None
    scan_only: bool = False
    allow_patch_0: bool = False
    baud: Annotated[int, Meta(ge=300, le=4_000_000)] = 115_200
    timeout_s: Annotated[float, Meta(ge=1, le=3600)] = 120.0


class ChosenNetwork(msgspec.Struct, forbid_unknown_fields=True):
    """The network that a device shall join."""

    ssid: Ssid
    passphrase: Passphrase = ""


class Provisionings(msgspec.Struct, frozen=True):
    """What can be reached from the gateway's machine, and what was provisioned, newest first.

    Attributes:
        enabled: whether the gateway provisions at all.
        ways: http, serial, ble, and why one is not there.
        ports: serial ports that may be opened.
        networks: addresses of devices that may be dialled.
        jobs: the last ones, since the gateway started.
    """

    enabled: bool
    ways: list[Way]
    ports: list[SerialPort]
    networks: list[str]
    jobs: list[JobShown]


class _JobPath(msgspec.Struct):
    job: Identifier


def endpoints(gateway: Gateway) -> list[Endpoint | Socket]:
    """Declare the endpoints."""
    unknown = (404, "There is no such provisioning.")
    return [
        Endpoint(
            "GET",
            _ALL,
            show_all,
            role=Role.ADMIN,
            summary="Tell which ways to a device there are, and what was provisioned",
            tag=_TAG,
            answer=Provisionings,
        ),
        Endpoint(
            "POST",
            _ALL,
            begin,
            role=Role.ADMIN,
            summary="Provision a device: its Wi-Fi network, this gateway, a key of its own",
            tag=_TAG,
            description="Done by the gateway's machine, which must reach the device: by its own"
            " access point (only networks of `[provisioning] networks` are dialled), by USB, or"
            " by Bluetooth.",
            body=NewProvisioning,
            answer=JobShown,
            status=201,
            also=(
                (403, "`[provisioning] enabled` is false."),
                (409, "Another device is being provisioned."),
                (501, "The gateway lacks a library for that."),
            ),
        ),
        Endpoint(
            "GET",
            _ONE,
            show,
            role=Role.ADMIN,
            summary="Tell how far a provisioning is",
            tag=_TAG,
            answer=JobShown,
            path_types=_JobPath,
            also=(unknown,),
        ),
        Endpoint(
            "POST",
            _ONE + "/network",
            choose,
            role=Role.ADMIN,
            summary="Choose the network that the device shall join",
            tag=_TAG,
            body=ChosenNetwork,
            answer=JobShown,
            path_types=_JobPath,
            also=(unknown, (409, "No network is waited for.")),
        ),
        Endpoint(
            "DELETE",
            _ONE,
            cancel,
            role=Role.ADMIN,
            summary="End a provisioning; a key that was made in vain is revoked",
            tag=_TAG,
            answer=JobShown,
            path_types=_JobPath,
            also=(unknown,),
        ),
    ]


async def show_all(call: Call[None, None]) -> Provisionings:
    """Give the ways and the jobs."""
    config = call.gateway.config.provisioning
    return Provisionings(
        config.enabled,
        ways(),
        _ports(call.gateway),
        [str(network) for network in config.networks],
        [job.shown() for job in call.gateway.provisioning.all],
    )


async def begin(call: Call[None, NewProvisioning]) -> JobShown:
    """Begin one."""
    body, config = call.body, call.gateway.config.provisioning
    if not config.enabled:
        raise Refusal(403, "[provisioning] enabled", "true", "false")
    problem = next(way.problem for way in ways() if way.name == body.way)
    if problem:
        raise Refusal(501, "way", "a library for it", problem)
    paths = [port.path for port in _ports(call.gateway)] if body.way == "serial" else []
    check_address(body.way, body.address, config, paths)
    if body.gateway_url is not None and not _URL.fullmatch(body.gateway_url):
        raise BadParameter("gateway_url", "http://HOST:PORT or https://…", repr(body.gateway_url))
    if body.ssid is not None:
        _check_network(body.ssid, body.passphrase)
    job = call.gateway.provisioning.begin(body.way, body.address, _wanted(body), body.baud)
    return job.shown()


async def show(call: Call[None, None]) -> JobShown:
    """Give one."""
    return call.gateway.provisioning.find(call.path["job"]).shown()


async def choose(call: Call[None, ChosenNetwork]) -> JobShown:
    """Choose a network."""
    job = call.gateway.provisioning.find(call.path["job"])
    if not job.is_choosing:
        raise Refusal(409, "job", "one that waits for a network", job.shown().state.value)
    _check_network(call.body.ssid, call.body.passphrase)
    job.choose(call.body.ssid, call.body.passphrase)
    return job.shown()


async def cancel(call: Call[None, None]) -> JobShown:
    """End one."""
    job = call.gateway.provisioning.find(call.path["job"])
    job.cancel()
    return job.shown()


def _wanted(body: NewProvisioning) -> Wanted:
    url = body.gateway_url
    return Wanted(
        user=body.user,
        password=body.password,
        ssid=body.ssid,
        passphrase=None if body.ssid is None else body.passphrase,
        gateway_url=None if url is None else url.rstrip("/"),
        device=body.device or made_up_id(),
        vin=body.vin,
        scan_only=body.scan_only,
        allow_patch_0=body.allow_patch_0,
        timeout_s=body.timeout_s,
    )


def _ports(gateway: Gateway) -> list[SerialPort]:
    tables = (link.source for link in gateway.config.links)
    return serial_ports(gateway.config.provisioning, tables)


def _check_network(ssid: str, passphrase: str) -> None:
    try:
        check_network(ssid, passphrase)
    except ProvisionError as error:
        field, _, said = str(error).partition(": ")
        expected, _, found = said.removeprefix("expected ").partition(", got ")
        where = "ssid" if "ssid" in field else "passphrase"
        raise BadParameter(where, expected, found) from None
