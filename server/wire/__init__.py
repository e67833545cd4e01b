"""The shelf that firmware and gateway share: frames, messages, the codec.

Everything here but the generated protobuf code and the trainer keeps to the Python that
MicroPython accepts: plain classes, integers, no typing at run time.
"""
