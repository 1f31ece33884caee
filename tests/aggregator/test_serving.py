from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import socket
from http.client import IncompleteRead

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitald.aggregator.interval import Row
from vitald.aggregator.serving import Limits, by_deadline
from vitald.metric import MetricType

# Short, so that a test which waits for a client to be cut off is short as well.
IMPATIENT = {"idle_seconds": 0.25, "stall_seconds": 0.1}


class BigEngine:
    """An engine whose answers are longer than all buffers between here and a client."""

    name = "big"

    def __init__(self, batches=40):
        self.batches = batches

    def query(self, selector, window):
        answer = type("Answer", (), {})()
        answer.start, answer.end, answer.seconds, answer.complete = 0.0, 60.0, 60.0, True
        answer.rows = self.rows
        return answer

    def rows(self):
        for batch in range(self.batches):
            names = (f"series.{batch}.{n}" for n in range(1000))
            yield [Row(MetricType.COUNTER, name, (), 1.0, 1.0) for name in names]


async def big(service, engine=None, **limits):
    service.world.dashboard = service.world.build(engine=engine or BigEngine())
    await service.start(limits=limits)


# One document, however it is asked for


async def test_http_1_1_gets_chunks_that_add_up_to_one_document(service):
    await big(service)
    answer = await service.ask("/v1/metrics")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.json()["metrics"]) == 40_000


async def test_http_1_0_gets_the_same_document_up_to_the_connections_end(service, response):
    await big(service)
    answer = response(await service.raw(b"GET /v1/metrics HTTP/1.0\r\n\r\n"))
    assert "Transfer-Encoding" not in answer.headers
    assert len(answer.json()["metrics"]) == 40_000


async def test_an_empty_piece_does_not_end_the_answer(service):
    await big(service, BigEngine(3))
    answer = await service.ask("/v1/metrics?format=ndjson")
    assert answer.body.count(b"\n") == 3000
    assert answer.rest == b""


async def test_one_connection_serves_several_requests(service, response):
    await service.start()
    request = "GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n"
    data = request.format("/v1/metrics", "") + request.format("/livez", "Connection: close\r\n")
    first = response(await service.raw(data.encode()))
    assert first.json()["schema"] == "vitald.metrics/1"
    assert response(first.rest).json() == {"status": "pass"}


async def test_an_answer_that_fails_half_way_is_cut_and_never_looks_whole(service, caplog):
    class Failing(BigEngine):
        def rows(self):
            yield from super().rows()
            raise RuntimeError("lost")

    await big(service, Failing(3))
    with pytest.raises(IncompleteRead):
        await service.ask("/v1/metrics")
    assert "lost" in caplog.text
    assert (await service.ask("/livez")).status == 200


async def test_an_answer_that_fails_at_once_is_an_error_without_a_traceback(service, caplog):
    class Failing(BigEngine):
        def query(self, selector, window):
            raise RuntimeError("lost")

    await big(service, Failing())
    answer = await service.ask("/v1/metrics")
    assert answer.status == 500
    assert answer.json() == {"error": "cannot answer: an error in the sidecar, see its log"}
    assert "lost" in caplog.text


async def test_an_answer_that_takes_too_long_is_given_up(service):
    async def never(_):
        await asyncio.Event().wait()

    service.world.dashboard._response_times = never
    await service.start(limits={"deadline_seconds": 0.05})
    answer = await service.ask("/v1/stats")
    assert answer.status == 503
    assert answer.json() == {"error": "cannot GET /v1/stats: it takes too long"}


# Rubbish


@pytest.mark.parametrize(
    "data",
    [
        b"rubbish\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(100)) + b"\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Y: z\r\n" * 100_000 + b"\r\n",
        b"\n" * 100_000,
    ],
    ids=lambda data: repr(data[:24]),
)
async def test_rubbish_gets_one_json_error_or_the_door_and_fills_no_log(
    service, response, caplog, data
):
    await service.start(limits=IMPATIENT)
    with caplog.at_level(logging.DEBUG, "vitald"):
        try:
            found = await service.raw(data)
        except (ConnectionResetError, BrokenPipeError):
            found = b""
    if found:
        answer = response(found)
        assert answer.status in {400, 404, 431}
        assert answer.json()["error"].startswith("cannot ")
        assert answer.headers["Server"].startswith("vitald/")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert (await service.ask("/livez")).status == 200


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    st.binary(max_size=300)
    | st.builds(
        lambda target, headers: b"GET " + target + b" HTTP/1.1\r\n" + headers + b"\r\n\r\n",
        st.binary(min_size=1, max_size=60),
        st.binary(max_size=100),
    )
)
async def test_whatever_bytes_come_the_next_client_is_answered(service, data):
    if service.api is None:
        await service.start(limits=IMPATIENT)
    _, writer = await service.connect()
    writer.write(data)
    writer.close()
    assert (await service.ask("/livez")).status == 200


async def test_a_body_that_nobody_asked_for_is_refused_by_its_length(service):
    await service.start()
    answer = await service.ask("/v1/reload", "POST", "Content-Length: 100000\r\n")
    assert answer.status == 413
    assert answer.json()["error"].startswith("cannot POST /v1/reload: ")


