"""The packet codec that devices and the gateway share; CPython and MicroPython give equal bytes."""
