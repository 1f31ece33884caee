"""What holds for every line; what each line gets is in tests/data, see test_conformance."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vitald.wire.parse import REASONS, Line, parse_line

LINES = [
    entry["line"].encode()
    for path in sorted((Path(__file__).parents[1] / "data" / "lines").glob("*.json"))
    for entry in json.loads(path.read_text("utf-8"))
    if "line" in entry
]


@given(st.binary(max_size=300))
def test_random_bytes_never_raise(line):
    parsed = parse_line(line)
    assert isinstance(parsed, Line) or parsed.reason in REASONS


@given(
    st.sampled_from(LINES),
    st.integers(0, 60),
    st.binary(max_size=4),
    st.sampled_from(["insert", "replace", "delete"]),
)
def test_mutated_lines_never_raise(line, at, noise, how):
    keep = at + (len(noise) if how != "insert" else 0)
    mutated = line[:at] + (noise if how != "delete" else b"") + line[keep:]
    parsed = parse_line(mutated)
    assert isinstance(parsed, Line) or parsed.reason in REASONS


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives_the_wire(value):
    parsed = parse_line(f"a:{value!r}|ms".encode())
    assert isinstance(parsed, Line)
    assert parsed.samples[0].values == [value]
