"""Forwarders: one target a file, each a pure encoder and a small `send`."""
