"""A Meshtastic radio: the mesh node on the LoRa channel, and the API that its clients speak."""
