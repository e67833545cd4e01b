"""What other people's devices and apps send, taken by the one path of ingest."""
