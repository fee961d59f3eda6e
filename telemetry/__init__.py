"""The shared language of Hesper: what a reading is, what it is called, and how it travels.

Imports nothing of ours. Start reading at `readout.py`, then `wire.py`.
"""
