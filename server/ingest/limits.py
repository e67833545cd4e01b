"""Bounds of what a device may send. Each is checked before objects are made of it."""

from __future__ import annotations

SINGLE_BYTES = 64 * 1024
"""Of a body of /ingest and /uplink."""
BATCH_BYTES = 1024 * 1024
"""Of a protobuf body of /ingest/batch."""
JSON_BATCH_BYTES = 256 * 1024
"""Of a JSON body of /ingest/batch: JSON takes 23 times its size in memory, protobuf a tenth."""
BATCH_READINGS = 20_000
"""Readings of one batch."""
BATCH_FIELDS = 512
"""Fields at the top of a protobuf message, columns for the greater part."""
UPLINK_FIELDS = 1024
HELLO_BYTES = 48 * 1024
HELLO_FIELDS = 128
PACKET_BYTES = 4096
PACKET_READINGS = 65_536
"""Readings of one codec packet: their numbers have sixteen bits."""
UPLINK_READINGS = 20_000
"""Readings that one uplink is decoded for, about a second of work; the rest is not acknowledged
and comes again."""
ANSWER_ACKED = 512
ANSWER_REFUSED = 64
ANSWER_REASON_CHARACTERS = 100
ANSWER_COMMANDS = 16
ANSWER_COMMAND_BYTES = 4096
ANSWER_BYTES = 16_384
"""What a board has room for (server/wire/messages.py, firmware_stubs/links.py), or less: an answer
that it cannot read would be lost for ever. What is left out comes with a later answer."""
TEMPLATES_KEPT = 256
"""Sets of command templates that are kept by their hash."""
BAD_SHOWN = 10
"""Refused readings that an answer names; the others are counted."""
BODY_TIMEOUT_S = 10.0

YEAR_2000_NS = 946_684_800_000_000_000
AHEAD_NS = 3_600_000_000_000
"""Instants may be so much ahead of the gateway's clock."""
