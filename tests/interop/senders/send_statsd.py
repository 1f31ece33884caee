"""The `statsd` package (PyPI's, or Debian's python3-statsd): every call that it has."""

import random
import sys
from datetime import timedelta
from urllib.parse import urlsplit

import statsd

# The dice are loaded: a sampled call is always sent, with its rate.
random.random = lambda: 0.0


def connect(target):
    place = urlsplit(target)
    if place.scheme == "unix":
        return statsd.UnixSocketStatsClient(place.path, prefix="app")
    if place.scheme == "tcp":
        return statsd.TCPStatsClient(place.hostname, place.port, prefix="app")
    ipv6 = ":" in place.hostname
    return statsd.StatsClient(place.hostname, place.port, prefix="app", ipv6=ipv6)


def send(client):
    client.incr("jobs")
    client.incr("jobs", 4)
    client.decr("jobs", 2)
    client.incr("sampled", 3, rate=0.1)
    client.gauge("depth", 10)
    client.gauge("depth", 5, delta=True)
    client.gauge("depth", -3, delta=True)
    client.gauge("balance", -4.5)  # two lines: 0|g and -4.5|g
    client.timing("render", 320)
    client.timing("render", 0.25)
    client.timing("render", timedelta(seconds=1.5))
    client.timing("rare", 20, rate=0.5)
    client.set("users", "ada")
    client.set("users", "grace")
    client.set("users", "ada")
    with client.timer("block"):
        pass
    client.timer("function")(lambda: None)()
    with client.pipeline() as pipe:
        for number in range(100):
            pipe.incr("batched")
            pipe.timing("steps", number)


if __name__ == "__main__":
    client = connect(sys.argv[1])
    send(client)
    client.close()
