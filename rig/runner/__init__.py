"""Runs scenarios: a folder, a database and a worker process for each, several at a time."""
