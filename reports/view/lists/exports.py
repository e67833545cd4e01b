"""Downloads of a session or a device, in all formats (docs/export.md)."""

from __future__ import annotations

from reports.view.form import Field, Form, Options
from reports.view.listing import Action

FILES = (
    ("signals.csv", "readings, CSV"),
    ("signals.json", "readings, JSON"),
    ("signals.parquet", "readings, Parquet"),
    ("frames.csv", "snapshots, CSV"),
    ("frames.json", "snapshots, JSON"),
    ("frames.parquet", "snapshots, Parquet"),
    ("track.gpx", "track, GPX"),
    ("track.kml", "track, KML"),
)
"""Names of the gateway's files, and what a row is."""

_PACKED = ("signals.csv", "signals.json", "frames.csv", "frames.json")
_SIGNALS = tuple(name for name, _ in FILES if not name.startswith("track"))
_FRAMES = tuple(name for name, _ in FILES if name.startswith("frames"))


def exports(base: str, when: dict[str, tuple[str, ...]] | None = None) -> Action:
    """Give the menu of downloads; `base` is the path before the file's name."""
    plain = tuple(
        Action(name=f"export-{name}", label=label, path=f"{base}/{name}", download=True)
        for name, label in FILES
    )
    return Action(name="export", label="Export", when=when or {}, menu=(*plain, _chosen(base)))


def _chosen(base: str) -> Action:
    fields = (
        Field(name="file", label="File", choices=FILES, needed=True, value="signals.csv"),
        Field(
            name="signals",
            label="Signals",
            kind="text",
            hint="Names with commas, as RPM, SPEED; empty: all.",
            when={"file": _SIGNALS},
            wide=True,
        ),
        Field(
            name="sources",
            label="Sources",
            kind="text",
            hint="gps, obd, can, derived, edge, mesh; empty: all.",
            when={"file": _SIGNALS},
        ),
        Field(name="period_ms", label="Period (ms)", value=1000, when={"file": _FRAMES}),
        Field(name="hold_s", label="Hold (s)", value=10, when={"file": _FRAMES}),
        Field(
            name="compress",
            label="Packed",
            choices=(("gzip", "gzip"), ("zstd", "zstd")),
            when={"file": _PACKED},
        ),
        Field(
            name="start_time",
            label="From",
            kind="text",
            hint="2026-01-31T12:00:00Z; empty: from the beginning.",
        ),
        Field(name="end_time", label="To", kind="text", hint="Excluded; empty: to the end."),
    )
    return Action(
        name="export-chosen",
        label="With choices …",
        path=f"{base}/{{file}}",
        download=True,
        form=Form(
            title="Export",
            submit="Download",
            fields=fields,
            query=True,
            schema=f"{base}/frames.csv",
        ),
    )


DEVICES = Options(api="/api/v1/devices", rows="devices", value="id", label="{id} {name}")
"""Devices as choices of a field."""
SIGNALS = Options(
    api="/api/v1/signals", rows="signals", value="name", label="{name} · {path} {unit}"
)
