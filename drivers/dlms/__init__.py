"""DLMS/COSEM over HDLC (IEC 62056-46, -5-3, -6-2): objects of a meter, read by their logical names."""
