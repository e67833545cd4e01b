"""[export]: bounds of downloads."""

from __future__ import annotations

import msgspec

from server.config_section import Section


class ExportConfig(msgspec.Struct, frozen=True):
    """How much exports may take.

    Attributes:
        concurrent: exports at a time, over all users; each is a process of its own.
        longest_s: an export that takes longer is ended.
    """

    concurrent: int = 2
    longest_s: int = 3600


def parse_export(section: Section) -> ExportConfig:
    """Read the table.

    Raises:
        ConfigError: names the key.
    """
    config = ExportConfig(
        concurrent=section.integer("concurrent", 2, minimum=0, maximum=32),
        longest_s=section.integer("longest_s", 3600, minimum=1, maximum=86_400),
    )
    section.done()
    return config
