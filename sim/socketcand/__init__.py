"""The socketcand protocol: CAN buses over TCP, as python-can, Kayak and others speak it."""
