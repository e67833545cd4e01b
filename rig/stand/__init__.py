"""A run on a bench: real devices, driven ports, power switches, and a gateway on another box.

`rig.worker.bench_run` puts them together with the paced world.
"""
