"""A file that is taken away while it is written: what a format's writer wrote, since it was last asked."""

import io


class Pieces(io.RawIOBase):
    """Something to write to, for writers that want a file."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        """Keep the bytes until they are taken."""
        view = memoryview(data)  # type: ignore[arg-type]  # a buffer, as RawIOBase has it
        self._waiting += view
        return view.nbytes

    def take(self) -> bytes:
        """What was written since."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken
