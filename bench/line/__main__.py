"""`python -m bench.line`: every protocol's figures, or those of the protocols named."""

import sys
from importlib import import_module

from bench.measurement import show

PROTOCOLS = ("mbus", "modbus", "optical")


def main() -> None:
    """Print the measurements of `bench.line.<protocol>.measure()`."""
    for protocol in sys.argv[1:] or PROTOCOLS:
        if protocol not in PROTOCOLS:
            raise SystemExit(f"{protocol!r} is no protocol of this bench; known: {', '.join(PROTOCOLS)}")
        show(import_module(f"bench.line.{protocol}").measure())


if __name__ == "__main__":
    main()
