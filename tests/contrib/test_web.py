from __future__ import annotations

import enum
import subprocess
import sys
import textwrap
from time import perf_counter_ns

import pytest
from inbox import open_inbox
from web_metrics import requests_of

from vitald.client import Client
from vitald.contrib.web import http_recorder, template_of


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def recorder(inbox):
    return http_recorder(inbox.client)


def test_a_request_is_one_count_and_one_duration_in_seconds(inbox, recorder):
    recorder.record("GET", "/a", 200, perf_counter_ns() - 2_500_000_000)
    assert requests_of(inbox) == {"GET /a 200": 1}
    (samples,) = inbox.samples.values()
    assert 2.5 <= samples[0] < 10


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
)
def test_methods_of_the_standards_are_themselves(inbox, recorder, method):
    recorder.record(method, "/a", 200, 0)
    assert requests_of(inbox) == {f"{method} /a 200": 1}


@pytest.mark.parametrize("method", ["get", "BREW", "", "GET|#a", "G" * 9000])
def test_any_other_method_is_other(inbox, recorder, method):
    recorder.record(method, "/a", 200, 0)
    assert requests_of(inbox) == {"OTHER /a 200": 1}


@pytest.mark.parametrize("route", [None, "", 7, ["/a"], object()])
def test_what_is_no_template_is_unmatched(inbox, recorder, route):
    recorder.record("GET", route, 404, 0)
    assert requests_of(inbox) == {"GET unmatched 404": 1}


@pytest.mark.parametrize("status", [0, -1, 99, 1000, 10**20, None, 200.5, [200]])
def test_what_is_no_code_is_other(inbox, recorder, status):
    recorder.record("GET", "/a", status, 0)
    assert requests_of(inbox) == {"GET /a OTHER": 1}


class Code(int, enum.Enum):
    CREATED = 201

    def __str__(self):
        return "created"


def test_a_code_that_is_an_enums_member_is_its_number(inbox, recorder):
    recorder.record("GET", "/a", Code.CREATED, 0)
    recorder.record("GET", "/a", 201, 0)
    assert requests_of(inbox) == {"GET /a 201": 2}


def test_clients_cannot_make_series(inbox, recorder):
    for number in range(5000):
        recorder.record(f"METHOD{number}", None, 404, 0)
    assert requests_of(inbox) == {"OTHER unmatched 404": 5000}


def test_handles_are_bound_once_for_each_combination(inbox, recorder, monkeypatch):
    bound = []
    counter = Client.counter

    def counting(*arguments, **options):
        bound.append(options["tags"])
        return counter(*arguments, **options)

    monkeypatch.setattr(Client, "counter", counting)
    for _ in range(10):
        recorder.record("GET", "/a", 200, 0)
        recorder.record("BREW", "/a", 200, 0)
        recorder.record("ODD", "/a", 200, 0)
    assert [tags["method"] for tags in bound] == ["GET", "OTHER"]


def test_an_application_with_too_many_templates_is_counted_whole_and_bounded(inbox, recorder):
    for number in range(5000):
        recorder.record("GET", f"/{number}", 200, 0)
    assert len(recorder._handles) <= 2000
    assert sum(requests_of(inbox).values()) == 5000


def test_a_route_function_that_raises_makes_the_request_unmatched():
    assert template_of(lambda _: 1 / 0, {}) == "unmatched"


@pytest.mark.parametrize("module", ["asgi", "wsgi"])
def test_an_import_costs_nothing_but_the_module(module):
    source = f"""
        import sys

        before = set(sys.modules)
        import vitald.contrib.{module}

        print(*sorted(set(sys.modules) - before))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], check=True, capture_output=True, text=True
    )
    names = ["vitald", "vitald.contrib", f"vitald.contrib.{module}", "vitald.contrib.web"]
    assert set(done.stdout.split()) <= {*names, "__future__"}


def test_without_a_client_the_environment_says_where(monkeypatch):
    monkeypatch.setenv("VITALD_URL", "udp://127.0.0.1:9")
    recorder = http_recorder(None)
    assert str(recorder.client.target) == "udp://127.0.0.1:9"
    recorder.client.close()
