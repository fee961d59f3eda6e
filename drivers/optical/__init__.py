"""Optical ports: IEC 62056-21 (formerly 1107), the readout of modes A, B and C."""
