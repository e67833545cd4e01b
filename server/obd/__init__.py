"""Links that ask the car: one plan and schedule, and two ways to the car.

link, plan, schedule   what is asked, when, and what becomes of the answers
backend                what a way to the car is
elm/                   an ELM327 adapter on a serial port, through python-OBD (extra `obd`)
can/                   a CAN interface: ISO-TP, no adapter (extra `can`)
"""
