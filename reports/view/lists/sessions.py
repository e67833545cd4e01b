"""Sessions, trips, and what was measured in them."""

from __future__ import annotations

from reports.view.form import Confirmation, Field, Form
from reports.view.listing import Action, Column, Facts, Filter, Kind, Listing, placed
from reports.view.lists import signs
from reports.view.lists.exports import DEVICES, exports

_TOLD = (
    Field(name="name", label="Name"),
    Field(name="car_id", label="Car"),
    Field(name="driver", label="Driver"),
    Field(name="notes", label="Notes", kind="lines", wide=True),
)
_DEVICE = Field(
    name="device",
    label="Device",
    hint="Empty: the gateway's own links.",
    options=DEVICES,
)
_SIGNALS = (
    Column(key="signal", label="Signal"),
    Column(key="unit", label="Unit"),
    Column(key="count", label="Readings", kind=Kind.NUMBER),
    Column(key="min", label="Least", kind=Kind.NUMBER),
    Column(key="avg", label="Mean", kind=Kind.NUMBER),
    Column(key="max", label="Greatest", kind=Kind.NUMBER),
    Column(key="others", label="Predicted or lost", kind=Kind.NUMBER),
)
_DRIVE = (
    Column(key="drive.distance_m", label="Way", kind=Kind.NUMBER, unit="m", digits=0),
    Column(key="drive.moving_s", label="Moving", kind=Kind.DURATION_S),
    Column(key="drive.engine_s", label="Engine on", kind=Kind.DURATION_S),
    Column(key="drive.average_kmh", label="Mean speed", kind=Kind.NUMBER, unit="km/h", digits=1),
    Column(key="drive.max_kmh", label="Top speed", kind=Kind.NUMBER, unit="km/h", digits=1),
    Column(key="drive.max_rpm", label="Top engine speed", kind=Kind.NUMBER, unit="rpm", digits=0),
    Column(key="drive.fuel_l", label="Fuel", kind=Kind.NUMBER, unit="l", digits=2),
    Column(
        key="drive.fuel_l_per_100km",
        label="Fuel over the way",
        kind=Kind.NUMBER,
        unit="l/100 km",
        digits=1,
    ),
)

SESSION_DRIVE = Facts(
    name="session-drive",
    title="Drive",
    api="/api/v1/sessions/{id}/statistics",
    columns=(Column(key="readings", label="Readings", kind=Kind.NUMBER), *_DRIVE),
)
SESSION_SIGNALS = Listing(
    name="session-signals",
    title="Signals",
    api="/api/v1/sessions/{id}/statistics",
    rows="signals",
    columns=_SIGNALS,
    empty="Nothing was measured in this session.",
)
TRIP_DRIVE = Facts(name="trip-drive", title="Drive", api="/api/v1/trips/{id}", columns=_DRIVE)
TRIP_SIGNALS = Listing(
    name="trip-signals",
    title="Signals",
    api="/api/v1/trips/{id}",
    rows="signals",
    columns=_SIGNALS,
    empty="Nothing was measured in this trip.",
)

