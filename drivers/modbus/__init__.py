"""Modbus (Application Protocol V1.1b3; Serial Line V1.02): RTU, RTU over TCP, and Modbus TCP."""
