"""Order: which step on which host waits for which, as a graph. Pure: no I/O, no hosts."""
