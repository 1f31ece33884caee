from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest
from pydantic import SecretStr, ValidationError

from vitald.aggregator.forwarders.datadog import DatadogForwarder, retry_after
from vitald.config.options import ForwarderOptions, arguments
from vitald.errors import ForwardError
from vitald.metric import Event, ServiceCheck

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def forwarder(intake, authority, time):
    return DatadogForwarder(
        host="web", api_key=SecretStr(KEY), url=intake.url, ca_file=authority[0], clock=time
    )


@pytest.fixture
def interval(make):
    return make.interval(
        [make.counter("jobs", 7.0), make.gauge("depth", 2.5)],
        events=[Event("deploy", "v2"), Event("deploy", "v3")],
        service_checks=[ServiceCheck("db", 0)],
    )


async def test_one_interval_is_series_checks_and_events(forwarder, intake, interval):
    await forwarder.send(interval)
    paths = [path for path, _ in intake.accepted]
    assert paths == ["/api/v2/series", "/api/v1/check_run", "/api/v1/events", "/api/v1/events"]
    assert {item["metric"] for item in intake.series()} == {"jobs", "depth"}
    assert all(item["points"][0]["timestamp"] == 1_700_000_010 for item in intake.series())
    for _, headers, _, _ in intake.requests:
        assert headers["DD-API-KEY"] == KEY
        assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(("compression", "header"), [("deflate", "deflate"), ("zstd", "zstd1")])
async def test_series_travel_compressed(intake, authority, interval, time, compression, header):
    forwarder = DatadogForwarder(
        host="web",
        api_key=SecretStr(KEY),
        url=intake.url,
        ca_file=authority[0],
        compression=compression,
        clock=time,
    )
    await forwarder.send(interval)
    assert intake.requests[0][1]["Content-Encoding"] == header
    assert len(intake.series()) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_retryable(forwarder, intake, interval, status):
    intake.script.append((status, {"Retry-After": "17"}, "try later"))
    with pytest.raises(ForwardError, match=f"{status}.*try later") as caught:
        await forwarder.send(interval)
    assert caught.value.retryable
    assert caught.value.retry_after == 17.0


