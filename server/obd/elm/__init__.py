"""The car through an ELM327 adapter and python-OBD (GPL, extra `obd`)."""
