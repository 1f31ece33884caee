"""The corpus of tests/data, which the native engine reads as well: both must answer the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vitald.metric import Event
from vitald.wire.dialect import Dialect
from vitald.wire.number import parse_number, parse_numbers
from vitald.wire.parse import REASONS, Rejected, parse_line

DATA = Path(__file__).parents[1] / "data"
LINES = {
    f"{path.stem}-{at}": entry
    for path in sorted((DATA / "lines").glob("*.json"))
    for at, entry in enumerate(json.loads(path.read_text("utf-8")))
}
NUMBERS = json.loads((DATA / "numbers.json").read_text("utf-8"))
GIVEN = ("line", "bytes", "dialect", "why")


def parse(entry):
    line = entry["line"].encode() if "line" in entry else entry["bytes"].encode("latin-1")
    choices = dict(entry.get("dialect", {}))
    if "tag_formats" in choices:
        choices["tag_formats"] = frozenset(choices["tag_formats"])
    return parse_line(line, Dialect(**choices))


def described(parsed):
    """What the corpus would say of a line: everything that is not at its default."""
    if isinstance(parsed, Rejected):
        return {"rejected": parsed.reason}
    notes = {"notes": list(parsed.notes)} if parsed.notes else {}
    if parsed.extended is None:
        return {"samples": [described_sample(sample) for sample in parsed.samples], **notes}
    defaults = type(parsed.extended)._field_defaults
    fields = {
        key: [list(tag) for tag in value] if key == "tags" else value
        for key, value in parsed.extended._asdict().items()
        if key not in defaults or value != defaults[key]
    }
    return {"event" if isinstance(parsed.extended, Event) else "check": fields, **notes}


def described_sample(sample):
    kind, name, tags = sample.key
    is_set = kind.value == "set"
    return {
        "type": kind.value,
        "name": name,
        **({"tags": [list(tag) for tag in tags]} if tags else {}),
        "values": [value.decode() for value in sample.values] if is_set else sample.values,
        **({"signed": list(sample.signed)} if any(sample.signed) else {}),
        **({"rate": sample.rate} if sample.rate != 1.0 else {}),
        **({} if sample.timestamp is None else {"timestamp": sample.timestamp}),
    }


def exact(value):
    """A text to compare: -0.0 and 0.0, or 1 and True, are equal as values."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("at", LINES)
def test_a_line_is_answered_as_the_corpus_says(at):
    expected = {key: value for key, value in LINES[at].items() if key not in GIVEN}
    assert exact(described(parse(LINES[at]))) == exact(expected)


def test_the_corpus_has_every_reason_and_note_of_the_parser():
    reasons = {entry.get("rejected") for entry in LINES.values()} - {None}
    notes = {note for entry in LINES.values() for note in entry.get("notes", ())}
    assert reasons == {*REASONS} - {"truncated"}
    assert notes == {
        "clamped_rate", "dropped_tag", "unknown_field", "ignored_timestamp", "bad_field"
    }  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS["valid"])
def test_a_number_is_read_to_the_last_bit(text):
    expected = repr(NUMBERS["valid"][text])
    assert repr(parse_number(text.encode())) == expected
    assert repr(parse_numbers([text.encode()])) == f"[{expected}]"


@pytest.mark.parametrize("text", NUMBERS["invalid"], ids=ascii)
def test_what_is_no_number_is_refused(text):
    assert parse_number(text.encode()) is None
    assert parse_numbers([b"1", text.encode()]) is None