@pytest.mark.parametrize("status", [400, 404, 413, 415])
async def test_a_refused_request_is_not_retried_and_keeps_no_other_back(
    forwarder, intake, interval, status
):
    intake.script.append(status)
    with pytest.raises(ForwardError, match=f"/api/v2/series: {status}") as caught:
        await forwarder.send(interval)
    assert not caught.value.retryable
    paths = [path for path, _ in intake.accepted]
    assert paths == ["/api/v1/check_run", "/api/v1/events", "/api/v1/events"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_bad_key_says_so_and_stops_at_once(forwarder, intake, interval, status):
    intake.script.extend([status] * 4)
    with pytest.raises(ForwardError, match="the API key was refused") as caught:
        await forwarder.send(interval)
    assert not caught.value.retryable
    assert len(intake.requests) == 1


# Python 3.10 takes a TLS transport whose peer cut the connection for one that was never closed.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*_SSLProtocolTransport")
@pytest.mark.parametrize("fault", [503, "cut"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_a_retry_does_not_repeat_what_was_accepted(forwarder, intake, interval, place, fault):
    intake.script.extend([202] * place + [fault])
    with pytest.raises(ForwardError):
        await forwarder.send(interval)
    await forwarder.send(interval)
    paths = [path for path, _ in intake.accepted]
    assert paths == ["/api/v2/series", "/api/v1/check_run", "/api/v1/events", "/api/v1/events"]
    texts = [document["text"] for path, document in intake.accepted if path.endswith("events")]
    assert texts == ["v2", "v3"]


async def test_a_refusal_is_still_reported_when_a_later_attempt_delivers_the_rest(
    forwarder, intake, interval
):
    intake.script.extend([400, 503])
    with pytest.raises(ForwardError, match="503") as caught:
        await forwarder.send(interval)
    assert caught.value.retryable
    with pytest.raises(ForwardError, match="400") as caught:
        await forwarder.send(interval)
    assert not caught.value.retryable
    paths = [path for path, _ in intake.accepted]
    assert paths == ["/api/v1/check_run", "/api/v1/events", "/api/v1/events"]


async def test_a_cancelled_send_goes_on_where_it_was(forwarder, intake, interval):
    intake.script.extend([202, asyncio.Event()])
    sending = asyncio.ensure_future(forwarder.send(interval))
    await intake.received(2)
    sending.cancel()
    await asyncio.wait({sending})
    await forwarder.send(interval)
    assert [path for path, *_ in intake.requests].count("/api/v2/series") == 1


async def test_the_next_interval_is_sent_whole(forwarder, intake, interval, make):
    intake.script.extend([202, 503])
    with pytest.raises(ForwardError):
        await forwarder.send(interval)
    await forwarder.send(make.interval([make.counter("next")]))
    assert [item["metric"] for item in intake.series()] == ["jobs", "depth", "next"]


async def test_a_check_that_grew_too_old_while_waiting_is_left_out(
    forwarder, intake, interval, time
):
    intake.script.extend([202, 503])
    with pytest.raises(ForwardError):
        await forwarder.send(interval)
    time.wall += 601
    await forwarder.send(interval)
    paths = [path for path, _ in intake.accepted]
    assert paths == ["/api/v2/series", "/api/v1/events", "/api/v1/events"]
    assert forwarder.skipped == {"too_old": 1}


async def test_the_key_is_in_no_message_even_when_the_server_repeats_it(
    forwarder, intake, interval, caplog
):
    caplog.set_level(0)
    texts = [repr(forwarder), str(forwarder)]
    for status in (403, 500, 400):
        intake.script.append((status, {}, f"key {KEY} \x1b[31m is bad"))
        with pytest.raises(ForwardError) as caught:
            await forwarder.send(interval)
        texts.append(str(caught.value))
    assert all(KEY not in text for text in [*texts, caplog.text])
    assert all(text.isprintable() for text in texts)


async def test_a_redirect_is_not_followed(forwarder, intake, interval):
    intake.script.extend([(307, {"Location": f"{intake.url}/elsewhere"}, "")])
    with pytest.raises(ForwardError, match="307"):
        await forwarder.send(interval)
    assert "/elsewhere" not in [path for path, *_ in intake.requests]


async def test_a_certificate_of_an_unknown_authority_is_refused(intake, interval, time):
    forwarder = DatadogForwarder(host="web", api_key=SecretStr(KEY), url=intake.url, clock=time)
    with pytest.raises(ForwardError, match="certificate") as caught:
        await forwarder.send(interval)
    assert intake.requests == []
    assert KEY not in str(caught.value)


async def test_an_interval_without_anything_sends_nothing(forwarder, intake, make):
    await forwarder.send(make.interval())
    assert intake.requests == []


async def test_an_interval_beyond_one_payload_arrives_whole(forwarder, intake, make):
    rows = [make.gauge(f"g{i}", float(i), (("i", str(i)),)) for i in range(40_000)]
    await forwarder.send(make.interval(rows))
    assert len(intake.requests) > 1
    assert all(size <= 5_242_880 for *_, size in intake.requests)
    assert {item["metric"] for item in intake.series()} == {row.name for row in rows}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": formatdate(1000 + 45, usegmt=True)}, 45.0),
        ({"Retry-After": formatdate(10, usegmt=True)}, 0.0),
        ({"X-RateLimit-Reset": "12"}, 12.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers, seconds):
    assert retry_after(headers, 1000.0) == seconds


def test_its_options_build_it(time):
    options = DatadogForwarder.Options(api_key=KEY, site="datadoghq.eu", tags=["env:prod"])
    forwarder = DatadogForwarder(host="web", **arguments(options, ForwarderOptions))
    assert forwarder._base == "https://api.datadoghq.eu"
    assert KEY not in repr(options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"api_key": KEY, "site": "https://datadoghq.com"},
        {"api_key": KEY, "url": "ftp://x"},
        {"api_key": KEY, "url": "https://user:password@x"},
        {"api_key": KEY, "url": "https://x?key=1"},
        {"api_key": KEY, "url": "https://x:99999"},
        {"api_key": KEY, "compression": "lzma"},
        {"api_key": KEY, "percentiles": [-1]},
    ],
    ids=str,
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValidationError) as caught:
        DatadogForwarder.Options(**options)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nHost: x", "ключ"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key):
    with pytest.raises(ValueError, match="cannot use the Datadog API key") as caught:
        DatadogForwarder(host="web", api_key=SecretStr(key))
    assert not key or key not in str(caught.value)
