"""The time of a gateway: the kernel's clock, the clock of schedules, and the correction of instants."""
