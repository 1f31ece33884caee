"""Debian's python3-aiomeasures: its metrics; its events and checks raise in the package itself."""

import asyncio
import sys
import warnings
from urllib.parse import urlsplit

warnings.simplefilter("ignore")  # it passes loops around, as one did before Python 3.8

from aiomeasures import Datadog, StatsD  # noqa: E402
from aiomeasures.clients.datadog import client as datadog_client  # noqa: E402

# The dice are loaded: a sampled call is always sent, with its rate.
datadog_client.random = lambda: 1.0


async def send(target):
    plain = StatsD(target, prefix="plain")
    plain.incr("jobs", 3)
    plain.decr("jobs")
    plain.timing("render", 320)
    plain.gauge("depth", 17)
    plain.gauge("depth", 5, delta=True)
    plain.set("users", "ada")
    await settled(plain)
    tagged = Datadog(target, prefix="dd", tags={"env": "test"})
    tagged.incr("jobs", 3, tags={"queue": "mail"})
    tagged.histogram("size", 512)
    tagged.counter("jobs", 4, rate=0.5, tags={"queue": "web"})
    await settled(tagged)


async def settled(client):
    """Wait for the tasks that each call started, then close."""
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.gather(*tasks)
    client.close()


if __name__ == "__main__":
    place = urlsplit(sys.argv[1])
    asyncio.run(send(f"udp://{place.hostname}:{place.port}"))
