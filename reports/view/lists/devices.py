"""Devices, their keys, what they sent, what they are told."""

from __future__ import annotations

from reports.view.form import Confirmation, Field, Form, Reveal
from reports.view.listing import Action, Column, Facts, Filter, Kind, Listing
from reports.view.lists import signs
from reports.view.lists.exports import exports

ONE = "/api/v1/devices/{device}"
_KEY = Reveal(
    "key",
    "Key of the device",
    "It is shown this once and cannot be had again. The device sends it as X-API-Key.",
)
_OVERLAP = Field(
    name="overlap_s",
    label="The key before works for",
    choices=(
        ("86400", "a day more"),
        ("3600", "an hour more"),
        ("604800", "a week more"),
        ("0", "no longer"),
        ("null", "until it is revoked (a second key)"),
    ),
    value="86400",
    needed=True,
)
_SUMS = (
    Column(key="sums.readings", label="Readings", kind=Kind.NUMBER),
    Column(key="sums.transmitted", label="Transmitted", kind=Kind.NUMBER),
    Column(key="sums.suppressed", label="Suppressed", kind=Kind.NUMBER),
    Column(key="sums.bytes_sent", label="Sent", kind=Kind.BYTES),
    Column(
        key="sums.compression_ratio",
        label="Compression",
        kind=Kind.NUMBER,
        digits=1,
        hint="Bytes of the plain record over bytes sent.",
    ),
    Column(
        key="sums.suppression_ratio",
        label="Left out",
        kind=Kind.NUMBER,
        digits=2,
        hint="Readings not transmitted over readings taken.",
    ),
)

DEVICES = Listing(
    name="devices",
    title="Registered devices",
    api="/api/v1/devices",
    rows="devices",
    columns=(
        Column(key="id", label="Device"),
        Column(key="name", label="Name"),
        Column(key="vin", label="Vehicle"),
        Column(key="active", label="State", kind=Kind.SIGN, signs=signs.ACTIVE),
        Column(key="heard_ns", label="Last heard", kind=Kind.INSTANT_NS, empty="never"),
        Column(
            key="last_used_ns",
            label="Key last used",
            kind=Kind.INSTANT_NS,
            empty="never",
        ),
        Column(key="registered_ns", label="Registered", kind=Kind.INSTANT_NS),
    ),
    filters=(Filter(name="all", label="Deactivated ones too", kind="flag"),),
    actions=(
        Action(
            name="register",
            label="Register a device",
            role="admin",
            method="POST",
            path="/api/v1/devices",
            tone="primary",
            form=Form(
                title="Register a device",
                submit="Register",
                fields=(
                    Field(
                        name="id",
                        label="Id",
                        needed=True,
                        hint="1 to 64 letters, digits, '.', '_' or '-'.",
                    ),
                    Field(name="name", label="Name", hint="For people."),
                    Field(
                        name="vin",
                        label="VIN of its vehicle",
                        hint="17 capital letters and digits; empty: not known.",
                    ),
                ),
            ),
            done="Device {device.id} is registered.",
            reveal=(_KEY,),
        ),
        Action(name="provision", label="Provision an ESP32", role="admin", path="/provision"),
    ),
    row_actions=(
        Action(
            name="deactivate",
            label="Deactivate",
            role="admin",
            method="DELETE",
            path="/api/v1/devices/{id}",
            tone="danger",
            when={"active": ("true",)},
            confirm=Confirmation(
                "Deactivate {id}? No key of it works any more; its readings stay.", "Deactivate"
            ),
            done="{device.id} is deactivated.",
        ),
    ),
    row_link="/device/{id}",
    refresh_s=5,
    empty="No device is registered yet.",
)

OWN = Facts(
    name="own",
    title="The gateway's own links",
    api="/api/v1/telemetry/status",
    columns=(
        Column(key="device", label="Device", link="/device/{device}"),
        Column(
            key="status",
            label="Session",
            kind=Kind.SIGN,
            signs={"running": signs.SESSIONS["running"], "idle": signs.SESSIONS["planned"]},
        ),
        Column(key="session_id", label="Number", link="/session/{session_id}"),
        Column(key="recording", label="Readings are stored", kind=Kind.FLAG),
        Column(key="links", label="Links", kind=Kind.WORDS, empty="none"),
    ),
    refresh_s=5,
    missing="The gateway's own device is not among those that you may see.",
)

DEVICE = Facts(
    name="device",
    api=ONE,
    of="device",
    columns=(
        Column(key="id", label="Id"),
        Column(key="name", label="Name"),
        Column(key="vin", label="Vehicle"),
        Column(key="active", label="State", kind=Kind.SIGN, signs=signs.ACTIVE),
        Column(key="registered_ns", label="Registered", kind=Kind.INSTANT_NS),
    ),
    actions=(
        Action(name="live", label="Live", path="/live?device={device}"),
        Action(name="sessions", label="Sessions", path="/sessions?device={device}"),
        exports("/api/v1/export/devices/{device}"),
    ),
    refresh_s=5,
    missing="This device is not in the registry: it is the gateway's own, or nobody has registered"
    " it.",
)

