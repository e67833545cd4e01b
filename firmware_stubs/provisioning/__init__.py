"""The device's side of provisioning: ESP-IDF protocomm, Security 2 (SRP6a, AES-256-GCM)."""
