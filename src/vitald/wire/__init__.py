"""The StatsD and DogStatsD wire format, encoder and parser; no I/O. The package imports nothing."""
