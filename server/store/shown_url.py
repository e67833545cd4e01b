"""A database URL as it may be shown."""

from __future__ import annotations

import re


def shown(url: str) -> str:
    """Give the URL without its password."""
    without = re.sub(r"(//[^/@:]*):[^?]*@", r"\1@", url)
    return re.sub(r"(password=)[^&]*", r"\1…", without)
