"""States as signs: a shape and a word, the colour only beside them."""

from __future__ import annotations

from reports.view.listing import Sign

VERDICTS = {
    "pass": Sign("✔", "good", "pass"),
    "marginal": Sign("◐", "warn", "marginal"),
    "fail": Sign("✖", "bad", "fail"),
    "unset": Sign("○", "bad", "unset"),
    "skipped": Sign("–", "stale", "skipped"),
    "error": Sign("✖", "bad", "error"),
    "running": Sign("▶", "good", "running"),
    "damaged": Sign("⚠", "bad", "damaged"),
    "": Sign("?", "stale", "unknown"),
}
SESSIONS = {
    "running": Sign("▶", "good"),
    "planned": Sign("○"),
    "ended": Sign("■", "stale"),
}
ALERTS = {
    "firing": Sign("▲", "bad"),
    "resolved": Sign("✔", "good"),
}
RULES = {
    "ok": Sign("✔", "good"),
    "pending": Sign("◐", "warn"),
    "firing": Sign("▲", "bad"),
    "resolved": Sign("✔", "good"),
}
SEVERITIES = {
    "critical": Sign("‼", "bad"),
    "warning": Sign("!", "warn"),
    "info": Sign("i"),
}
COMMANDS = {
    "queued": Sign("…"),
    "sent": Sign("→"),
    "accepted": Sign("▶"),
    "done": Sign("✔", "good"),
    "failed": Sign("✖", "bad"),
    "refused": Sign("✖", "bad"),
    "timed_out": Sign("⌛", "warn", "timed out"),
}
ACTIVE = {
    "true": Sign("✔", "good", "active"),
    "false": Sign("■", "stale", "deactivated"),
}
KEYS = {
    "true": Sign("✔", "good", "works"),
    "false": Sign("■", "stale", "ended"),
}
READINGS = {
    "0": Sign("●", "good", "measured"),
    "1": Sign("◐", "good", "bounded"),
    "2": Sign("○", "warn", "held"),
    "3": Sign("✖", "bad", "lost"),
}
OUTCOMES = {"done": Sign("✔", "good")}
