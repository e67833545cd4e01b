"""The gateway: production code that reads links, stores and publishes. Knows no simulation."""
