"""The conformance corpus' datagrams (tests/data/README.md): what each adds to the books."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engines import assert_balanced, at

from vitald.wire.dialect import DEFAULT_DIALECT

CORPUS = Path(__file__).parents[1] / "data" / "datagrams.json"
ENTRIES = json.loads(CORPUS.read_text(encoding="utf-8"))
COUNTS = ("lines", "aggregated", "values", "late", "events", "service_checks")


def bytes_of(entry):
    return entry["bytes"].encode("latin-1") if "bytes" in entry else entry["datagram"].encode()


def dialect_of(entry):
    changed = dict(entry.get("dialect", {}))
    if "tag_formats" in changed:
        changed["tag_formats"] = frozenset(changed["tag_formats"])
    return DEFAULT_DIALECT._replace(**changed)


def books(ledger):
    counts = {name: getattr(ledger, name) for name in (*COUNTS, "rejected", "notes")}
    return {name: count for name, count in counts.items() if count}


def times(expected, factor):
    return {
        name: times(count, factor) if isinstance(count, dict) else count * factor
        for name, count in expected.items()
    }


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: repr(bytes_of(entry))[:60])
@pytest.mark.parametrize("received", [1, 3])
def test_a_datagram_is_entered_in_the_books_as_the_corpus_says(engine, entry, received):
    for _ in range(received):
        engine.ingest(
            bytes_of(entry), label="udp", cut=entry.get("cut", False), dialect=dialect_of(entry)
        )
    ledger = engine.ledger()
    assert books(ledger) == times(entry["ledger"], received)
    assert_balanced(ledger)
    engine.rotate(at(10))
    assert books(engine.ledger()) == times(entry["ledger"], received)
