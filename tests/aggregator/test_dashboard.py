from __future__ import annotations

import asyncio
import csv
import io
import json
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vitald.aggregator.claims import Claims
from vitald.aggregator.dashboard import PERFORMANCE_KEYS, UnknownCheckError
from vitald.aggregator.exposition import SLICE
from vitald.aggregator.interval import Row
from vitald.aggregator.question import MetricsQuestion, metrics_question
from vitald.errors import UsageError
from vitald.metric import MetricType
from vitald.status import Status


class FakeAnswer:
    start, end, seconds, complete = 0.0, 60.0, 60.0, True

    def __init__(self, batches):
        self._batches = batches

    def rows(self):
        return iter(self._batches)


class FakeEngine:
    """Answers with given batches of rows, without the cost of aggregating them."""

    name = "fake"

    def __init__(self, batches):
        self._batches = batches

    def query(self, selector, window):
        return FakeAnswer(self._batches)


def ask(**parameters):
    return metrics_question(
        (name, value)
        for name, values in parameters.items()
        for value in (values if isinstance(values, list) else [values])
    )


async def metrics(world, collect, **parameters):
    return json.loads(await collect(world.dashboard.metrics(ask(**parameters))))


async def test_a_metrics_document_has_the_contracts_head_and_what_was_received(world, collect):
    await world.seal("jobs:3|c|#queue:mail", "jobs:2|c|#queue:mail")
    document = await metrics(world, collect)
    (entry,) = document.pop("metrics")
    assert document == {
        "schema": "vitald.metrics/1",
        "time": "2023-11-14T22:13:30.000Z",
        "host": "web1",
        "window_seconds": 60.0,
        "complete": False,
        "from": "2023-11-14T22:13:20.000Z",
        "to": "2023-11-14T22:13:30.000Z",
        "covered_seconds": 10.0,
        "shown": 1,
    }
    assert entry["tags"] == {"queue": "mail"}
    assert (entry["sum"], entry["count"], entry["rate"]) == (5, 2, 0.5)


async def test_before_the_first_interval_there_is_a_document_without_a_span(world, collect):
    world.take("jobs:1|c")
    document = await metrics(world, collect)
    assert document["metrics"] == []
    assert (document["from"], document["to"], document["complete"]) == (None, None, False)


async def test_only_what_is_selected_is_in_the_answer(world, collect):
    await world.seal("a.x:1|c|#q:1", "a.y:1|g|#q:1", "b.x:1|c|#q:1", "a.x:1|c|#q:2")
    document = await metrics(world, collect, name="a.*", type="counter", tag="q=1")
    assert [entry["name"] for entry in document["metrics"]] == ["a.x"]


async def test_a_window_beyond_the_longest_is_refused_before_anything_is_written(world):
    with pytest.raises(UsageError, match="longest window"):
        world.dashboard.metrics(ask(window="2h"))
    with pytest.raises(UsageError, match="longest window"):
        await anext(world.dashboard.metrics(ask(window="2h", format="prometheus")))


async def test_top_without_a_sort_means_the_largest_count(world, collect):
    await world.seal("few:1|c", *["many:1|c"] * 3, *["some:1|c"] * 2)
    document = await metrics(world, collect, top="2")
    assert [entry["name"] for entry in document["metrics"]] == ["many", "some"]


async def test_a_sort_by_a_quantile_puts_series_without_one_last(world, collect):
    await world.seal("slow:900|ms", "fast:1|ms", "jobs:1|c")
    document = await metrics(world, collect, sort="p99")
    assert [entry["name"] for entry in document["metrics"]] == ["slow", "fast", "jobs"]


async def test_ndjson_has_one_entry_a_line_and_csv_one_record(world, collect):
    await world.seal("b:1|c", "a:5|ms")
    lines = await collect(world.dashboard.metrics(ask(format="ndjson", sort="name")))
    assert [json.loads(line)["name"] for line in lines.splitlines()] == ["a", "b"]
    text = await collect(world.dashboard.metrics(ask(format="csv", sort="name")))
    records = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [record["name"] for record in records] == ["a", "b"]
    assert (records[0]["p50"], records[1]["p50"], records[1]["sum"]) == ("5", "", "1")


async def test_every_format_of_an_empty_answer_is_well_formed(world, collect):
    assert await collect(world.dashboard.metrics(ask(format="ndjson"))) == ""
    assert (await collect(world.dashboard.metrics(ask(format="csv")))).count("\r\n") == 1
    assert await collect(world.dashboard.metrics(ask(format="prometheus"))) == ""


