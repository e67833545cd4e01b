"""The simulated world: a car, its CAN bus and ECUs, and the devices whose links a gateway reads.

Everything here runs on one SimPy environment, draws from named random streams and knows no gateway.
"""