async def test_a_small_body_is_ignored(service):
    await service.start()
    request = (
        b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert (await service.raw(request)).split()[1] == b"200"


# Half a request


@pytest.mark.parametrize(
    "data", [b"", b"G", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\n"]
)
async def test_a_client_that_sends_half_a_request_is_cut_off(service, data, until):
    await service.start(limits=IMPATIENT)
    assert await service.raw(data) == b""
    await until(lambda: not service.connections)


async def test_half_a_second_request_is_cut_off_like_half_a_first_one(service):
    await service.start(limits=IMPATIENT)
    data = await service.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /live")
    assert data.count(b"HTTP/1.1") == 1


async def test_a_slow_answer_is_not_taken_for_a_silent_client(service):
    async def slow(_):
        await asyncio.sleep(0.5)
        return []

    service.world.dashboard._response_times = slow
    await service.start(limits=IMPATIENT)
    assert (await service.ask("/v1/stats")).status == 200


async def test_a_client_that_sends_byte_by_byte_gains_no_time(service):
    await service.start(limits=IMPATIENT)
    reader, writer = await service.connect()

    async def trickle():
        for byte in b"GET /livez HTTP/1.1\r\nX: " + b"x" * 4000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    try:
        # With a byte on its way at that moment the end is an error.
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
    finally:
        trickling.cancel()
        writer.close()


async def test_a_client_that_sends_half_a_body_is_answered_and_cut_off(service):
    await service.start(limits=IMPATIENT)
    request = b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
    data = await service.raw(request)
    assert data.split()[1] == b"200"


# A client that does not read


async def test_a_client_that_never_reads_a_long_answer_is_cut_off(service, until):
    await big(service, **IMPATIENT)
    _, writer = await service.connect()
    writer.write(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: service.connections)
    assert (await service.ask("/livez")).status == 200
    await until(lambda: not service.connections)
    writer.close()


async def test_a_client_that_asks_on_and_on_and_never_reads_is_cut_off(service, make_report, until):
    service.world.reports = [make_report(f"c{n}", message="x" * 200) for n in range(100)]
    await service.start(limits=IMPATIENT)
    _, writer = await service.connect()
    writer.write(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    await until(lambda: service.connections)
    await until(lambda: not service.connections)
    writer.close()


async def test_what_waits_in_a_buffer_for_a_client_that_does_not_read_is_let_go(
    service, make_report, until
):
    """An answer that fits the buffers ends its request; the connection must end all the same."""
    service.world.reports = [make_report("c", message="x" * 20_000)]
    await service.start(limits=IMPATIENT)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.connect(str(service.path))
        await until(lambda: service.connections)
        (connection,) = service.connections
        transport = connection.transport

        def waits_for_its_reader():
            deaf.send(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            return transport.get_write_buffer_size() > 0

        await until(waits_for_its_reader)
        await until(lambda: not service.connections)


async def test_an_answer_that_fails_as_its_client_leaves_costs_no_log_line(caplog):
    async def answering():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionResetError from None

    outer = asyncio.create_task(by_deadline(answering(), None, Limits()))
    for _ in range(3):
        await asyncio.sleep(0)
    outer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await outer
    del outer
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []


async def test_memory_held_for_a_client_that_does_not_read_is_bounded(service, until):
    await big(service, stall_seconds=30.0)
    _, writer = await service.connect()
    writer.write(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: service.connections)
    (connection,) = service.connections
    sizes = []
    for _ in range(200):
        await asyncio.sleep(0)
        sizes.append(connection.transport.get_write_buffer_size())
    assert 0 < max(sizes) < 300_000
    writer.transport.abort()
    await until(lambda: not service.connections)


async def test_a_client_that_leaves_in_the_middle_costs_no_log_line(service, caplog, until):
    await big(service)
    with caplog.at_level(logging.WARNING):
        reader, writer = await service.connect()
        writer.write(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.read(1000)
        writer.transport.abort()
        await until(lambda: not service.connections)
    assert caplog.records == []


# Too many


async def test_a_connection_beyond_the_limit_is_refused_and_room_is_made_again(
    service, response, until
):
    await service.start(limits={"connections": 3})
    held = [await service.connect() for _ in range(3)]
    await until(lambda: len(service.connections) == 3)
    answer = response(await service.raw(b""))
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json() == {"error": "cannot answer: too many connections"}
    for _, writer in held:
        writer.close()
    await until(lambda: not service.connections)
    assert (await service.ask("/livez")).status == 200


async def test_all_places_taken_by_clients_that_do_nothing_are_free_again_soon(service, until):
    await service.start(limits={"connections": 4, **IMPATIENT})
    held = [await service.connect() for _ in range(4)]
    held[0][1].write(b"GET /v1/metr")
    held[1][1].write(b"\x00\xff")
    await until(lambda: not service.connections)
    assert (await service.ask("/livez")).status == 200
    for _, writer in held:
        writer.close()


async def test_stopping_does_not_wait_for_clients_that_hold_on(service, until):
    await big(service, stall_seconds=30.0, shutdown_seconds=0.05)
    _, idle = await service.connect()
    _, deaf = await service.connect()
    deaf.write(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: len(service.connections) == 2)
    await asyncio.wait_for(service.api.stop(), 10)
    assert not service.path.exists()
    for writer in (idle, deaf):
        writer.close()


async def test_a_refused_connection_is_json_too(service, response):
    await service.start(limits={"connections": 0})
    assert json.loads(response(await service.raw(b"")).body)["error"].startswith("cannot ")
