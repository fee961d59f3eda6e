"""Names of this machine, and of its present run."""

from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

# the board's serial number, a PC's, and the system's own, which a copied card brings along
_MACHINE = (
    Path("/sys/firmware/devicetree/base/serial-number"),
    Path("/sys/class/dmi/id/product_uuid"),
    Path("/etc/machine-id"),
)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """A name of this machine that tells nobody its serial numbers; empty where it has none."""
    told = []
    for path in _MACHINE:
        with suppress(OSError):
            told.append(path.read_bytes())
    return blake2b(b"\n".join(told), digest_size=8).hexdigest() if told else ""


def boot_id() -> str:
    """The kernel's name for the time since it was started, in which the monotonic clock means the same.

    Where it cannot be told, a name of this process's own: what it read is not dated by a later one.
    """
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return uuid4().hex
