"""The bytes of every link at an instant, decoded.

at       which bytes: streams around an instant, put together to whole messages
message  what a message is            lines    bytes that come in pieces, as lines
elm327   text of an ELM327            nmea     sentences of a GNSS receiver
canbus   frames, ISO-TP, DBC          board    packets of an ESP32, over HTTP and serial
radio    packets of the mesh
"""
