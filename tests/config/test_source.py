from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vitald.config import source
from vitald.config.faults import Position
from vitald.config.source import MAX_BYTES, parse


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request, monkeypatch):
    """Both parsers of PyYAML: the one in C is not there on every machine."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(source, "_Loader", getattr(yaml, request.param))


def values(text: str):
    root, faults = parse(text.encode())
    assert faults == []
    return root.plain()


def faults(data: str | bytes) -> list[tuple[int, int, str]]:
    data = data if isinstance(data, bytes) else data.encode()
    return [(f.at.line, f.at.column, f.message) for f in parse(data)[1]]


INDENTATION = "this does not belong to what is above: check the indentation"
COLON = 'a ":" is not expected here: check the indentation, and quote a text that has one'
TAB = "a tab stands here: indent with blanks"
NO_VALUE = "this character cannot begin a value: put the text in quotes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b: c", (1, 5, COLON)),
        ("a: b\n  c: d", (2, 4, COLON)),
        ("a:\n\t- x", (2, 1, TAB)),
        ("\ta: 1", (1, 1, TAB)),
        ("a:\n  b: 1\n c: 2", (3, 2, f"{INDENTATION} (begun on line 1)")),
        ("a:\n  - 1\n - 2", (3, 2, f"{INDENTATION} (begun on line 1)")),
        ("- 1\nb: 2", (2, 1, f"{INDENTATION} (begun on line 1)")),
        ('a: "x', (1, 6, "a quote is opened and not closed")),
        ("b: 1\na: 'x\nc: 1", (3, 5, "a quote is opened and not closed (begun on line 2)")),
        ('a: "\\q"', (1, None, "there is no such escape: use single quotes for a backslash")),
        ("a: @x", (1, 4, NO_VALUE)),
        ("a: %x", (1, 4, NO_VALUE)),
        ("a: ]", (1, 4, "a value is expected here: put a text that begins like this in quotes")),
        ("a:  - 1", (1, 5, 'a "-" is not expected here: begin the list on a line of its own')),
        ("a: *x", (1, 4, "the alias names an anchor that is not above it")),
        ("a: &x 1\nb: &x 2", (2, 4, "the anchor is defined twice (first on line 1)")),
        (
            "a: 1\nnot a key\n",
            (2, 1, 'a ":" is missing behind this key, or a quote is not closed'),
        ),
    ],
)
def test_a_syntax_error_is_one_fault_in_plain_words(text, expected):
    ((line, column, message),) = faults(text)
    line_, column_, message_ = expected
    assert (line, message) == (line_, message_)
    assert column_ in {None, column}


@pytest.mark.parametrize(("text", "closing"), [("a: [1, 2", "]"), ("a: {b: 1", "}")])
def test_an_open_bracket_is_named(text, closing):
    ((_, _, message),) = faults(text)
    assert message.startswith(f'a "," or the closing "{closing}" is missing')


def test_a_syntax_error_without_words_of_its_own_is_passed_on():
    ((line, column, message),) = faults("%YAML 99.1\n---\na: 1")
    assert (line, column) == (1, 1)
    assert message.startswith("cannot read the YAML: found incompatible YAML document")


def test_every_repeated_key_is_a_fault_that_names_the_first():
    text = "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\na: 5\n"
    assert faults(text) == [
        (5, 3, "the key stands twice: first on line 3"),
        (6, 1, "the key stands twice: first on line 1"),
        (7, 1, "the key stands twice: first on line 1"),
    ]


def test_keys_that_differ_in_spelling_only_by_quotes_are_the_same():
    assert faults("on: 1\n'on': 2") == [(2, 1, "the key stands twice: first on line 1")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: !!python/object/apply:os.system [ls]", "!!python/object/apply:os.system"),
        ("a: !!str 5", "!!str"),
        ("a: !env X", "!env"),
        ("!!map\na: 1", "!!map"),
    ],
)
def test_a_tag_is_refused_and_constructs_nothing(text, expected):
    ((line, _, message),) = faults(text)
    assert line == 1
    assert message == f"the tag {expected} has no meaning here: write the value alone"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("22:30", "22:30"),
        ("1:30:00", "1:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0755", 755),
        ("0o755", 0o755),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("1.10", 1.1),
        ("-5", -5),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 41, "9" * 41),
        ("~", None),
        ("null", None),
        ("", None),
        ("=", "="),
        ("'5'", "5"),
        ('"true"', "true"),
        ("|\n  5\n", "5\n"),
    ],
)
def test_scalars_are_read_as_yaml_1_2_reads_them(text, value):
    read = values(f"a: {text}")["a"]
    assert read == value
    assert isinstance(read, type(value))


@pytest.mark.parametrize("text", ["0755", "1.10", "1e3", "0x1F", "-0", "007"])
def test_a_number_keeps_its_spelling(text):
    assert str(values(f"a: {text}")["a"]) == text


def test_the_norway_key_is_a_text():
    assert values("no: 1\non: 2\n5: 3\n") == {"no": 1, "on": 2, "5": 3}


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"---\n", b"~", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_empty_section(data):
    root, found = parse(data)
    assert (root.value, found) == ({}, [])


@pytest.mark.parametrize("text", ["5", "- a", "just words"])
def test_a_file_must_be_a_section(text):
    expected = (1, 1, "the file must be a section of keys, like interval: 10s")
    assert faults(text) == [expected]


def test_a_second_document_is_a_fault():
    assert faults("a: 1\n---\nb: 2") == [(2, 1, "the file has a second document: only one is read")]


def test_a_key_that_is_no_scalar_is_a_fault():
    assert faults("? [a]\n: 1") == [(1, 3, "a key must be one word")]


def test_bytes_that_are_not_utf_8_are_a_fault_at_their_character():
    assert faults("a: 1\nä: ".encode() + b"\xff") == [(2, 4, "the file is not UTF-8: byte 0xff")]
    assert faults("a: 1".encode("utf-16")) == [(1, 1, "the file is not UTF-8: byte 0xff")]


def test_a_byte_order_mark_is_no_fault():
    assert parse(b"\xef\xbb\xbfa: 1")[0].plain() == {"a": 1}


def test_control_characters_are_faults_at_their_places():
    assert faults("a: \x07\nb: \x1b[31m\x00") == [
        (1, 4, "the control character U+0007 may not stand in the file"),
        (2, 4, "the control character U+001B may not stand in the file"),
        (2, 9, "the control character U+0000 may not stand in the file"),
    ]


def test_an_escaped_nul_is_a_fault():
    assert faults('a: "x\\0y"') == [(1, 4, "the text may not contain U+0000")]


def test_a_file_beyond_a_mebibyte_is_refused_unread():
    assert faults(b"#" * MAX_BYTES) == []
    assert faults(b"[" * (MAX_BYTES + 1)) == [(1, 1, "the file is larger than 1 MiB")]


def test_deep_nesting_is_refused_before_anything_recursive_sees_it():
    started = time.monotonic()
    expected = (1, 33, "more than 32 sections and lists within each other")
    assert faults("[" * 500_000) == [expected]
    assert time.monotonic() - started < 5


def test_aliases_that_multiply_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    started = time.monotonic()
    assert faults("\n".join(lines)) == [
        (1, 1, "more than 50000 values, those repeated by aliases included")
    ]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x {b: *x}", "a: &x\n  <<: *x"])
def test_an_alias_to_what_it_stands_in_is_a_fault(text):
    ((line, _, message),) = faults(text)
    assert line == 1
    assert message == "an alias makes more than 32 sections and lists within each other"


def test_aliases_and_merges_repeat_what_they_name():
    text = """
