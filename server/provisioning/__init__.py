"""The client that provisions ESP32 devices: `telerig provision`."""
