"""Log of a condition that lasts: said once when it begins and once when it ends."""

import logging


class LogOnce:
    """Condition whose `begin` and `end` may be called any number of times; only changes are logged."""

    def __init__(self, log: logging.Logger, begun: str, ended: str, level: int = logging.WARNING) -> None:
        self.active = False
        self._log = log
        self._begun = begun
        self._ended = ended
        self._level = level

    def begin(self, **facts: object) -> None:
        """It is so. `facts` go to the log with it."""
        if not self.active:
            self._log.log(self._level, self._begun, extra=facts)
        self.active = True

    def end(self, **facts: object) -> None:
        """It is not so, or no longer."""
        if self.active:
            self._log.info(self._ended, extra=facts)
        self.active = False