a: &a {x: 1, y: 2}
b: &b {y: 3, z: 4}
c: *a
d:
  <<: [*a, *b]
  x: 9
"""
    read = values(text)
    assert read["c"] == {"x": 1, "y": 2}
    assert read["d"] == {"x": 9, "y": 2, "z": 4}


def test_a_merged_key_stands_where_it_is_written():
    root, _ = parse(b"a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n")
    assert root.locate(("b", "x")) == (("b", "x"), Position(1, 11))
    assert root.locate(("b", "y")) == (("b", "y"), Position(4, 6))


def test_only_sections_can_be_merged():
    assert faults("a: {<<: 3}") == [(1, 9, "<< can only repeat sections, like <<: *other")]


def test_a_scalar_is_where_it_stands_and_a_section_where_its_key_stands():
    root, _ = parse(b"checks:\n  api:\n    url: x\n    codes: [1, 22]\n")
    assert root.locate(("checks", "api")) == (("checks", "api"), Position(2, 3))
    assert root.locate(("checks", "api", "url"))[1] == Position(3, 10)
    assert root.locate(("checks", "api", "codes", 1))[1] == Position(4, 16)
    assert root.key(("checks", "api", "url")) == Position(3, 5)


def test_parts_that_the_file_does_not_have_are_passed_over():
    root, _ = parse(b"a: {b: 1}\n")
    assert root.locate(("a", "function-before", "b", "int")) == (("a", "b"), Position(1, 8))
    assert root.locate(("nothing",)) == ((), Position(1, 1))


yamlish = st.lists(
    st.sampled_from(
        ["a", "b", ":", " ", "\n", "  ", "- ", "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "'",
         '"', "\\", "<<", "|", ">", "#", "?", "%", "\t", "---\n", "...\n", "é", "\x00", "0", "~"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("name", ["CSafeLoader", "SafeLoader"])
@settings(max_examples=300)
@given(data=st.one_of(st.binary(max_size=200), yamlish.map(str.encode)))
def test_nothing_that_is_read_raises_and_every_fault_has_a_place_in_the_file(name, data):
    source._Loader = getattr(yaml, name, yaml.SafeLoader)
    root, found = parse(data)
    assert isinstance(root.plain(), dict)
    lines = data.decode("utf-8", "replace").count("\n") + 2
    for fault in found:
        assert fault.at.line >= 1
        assert fault.at.column >= 1
        assert fault.at.line <= lines + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(
            b"\xe2\x80"
        )
