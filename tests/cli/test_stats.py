"""`vitald stats`: performance laid out by what its keys say."""

from __future__ import annotations

import json

import pytest

TEXT = """\
vitald 0.1.0 on web1, up 1h02m, engine python

CPU
interval     2.00s
usage        12.5%
user         10.0%
system        2.5%
iowait        0.2%
steal         0.0%
load 1        0.50
load 5        0.75
load 15       1.25
cores            4
quota cores      -
throttled        -
pressure      1.5%

MEMORY
scope             host
total          8.00GiB
usage bytes    3.00GiB
available      5.00GiB
usage percent    37.5%
swap total           -
oom kills            0

DISK
PATH   DEVICE    TYPE     SIZE  USAGE BYTES     FREE  USAGE PERCENT  INODES FREE  INODES USAGE
/      /dev/vda  ext4   100GiB      85.0GiB  15.0GiB          85.0%   16,260,796          3.0%
/data  /dev/vdb  xfs   1.00GiB           0B  1.00GiB           0.0%            -             -

DISK IO
DEVICE       READ   WRITE  READS  WRITES  BUSY  LATENCY
vda     1.00MiB/s  512B/s   16/s  2.50/s  3.2%   1.00ms

NETWORK
receive   2.00KiB/s
transmit  1.00KiB/s
errors          0/s
drops           0/s

NETWORK INTERFACES
INTERFACE   UP    RECEIVE   TRANSMIT  ERRORS  DROPS
eth0       yes  2.00KiB/s  1.00KiB/s     0/s    0/s

RESPONSE TIMES
CHECK      LAST  COUNT    MEAN     P50     P90     P95     P99     MAX
main_db  12.0ms     10  11.0ms  10.0ms  12.0ms  13.0ms  20.0ms  20.0ms

PROCESS
pid                  4242
rss               48.0MiB
cpu                  0.5%
open files             23
open files limit   20,000
threads                 2

FORWARDERS
NAME      TYPE      SUBMITTED  SENT  RETRIED  QUEUED  DROPPED EXPIRED  CONSECUTIVE FAILURES  LAST ERROR          LAST ERROR TIME           OLDEST QUEUED AGE
graphite  graphite         10     9        3       1                2                     1  connection refused  2026-03-01T12:00:00.000Z              12.5s

EVENTS
received  1
own       2

2,000 lines = 1,985 aggregated + 13 rejected + 2 shed  ✔ balanced
3 clients: 1,204 of 80,900 samples lost on the way (1.5%)
web-71-ab12cd: 1,204 of 80,000 samples lost on the way (1.5%)
"""  # noqa: E501  this is how it looks


def test_the_text(vitald, documents):
    assert vitald("stats") == (0, TEXT, "")


def test_a_terminal_shows_the_same_words(terminal, documents):
    session = terminal("stats", COLUMNS="200")
    assert session.wait() == 0
    for word in TEXT.split():
        assert word in session.output.decode()


def test_json_is_the_sidecars_own(vitald, documents):
    assert json.loads(vitald("stats", "-o", "json").out) == documents["stats"]


def test_what_could_not_be_read_is_said_first(vitald, sidecar):
    sidecar.says["GET /v1/stats"] = {"faults": ["cannot read the disk: I/O error\x1b[2J"]}
    assert vitald("stats").out.splitlines()[1] == "cannot read the disk: I/O error\\u001b[2J"


def test_a_section_that_is_new_is_shown_behind_the_known_ones(vitald, sidecar):
    sidecar.says["GET /v1/stats"] = {"gpu": {"used_bytes": 1024}, "cpu": {"usage_percent": 1}}
    assert vitald("stats").out.splitlines()[2:] == [
        "CPU",
        "usage  1.0%",
        "",
        "GPU",
        "used  1.00KiB",
    ]


def test_a_list_inside_a_section_becomes_a_table(vitald, sidecar):
    interfaces = [{"name": "eth0", "sent_bytes_per_second": 5}]
    sidecar.says["GET /v1/stats"] = {"network": {"errors": 0, "interfaces": interfaces}}
    lines = vitald("stats").out.splitlines()
    assert lines[2:] == [
        "NETWORK",
        "errors   0",
        "",
        "NETWORK INTERFACES",
        "NAME  SENT",
        "eth0  5B/s",
    ]


@pytest.mark.parametrize(
    "section",
    [
        None,
        [],
        {},
        "x",
        5,
        [None],
        [{}],
        [[]],
        {"a": {"b": {"c": 1}}},
        {"a": [1, None, "x"]},
        {"": 1},
    ],
)
def test_a_section_of_another_shape_is_shown_as_far_as_it_goes(vitald, sidecar, section):
    sidecar.says["GET /v1/stats"] = {"cpu": section, "disk": section, "extra": section}
    run = vitald("stats")
    assert (run.code, run.err) == (0, "")


def test_watching_shows_it_again_and_again(terminal, documents):
    session = terminal("stats", "--watch", "--interval", "10ms", "-o", "json")
    session.read_until(b"vitald.stats/1")
    session.read_until(b"vitald.stats/1")
    session.type(b"\x03")
    assert session.wait() == 130
