"""Downloads of what was stored: tables and tracks, made by a process of their own."""
