"""What a run on a bench hides from the judge, and what it is judged for beside its own limits."""

from __future__ import annotations

from collections.abc import Iterable

from rig.judge.limits import GONE, Desk, Limit, MeasureSource, Verdict, judge
from rig.record.manifest import Manifest

HERE = "local"


def judge_manifest(
    manifest: Manifest, measures: MeasureSource, limits: Iterable[Limit] | None = None
) -> list[Verdict]:
    """Judge a run by its own limits, or by others."""
    return judge(
        limits_of(manifest) if limits is None else limits,
        measures,
        mode=manifest.mode,
        real_links=manifest.real_links,
        desk=desk_of(manifest),
    )


def limits_of(manifest: Manifest) -> list[Limit]:
    """Return what a run is judged by: its scenario's limits, and those of every bench."""
    return [*manifest.limits, *presence_limits(manifest)]


def desk_of(manifest: Manifest) -> Desk:
    """Return what the rig could not know of a run."""
    at = str(manifest.bench.get("gateway", HERE))
    places = manifest.bench.get("links", {})
    return Desk(
        gateway="" if at == HERE else at,
        has_store=at == HERE or bool(manifest.bench.get("has_database")),
        unheard=[
            link
            for link in manifest.real_links
            if link in places and not places[link].get("is_tapped", True)
        ],
    )


def presence_limits(manifest: Manifest) -> list[Limit]:
    """Return a limit for each real device that is not to go away, unless the scenario has its own.

    An adapter that is pulled out in mid-run may keep all other limits: it is said all the same.
    """
    declared = {limit.name for limit in manifest.limits}
    watched = manifest.result.get("gone") or {}
    return [
        Limit(f"{link}{GONE}", "", equals=0.0)
        for link in manifest.real_links
        if link in watched and f"{link}{GONE}" not in declared
    ]