async def test_prometheus_counters_grow_where_the_windows_answer_forgets(world, collect):
    for _ in range(8):
        await world.seal("jobs:1|c")
    page = await collect(world.dashboard.metrics(ask(format="prometheus", window="10")))
    assert "jobs_total 8\n" in page
    assert (await metrics(world, collect, window="10"))["metrics"][0]["sum"] == 1


async def test_the_scrape_page_has_our_own_families_and_everybody_elses(world, collect):
    await world.seal("jobs:1|c", "vitald_lines_total:9|c", "broken")
    page = await collect(world.dashboard.prometheus())
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert families["jobs"].samples[0].value == 1
    assert families["vitald_lines"].samples[0].value == 3
    assert families["vitald_lines_total_counter"].samples[0].value == 9


def batches_of(total):
    rows = [
        Row(MetricType.COUNTER, f"series.{n}", (("n", str(n)),), count=1.0, sum=float(n))
        for n in range(total)
    ]
    return [rows[start : start + 1000] for start in range(0, total, 1000)]


@pytest.mark.parametrize("sort", [None, "sum"])
@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
async def test_the_event_loop_has_its_turn_after_every_slice(world, form, sort):
    total = 5000
    dashboard = world.build(engine=FakeEngine(batches_of(total)))
    turns = 0
    done = False

    async def other():
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    longest = 0
    async for piece in dashboard.metrics(MetricsQuestion(sort=sort, format=form)):
        longest = max(longest, len(piece))
    done = True
    await task
    assert turns >= total / SLICE * (2 if sort else 1)
    assert longest < SLICE * 400


async def test_a_failure_of_the_engine_in_the_middle_ends_the_stream_with_it(world, collect):
    def batches():
        yield batches_of(1000)[0]
        raise RuntimeError("lost")

    class Failing(FakeEngine):
        def query(self, selector, window):
            answer = FakeAnswer(None)
            answer.rows = batches
            return answer

    dashboard = world.build(engine=Failing(None))
    with pytest.raises(RuntimeError, match="lost"):
        await collect(dashboard.metrics(MetricsQuestion()))


def test_health_is_the_worst_of_the_checks_asked_for(world, make_report):
    world.reports = [
        make_report("disk_root", Status.WARNING),
        make_report("disk_home"),
        make_report("db", Status.CRITICAL, label="unhealthy"),
    ]
    document = world.dashboard.health()
    assert document["schema"] == "vitald.health/1"
    assert (document["status"], document["code"]) == ("critical", 2)
    assert [check["label"] for check in document["checks"]] == ["warning", "healthy", "unhealthy"]
    document = world.dashboard.health(["disk_*"])
    assert (document["status"], len(document["checks"])) == ("warning", 2)


def test_health_without_checks_is_healthy(world):
    assert world.dashboard.health()["status"] == "healthy"


@pytest.mark.parametrize("format_", ["json", "ndjson", "csv"])
@pytest.mark.parametrize("sort", [None, "count"])
async def test_empty_batches_change_no_document(world, collect, format_, sort):
    rows = [Row(MetricType.COUNTER, name, (), 1.0, 2.0) for name in "abc"]
    question = MetricsQuestion(format=format_, sort=sort)
    plain, sparse = [
        await collect(world.build(engine=FakeEngine(batches)).metrics(question))
        for batches in ([rows[:2], rows[2:]], [[], [], rows[:2], [], rows[2:], []])
    ]
    assert sparse == plain
    assert plain.count("counter") == 3


@pytest.mark.parametrize("format_", ["json", "prometheus"])
async def test_the_event_loop_has_its_turn_after_a_batch_that_is_empty(world, collect, format_):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.ensure_future(count())
    empty = world.build(engine=FakeEngine([[]] * 1000))
    await collect(empty.metrics(MetricsQuestion(format=format_)))
    counting.cancel()
    assert turns >= 999


def test_a_check_that_does_not_exist_is_never_healthy(world, make_report):
    world.reports = [make_report("db")]
    with pytest.raises(UnknownCheckError, match="cannot show check dbb: there is none"):
        world.dashboard.health(["db", "dbb"])


