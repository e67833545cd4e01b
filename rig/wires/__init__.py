"""The wires of real devices and of records: tapped, captured, played, compared.

tap        a real serial place behind a PTY: passes bytes both ways and tells of each
capture    taps become a record (`telerig capture`)
world      the wires of a record as a world for a gateway (`telerig wires play`)
diff       what two gateways stored, compared (`telerig wires diff`)
"""
