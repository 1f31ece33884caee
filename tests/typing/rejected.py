"""What a service must not write: both checkers find an error in each marked line, and no other.

Never run; `tests/test_typing.py` has it checked.
"""

from __future__ import annotations

from vitald import Client
from vitald.client import StatsClient
from vitald.client.declared import Metrics
from vitald.client.operations import Operations

client = Client()
operations = Operations(client)
statsd = StatsClient()
metrics = Metrics(client)

Client(8125)  # error: a URL is text
Client(tags=7)  # error: no tags
Client(window=10)  # error: no such option

client.incr(7)  # error: a name is text
client.incr("jobs", "one")  # error: no number
client.incr("jobs", queue="mail")  # error: verbs take tags=
client.incr("jobs", tags=7)  # error: no tags
client.decr("jobs", None)  # error: no number
client.gauge("depth", "high")  # error: no number
client.timing("render", "long")  # error: no duration
client.timing("render")  # error: no value
client.histogram("size", "big")  # error: no number
client.service_check("db", "up")  # error: a status is a number
client.observe("size", 1)  # error: no such verb

client.counter("jobs").inc("one")  # error: no number
client.counter("jobs").set(1)  # error: a counter has no level
client.gauge("depth").record(1)  # error: a gauge has no samples
client.gauge("depth", 1).set(1)  # error: with a value there is no handle
client.timer("render").record("long")  # error: no duration
round(client.timer("render").ms)  # error: None before the first


@client.timer("render")
@operations.task("render")
@statsd.timer("render")
def function(one: int, *, two: str = "") -> float:
    return 1.0


function("one")  # error: a decorated function keeps its parameters
function()  # error: all of them
function(1, "two")  # error: and their kinds
function(1, three=3)  # error: and their names
function(1).upper()  # error: and its result
client.timer("render")(7)  # error: no function
operations.task("render")("name")  # error: no function


@operations.task("mail")
async def coroutine(one: int) -> str:
    return ""


async def awaiting() -> None:
    await coroutine("one")  # error: so does a coroutine function
    len(await coroutine(1)).upper()  # error: and its result
    coroutine(1).upper()  # error: which must be awaited
    with operations.task(7):  # error: a name is text
        pass


class Page:
    @client.timer("render")
    def method(self, one: int) -> int:
        return one

    @staticmethod
    @operations.hook("render")
    def static(one: int) -> str:
        return ""

    @classmethod
    @statsd.timer("render")
    def create(cls, one: int) -> int:
        return one


Page().method("one")  # error: so does a method
Page().method()  # error: all its parameters
Page.static("one")  # error: a static method
Page.create("one")  # error: a class method

statsd.incr("jobs", tags=7)  # error: no tags
statsd.incr("jobs", "one")  # error: no number
statsd.timing("render", "long")  # error: no duration
StatsClient(port="http")  # error: no port
StatsClient(socket_path="/run/statsd.sock")  # error: no such option

jobs = metrics.counter("jobs", tags=("queue",))
hits = metrics.counter("hits")
jobs.inc()  # error: without its tags
jobs.labels("mail")  # error: tags have names
jobs.labels(queue="mail").set(1)  # error: a counter has no level
hits.inc("one")  # error: no number
hits.set(1)  # error: a counter has no level
metrics.gauge("depth").record(1)  # error: a gauge has no samples
metrics.counter("more", tags=7)  # error: no tags
metrics.counter("more", labels=("queue",))  # error: no such option
metrics.timer("render").record("long")  # error: no duration
