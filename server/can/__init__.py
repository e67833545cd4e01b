"""The gateway on the car's CAN bus: link kind "can", and the port that OBD over CAN uses too."""