SESSIONS = Listing(
    name="sessions",
    api="/api/v1/sessions",
    rows="sessions",
    columns=(
        Column(key="id", label="Session", kind=Kind.NUMBER),
        Column(key="state", label="State", kind=Kind.SIGN, signs=signs.SESSIONS),
        Column(key="name", label="Name"),
        Column(key="device", label="Device", link="/device/{device}"),
        Column(key="vin", label="Vehicle"),
        Column(key="car_id", label="Car"),
        Column(key="driver", label="Driver"),
        Column(key="opened_ns", label="Started", kind=Kind.INSTANT_NS),
        Column(key="duration_s", label="Duration", kind=Kind.DURATION_S),
        Column(key="closed_how", label="Ended by"),
        Column(key="kind", label="Kind"),
        Column(key="notes", label="Notes"),
    ),
    filters=(
        Filter(
            name="state",
            label="State",
            choices=(("running", "running"), ("planned", "planned"), ("ended", "ended")),
        ),
        Filter(
            name="kind", label="Kind", choices=(("manual", "manual"), ("automatic", "automatic"))
        ),
        Filter(name="device", label="Device", kind="text"),
        Filter(name="start", label="From", kind="instant"),
        Filter(name="end", label="To", kind="instant"),
    ),
    actions=(
        Action(
            name="start-now",
            label="Start a session",
            role="operator",
            method="POST",
            path="/api/v1/telemetry/start",
            tone="primary",
            form=Form(title="Start a session now", submit="Start", fields=(*_TOLD, _DEVICE)),
            done="Session {session_id} runs on {device}.",
        ),
        Action(
            name="plan",
            label="Plan a session",
            role="operator",
            method="POST",
            path="/api/v1/sessions",
            form=Form(title="Plan a session", submit="Plan", fields=(*_TOLD, _DEVICE)),
            done="Session {id} is planned: start it when the drive begins.",
        ),
    ),
    row_actions=(
        Action(
            name="start",
            label="Start",
            role="operator",
            method="POST",
            path="/api/v1/sessions/{id}/start",
            when={"state": ("planned",)},
            done="Session {id} runs.",
        ),
        Action(
            name="stop",
            label="Stop",
            role="operator",
            method="POST",
            path="/api/v1/sessions/{id}/stop",
            when={"state": ("running",), "kind": ("manual",)},
            done="Session {id} was stopped.",
        ),
        Action(
            name="statistics",
            label="Statistics",
            when={"state": ("running", "ended")},
            shows=(placed(SESSION_DRIVE), placed(SESSION_SIGNALS)),
        ),
        exports("/api/v1/export/sessions/{id}", {"state": ("running", "ended")}),
        Action(
            name="edit",
            label="Edit",
            role="operator",
            method="PATCH",
            path="/api/v1/sessions/{id}",
            form=Form(
                title="Session {id}", submit="Save", fields=_TOLD, fill=".", changes_only=True
            ),
            done="Session {id} was changed.",
        ),
        Action(
            name="delete",
            label="Delete",
            role="operator",
            method="DELETE",
            path="/api/v1/sessions/{id}",
            tone="danger",
            when={"kind": ("manual",), "state": ("planned", "ended")},
            confirm=Confirmation(
                "Forget session {id} {name}? What was measured in it stays.", "Delete"
            ),
            done="Session {id} was deleted.",
        ),
    ),
    row_link="/session/{id}",
    paging="offset",
    refresh_s=5,
    in_url=True,
    empty="No session yet: they come with the first readings, or are started here.",
)

TRIPS = Listing(
    name="trips",
    api="/api/v1/trips",
    rows="trips",
    columns=(
        Column(key="id", label="Trip", kind=Kind.NUMBER),
        Column(key="device", label="Device", link="/device/{device}"),
        Column(key="vin", label="Vehicle"),
        Column(key="start_ns", label="Started", kind=Kind.INSTANT_NS),
        Column(key="duration_s", label="Duration", kind=Kind.DURATION_S),
        Column(key="moving_s", label="Moving", kind=Kind.DURATION_S),
        Column(key="distance_m", label="Way", kind=Kind.NUMBER, unit="m", digits=0),
        Column(key="average_kmh", label="Mean speed", kind=Kind.NUMBER, unit="km/h", digits=1),
        Column(key="max_kmh", label="Top speed", kind=Kind.NUMBER, unit="km/h", digits=1),
        Column(key="is_over", label="Over", kind=Kind.FLAG),
    ),
    filters=(
        Filter(name="device", label="Device", kind="text"),
        Filter(name="start", label="From", kind="instant"),
        Filter(name="end", label="To", kind="instant"),
    ),
    actions=(
        Action(
            name="recompute",
            label="Find again",
            role="operator",
            method="POST",
            path="/api/v1/trips/recompute",
            form=Form(
                title="Find all trips of a device again",
                submit="Find",
                query=True,
                fields=(Field(name="device", label="Device", options=DEVICES),),
            ),
            done="The trips were found again.",
        ),
    ),
    row_actions=(
        Action(
            name="statistics",
            label="Statistics",
            shows=(placed(TRIP_DRIVE), placed(TRIP_SIGNALS)),
        ),
    ),
    paging="offset",
    empty="No trip yet: one begins when a vehicle moves.",
)
