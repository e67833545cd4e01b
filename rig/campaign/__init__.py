"""Campaigns: thousands of drawn runs, what breaks in them, shrunk and kept."""
