"""Profiles that this package carries: devices that have one of them need not send it.

They are the files `server/wire/profiles/*.profile`; the folder may be missing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable

import structlog

from server.ingest.rows import ProfileMisfit, check_profile
from server.wire.codec.profile import Profile, ProfileError

log = structlog.get_logger("telerig.ingest")

SUFFIX = ".profile"


@functools.cache
def shipped_profiles() -> Mapping[bytes, Profile]:
    """Give the carried profiles by their hashes; read at the first question."""
    return read_profiles(resources.files("server.wire") / "profiles")


def read_profiles(folder: Traversable) -> Mapping[bytes, Profile]:
    """Read the profiles of a folder; what is none is named in the log and left out."""
    found: dict[bytes, Profile] = {}
    if not folder.is_dir():
        return found
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(SUFFIX):
            continue
        try:
            profile = Profile.from_bytes(file.read_bytes())
            check_profile(profile)
        except (OSError, ProfileError, ProfileMisfit) as error:
            log.warning("profile left out", file=file.name, reason=str(error)[:200])
        else:
            found[profile.hash] = profile
    return found
