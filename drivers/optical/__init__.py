"""Optical ports: IEC 62056-21 (formerly 1107), modes A to D and programming mode."""
