"""Debian's python3-aiodogstatsd."""

import asyncio
import sys
from urllib.parse import urlsplit

import aiodogstatsd
import aiodogstatsd.client

aiodogstatsd.client.random = lambda: 0.0


async def send(place):
    async with aiodogstatsd.Client(
        host=place.hostname,
        port=place.port,
        namespace="app",
        constant_tags={"env": "test"},
        read_timeout=0.05,
    ) as client:
        client.increment("jobs", value=3, tags={"queue": "mail"})
        client.decrement("jobs", tags={"queue": "mail"})
        client.increment("sampled", value=2, sample_rate=0.5)
        client.gauge("depth", value=17)
        client.histogram("size", value=512)
        client.distribution("latency", value=0.25)
        client.timing("render", value=320)
        with client.timeit("block"):
            pass
        await client.timeit_task(asyncio.sleep(0), "task")
        await asyncio.sleep(0)  # the task's callback comes after its result


if __name__ == "__main__":
    asyncio.run(send(urlsplit(sys.argv[1])))
