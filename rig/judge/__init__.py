"""Limits against measured values: verdicts, margins, and where a limit was broken."""
