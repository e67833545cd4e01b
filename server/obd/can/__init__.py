"""The car through a CAN interface: SAE J1979 over ISO-TP, no ELM327 (extra `can`)."""