async def test_stats_has_the_contracts_keys_and_all_of_performance(world):
    world.performance = {"cpu": {"usage_percent": 3.5}, "disk": [{"path": "/"}]}
    await world.seal("jobs:1|c")
    document = await world.dashboard.stats()
    assert document["schema"] == "vitald.stats/1"
    assert (document["engine"], document["engine_reason"]) == ("python", "")
    assert document["uptime_seconds"] == 10.0
    assert document["cpu"] == {"usage_percent": 3.5}
    assert document["disk"] == [{"path": "/"}]
    assert (document["memory"], document["disk_io"]) == ({}, [])
    assert document["ledger"]["lines"] == 1
    assert document["faults"] == []
    contract = {"time", "network", "response_times", "process", *PERFORMANCE_KEYS}
    assert contract <= set(document)


async def test_response_times_come_from_the_checks_own_durations(world, make_report):
    world.reports = [make_report("db", duration_seconds=0.5)]
    lines = [f"check_duration_seconds:{n / 100}|d|#check:db" for n in range(1, 101)]
    await world.seal(*lines, "check_duration_seconds:9|d|#check:api")
    api, db = (await world.dashboard.stats())["response_times"]
    assert (db["check"], db["last"], db["count"], db["max"]) == ("db", 0.5, 100, 1.0)
    assert db["p95"] == pytest.approx(0.95, rel=0.0055)
    assert (api["check"], api["last"], api["p50"]) == ("api", None, 9.0)


@pytest.mark.parametrize("error", [OSError("no /proc"), RuntimeError("no /proc")])
async def test_performance_that_cannot_be_read_is_named_and_hides_nothing_else(world, error):
    def fail():
        raise error

    document = await world.build(performance=fail).stats()
    assert document["faults"] == ["cannot read the machine's performance: no /proc"]
    assert document["cpu"] == {}
    assert document["ledger"]["lines"] == 0


async def test_performance_that_hangs_holds_neither_the_loop_nor_the_document(world):
    dashboard = world.build(performance=threading.Event().wait)
    dashboard._performance._timeout = 0.01
    document = await dashboard.stats()
    assert document["faults"] == ["cannot read the machine's performance: no answer in time"]


async def test_forwarders_and_what_else_the_ledger_knows_are_shown(world):
    world.forwarders = [{"name": "graphite", "sent": 3, "last_sent": 1_700_000_000.0}]
    world.extra = {"client_reported": {"dropped": 4}}
    document = await world.dashboard.stats()
    assert document["forwarders"][0]["last_sent"] == "2023-11-14T22:13:20.000Z"
    assert document["ledger"]["client_reported"] == {"dropped": 4}
    assert world.dashboard.ledger()["client_reported"] == {"dropped": 4}


async def test_the_ledger_has_all_clients_and_the_stats_the_worst(world):
    claims = Claims(world.clock.wall)
    dashboard = world.build(claims=claims)
    world.take(*(f"vitald.client.received:{n}|c|#client:web-{n}-aa" for n in range(40)))
    claims.observe(world.engine, world.engine.rotate(world.clock.advance(10.0)).end)
    assert len(dashboard.ledger()["clients"]) == 40
    in_stats = (await dashboard.stats())["ledger"]
    assert len(in_stats["clients"]) == 10
    assert in_stats["clients_total"] == dashboard.ledger()["clients_total"]
    assert in_stats["clients_total"]["received"] == sum(range(40))


async def test_an_export_is_one_document_with_all_the_others(world, collect, make_report):
    world.reports = [make_report("db")]
    world.events.add("sidecar", "started")
    await world.seal("jobs:1|c")
    document = json.loads(await collect(world.dashboard.export(MetricsQuestion())))
    assert document["schema"] == "vitald.export/1"
    assert [document[part]["schema"] for part in ("metrics", "health", "stats")] == [
        "vitald.metrics/1",
        "vitald.health/1",
        "vitald.stats/1",
    ]
    assert document["metrics"]["metrics"][0]["name"] == "jobs"
    assert document["events"][0]["title"] == "started"


async def test_the_sidecar_is_alive_as_long_as_intervals_are_sealed(world):
    world.clock.advance(30)
    assert world.dashboard.alive()[0]
    world.clock.advance(10)
    assert not world.dashboard.alive()[0]
    await world.seal()
    assert world.dashboard.alive()[0]


def test_ready_and_healthy_judge_what_the_world_is_like(world, make_report):
    world.reports = [make_report("db", Status.CRITICAL)]
    assert world.dashboard.ready()[0]
    assert not world.dashboard.healthy()[0]
    world.required = {"db"}
    assert not world.dashboard.ready()[0]
    world.required = set()
    world.missing = ["udp://127.0.0.1:8125 is not bound"]
    assert not world.dashboard.ready()[0]
