"""The sidecar's aggregator: sockets in, windows inside, answers and forwarders out."""