KEYS = Listing(
    name="keys",
    title="Keys",
    api=ONE,
    rows="keys",
    columns=(
        Column(key="id", label="Key", kind=Kind.NUMBER),
        Column(key="live", label="State", kind=Kind.SIGN, signs=signs.KEYS),
        Column(key="made_ns", label="Made", kind=Kind.INSTANT_NS),
        Column(key="last_used_ns", label="Last used", kind=Kind.INSTANT_NS, empty="never"),
        Column(key="expires_ns", label="Works until", kind=Kind.INSTANT_NS, empty="revoked"),
        Column(key="revoked_ns", label="Revoked", kind=Kind.INSTANT_NS),
    ),
    actions=(
        Action(
            name="new-key",
            label="New key",
            role="admin",
            method="POST",
            path=f"{ONE}/keys",
            tone="primary",
            form=Form(title="A new key for {device}", submit="Make the key", fields=(_OVERLAP,)),
            done="Key {key_id} is made.",
            reveal=(_KEY,),
        ),
    ),
    row_actions=(
        Action(
            name="revoke",
            label="Revoke",
            role="admin",
            method="DELETE",
            path=f"{ONE}/keys/{{id}}",
            tone="danger",
            when={"live": ("true",)},
            confirm=Confirmation(
                "Revoke key {id}? What sends with it is refused from the next request on.",
                "Revoke",
            ),
            done="Key {id} is revoked.",
        ),
    ),
    refresh_s=5,
    empty="No key was made: this device has one of the configuration, or cannot send.",
    missing="A device that is not in the registry has no keys.",
)
REFUSED_KEYS = Listing(
    name="refused-keys",
    title="Refused because of a key",
    api=ONE,
    rows="refused",
    key="reason",
    columns=(
        Column(key="reason", label="Reason"),
        Column(key="count", label="Requests", kind=Kind.NUMBER),
        Column(key="last_ns", label="Last", kind=Kind.INSTANT_NS),
    ),
    empty="None was refused.",
    missing="None was refused.",
)
DAYS = Listing(
    name="days",
    title="By day",
    api=f"{ONE}/stats",
    rows="days",
    key="day",
    columns=(Column(key="day", label="Day (UTC)"), Column(key="of", label="Vehicle"), *_SUMS),
    empty="It has sent nothing yet.",
    missing="This device is not known.",
    refresh_s=10,
)
BOOTS = Listing(
    name="boots",
    title="By boot",
    api=f"{ONE}/stats",
    rows="boots",
    key="boot",
    columns=(
        Column(key="boot", label="Boot", kind=Kind.CODE),
        Column(key="session_id", label="Session", kind=Kind.NUMBER, link="/session/{session_id}"),
        Column(key="vin", label="Vehicle"),
        Column(key="first_ns", label="First", kind=Kind.INSTANT_NS),
        Column(key="last_ns", label="Last", kind=Kind.INSTANT_NS),
        *_SUMS,
    ),
    empty="It has sent nothing yet.",
    missing="This device is not known.",
    refresh_s=10,
)
REFUSED = Listing(
    name="refused",
    title="Refused readings and requests",
    api=f"{ONE}/stats",
    rows="refused",
    key="reason",
    columns=(
        Column(key="reason", label="Reason"),
        Column(key="count", label="Count", kind=Kind.NUMBER),
        Column(key="first_ns", label="First", kind=Kind.INSTANT_NS),
        Column(key="last_ns", label="Last", kind=Kind.INSTANT_NS),
        Column(key="examples", label="Examples", kind=Kind.WORDS, sorts=False),
    ),
    empty="Nothing was refused.",
    missing="This device is not known.",
)
COMMANDS = Listing(
    name="commands",
    title="Commands so far",
    api=f"{ONE}/commands",
    rows="commands",
    columns=(
        Column(key="id", label="Command", kind=Kind.NUMBER),
        Column(key="name", label="Name"),
        Column(key="parameters", label="Parameters", kind=Kind.JSON, sorts=False),
        Column(key="state", label="State", kind=Kind.SIGN, signs=signs.COMMANDS),
        Column(key="detail", label="Answer"),
        Column(key="queued_ns", label="Ordered", kind=Kind.INSTANT_NS),
        Column(key="sent_ns", label="Sent", kind=Kind.INSTANT_NS),
        Column(key="ended_ns", label="Ended", kind=Kind.INSTANT_NS),
        Column(key="late", label="Late", kind=Kind.FLAG),
    ),
    paging="before",
    before_key="id",
    page_rows=50,
    refresh_s=2,
    empty="Nothing was ordered yet.",
    missing="A device that is not in the registry takes no commands.",
)
