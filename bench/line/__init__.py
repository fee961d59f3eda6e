"""Share of a line's time that the wire itself needs: one module a protocol, on virtual time.

    python -m bench.line [mbus] [modbus] [optical]

The limit is the sum of T_min, the shortest time in which the standard lets the same telegrams pass.
"""
