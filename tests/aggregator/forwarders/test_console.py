from __future__ import annotations

import asyncio
import contextlib
import json
import os

import pytest
from pydantic import ValidationError

from vitald.aggregator.forwarders.console import ConsoleForwarder, encode_json, encode_text
from vitald.config.options import ForwarderOptions, arguments
from vitald.errors import ForwardError
from vitald.metric import Event, ServiceCheck

TIME = "2023-11-14T22:13:30.000Z"


@pytest.fixture
def pipe():
    """A pipe of which the test reads; both ends are closed afterwards."""
    read, write = os.pipe()
    yield os.fdopen(read, "rb", closefd=False), write
    for descriptor in (read, write):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_a_json_line_is_an_entry_of_the_metrics_document_with_its_time(make):
    row = make.counter("jobs", 7.0, (("queue", "mail"),))
    document = json.loads(encode_json([row], TIME, 10.0))
    assert document["time"] == TIME
    assert (document["name"], document["type"], document["tags"]) == (
        *("jobs", "counter"),
        {"queue": "mail"},
    )
    assert (document["sum"], document["rate"]) == (7, 0.7)


def test_a_text_line_has_time_type_name_and_numbers(make):
    rows = [
        make.counter("jobs", 7.0, (("queue", "mail"), ("urgent", ""))),
        make.gauge("depth", -2.5),
    ]
    assert encode_text(rows, TIME, 10.0).decode().splitlines() == [
        f"{TIME} counter jobs{{queue=mail,urgent}} sum=7 rate=0.7",
        f"{TIME} gauge depth last=-2.5",
    ]


@pytest.mark.parametrize("form", [encode_json, encode_text])
def test_no_control_character_reaches_the_output(make, form):
    row = make.counter("a\x1b[31m\x9b\u202e\nb", 1.0, (("k\x07", "v\r"),))
    lines = form([row], TIME, 10.0).decode().splitlines()
    assert len(lines) == 1
    assert lines[0].isprintable()


@pytest.mark.parametrize("form", ["json", "text"])
async def test_rows_events_and_checks_are_one_line_each(pipe, make, form):
    reader, write = pipe
    interval = make.interval(
        [make.counter("jobs"), make.timer("render"), make.unique("users")],
        events=[Event("deploy", "v2\x1b", tags=(("a", "1"),))],
        service_checks=[ServiceCheck("db", 0)],
    )
    await ConsoleForwarder(host="web", format=form, output=write).send(interval)
    os.close(write)
    lines = reader.read().decode().splitlines()
    assert len(lines) == 5
    if form == "json":
        documents = [json.loads(line) for line in lines]
        assert all(document["time"] == TIME for document in documents)
        assert documents[3]["event"]["text"] == "v2\x1b"
        assert documents[4]["service_check"]["status"] == 0
    else:
        shown = r"title=deploy text=v2\x1b priority=normal alert_type=info tags=a=1"
        assert lines[3] == f"{TIME} event {shown}"
        assert lines[4] == f"{TIME} service_check name=db status=0"


async def test_a_reader_that_is_slow_gets_every_line_once_over_retries(pipe, make):
    reader, write = pipe
    interval = make.interval([make.gauge(f"g{i}", tags=(("t", "x" * 100),)) for i in range(1500)])
    forwarder = ConsoleForwarder(host="web", output=write)
    got = b""
    for _ in range(100):
        sending = asyncio.ensure_future(forwarder.send(interval))
        done, _ = await asyncio.wait({sending}, timeout=0.02)
        if done:
            await sending
            break
        sending.cancel()
        await asyncio.wait({sending})
        got += os.read(reader.fileno(), 65536)
    os.close(write)
    got += reader.read()
    assert [json.loads(line)["name"] for line in got.splitlines()] == [f"g{i}" for i in range(1500)]


async def test_a_reader_that_is_gone_is_no_reason_to_retry(pipe, make):
    reader, write = pipe
    os.close(reader.fileno())
    with pytest.raises(ForwardError, match=r"cannot write to descriptor .*: broken pipe") as caught:
        await ConsoleForwarder(host="web", output=write).send(make.interval([make.counter("x")]))
    assert not caught.value.retryable


async def test_standard_output_is_the_default(capfd, make):
    await ConsoleForwarder(host="web").send(make.interval([make.counter("jobs")]))
    assert json.loads(capfd.readouterr().out)["name"] == "jobs"


@pytest.mark.parametrize("output", ["stdout", "stderr", 5])
def test_its_options_build_it(output):
    options = ConsoleForwarder.Options(format="text", output=output)
    ConsoleForwarder(host="web", **arguments(options, ForwarderOptions))


@pytest.mark.parametrize(
    "options", [{"format": "xml"}, {"output": "file"}, {"output": -1}], ids=str
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValidationError):
        ConsoleForwarder.Options(**options)
