"""Every way a value can be wrong, with the exact line that users see."""

from __future__ import annotations

import pytest

PROBE = "checks:\n p: {{type: probe, {}}}\n"
EITHER = (
    '"5x" is no duration: write it like 10s, 200ms, 5m or 1h, or: '
    '"5x" is no percentage: write it like 80%'
)
ADDRESSES = "write udp://HOST:PORT, tcp://HOST:PORT, unixgram:///PATH or unix:///PATH"
COLUMN = len(" p: {type: probe, ") + 1


@pytest.mark.parametrize(
    ("option", "key", "message"),
    [
        ("times: many", "times", 'must be a whole number, not "many"'),
        ("times: 1.5", "times", 'must be a whole number, not "1.5"'),
        ("times: true", "times", "must be a number, not true"),
        ("ratio: False", "ratio", "must be above 0"),
        ("times: [1]", "times", "must be a whole number, not a list"),
        ("times: 22:30", "times", 'must be a whole number, not "22:30"'),
        ("times: ''", "times", 'must be a whole number, not ""'),
        ("times: ~", "times", "has no value: give it one, or leave the key out"),
        ("ratio: half", "ratio", 'must be a number, not "half"'),
        ("ratio: 0", "ratio", "must be above 0"),
        ("ratio: 1", "ratio", "must be below 1"),
        ("ratio: .inf", "ratio", 'must be a number, not ".inf"'),
        ("ratio: .nan", "ratio", 'must be a number, not ".nan"'),
        ("loud: maybe", "loud", 'must be true or false, not "maybe"'),
        ("loud: 5", "loud", 'must be true or false, not "5"'),
        ("loud: [yes]", "loud", "must be true or false, not a list"),
        ("text: true", "text", 'must be a text: put it in quotes: "true"'),
        ("text: [a]", "text", "must be a text, not a list"),
        ("text: {a: b}", "text", "must be a text, not a section"),
        ("text: ''", "text", "must have at least 1 characters"),
        ("text: 123456789", "text", "must have at most 8 characters"),
        ("words: a", "words", "must be a list: put it in [ ]"),
        ("words: {a: b}", "words", "must be a list"),
        ("words: [a, b, c, d]", "words", "must have at most 3 in the list"),
        ("window: 5", "window", "must be a section of keys"),
        ("window: [5]", "window", "must be a section of keys"),
        ("headers: hunter2", "headers", "must be a section of keys"),
        ("color: gren", "color", '"gren" is not one of red, green; did you mean "green"?'),
        ("color: blue", "color", '"blue" is not one of red, green'),
        ("color: 5", "color", '"5" is not one of red, green'),
        ("color: [red]", "color", "a list is not one of red, green"),
        ("size: 8KiB", "size", "must be at most 4096"),
        ("size: 64K", "size", '"64K" is no size: K may mean 1000 or 1024: write 64KiB or 64kB'),
        ("warning: 120%", "warning", '"120%" is no percentage: it must be from 0% to 100%'),
        ("interval: 1:30", "interval", '"1:30" is no duration: write it like 10s, 200ms, 5m or 1h'),
        ("interval: 0", "interval", "must be above 0"),
        ("timeout: 30s", "timeout", "must be shorter than the interval: 30s is not below 30s"),
        ("fail_after: 0", "fail_after", "must be at least 1"),
        ("fail_after: 2000", "fail_after", "must be at most 1000"),
        (
            "latency: 5x",
            "latency",
            EITHER,
        ),
        ("token: ''", "token", "the secret is empty"),
        (
            "token: {env: VITALD_NOT_SET}",
            "token",
            "the environment variable VITALD_NOT_SET is not set",
        ),
        ("url: hunter2", "url", "is no URL: it must begin with a scheme, like postgresql://"),
    ],
)
def test_a_wrong_value_is_a_fault_at_its_place_in_plain_words(faults, option, key, message):
    found = faults(PROBE.format(option))
    name, _, value = option.partition(":")
    section = value.lstrip().startswith(("[", "{"))
    column = COLUMN + (0 if section else len(name) + 1 + len(value) - len(value.lstrip()))
    assert found == [f"2:{column}: checks.p.{key}: {message}"]


@pytest.mark.parametrize(
    ("option", "place", "message"),
    [
        ("intervall: 5s", "intervall", 'unknown key; did you mean "interval"?'),
        ("depends-on: [p]", "depends-on", 'unknown key; did you mean "depends_on"?'),
        ("window: {begn: 1}", "window.begn", 'unknown key; did you mean "begin"?'),
        ("window: {zzz: 1}", "window.zzz", "unknown key; known: begin, end"),
        ("window: {begin: true}", "window.begin", "must be a number, not true"),
        ("window: {begin: 24}", "window.begin", "must be at most 23"),
        ("words: [a, [b]]", "words[1]", "must be a text, not a list"),
        ("headers: {A: {env: VITALD_NOT_SET}}", "headers.A", "the environment variable"),
    ],
)
def test_a_fault_inside_a_section_is_named_by_its_whole_place(faults, option, place, message):
    (fault,) = faults(PROBE.format(option))
    assert f": checks.p.{place}: {message}" in fault


def test_a_key_without_a_value_is_a_fault(faults):
    assert faults("interval:\nlog_level: ~\n") == [
        "1:10: interval: has no value: give it one, or leave the key out",
        "2:12: log_level: has no value: give it one, or leave the key out",
    ]


def test_a_missing_key_is_a_fault_at_the_section(faults):
    assert faults("forward:\n  out: {type: probe}\n") == [
        '2:3: forward.out: the key "api_key" is missing'
    ]


def test_keys_that_do_not_go_together_are_a_fault_at_the_section(faults):
    assert faults(PROBE.format("loud: yes, color: green")) == ["2:2: checks.p: green is never loud"]


def test_an_unknown_key_at_the_top_gets_the_nearest_one(faults):
    assert faults("intervall: 5s\nlimits: {serie: 5}\n") == [
        '1:1: intervall: unknown key; did you mean "interval"?',
        '2:10: limits.serie: unknown key; did you mean "series"?',
    ]


def test_a_faulty_listener_is_named_by_its_number(faults):
    text = "listen:\n  - upd://127.0.0.1\n  - {url: unix://x, mode: 9, receive_buffr: 1}\n  - 5\n"
    assert faults(text) == [
        '2:5: listen[0]: "upd://127.0.0.1" has an unknown scheme; did you mean "udp://"?',
        '3:11: listen[1].url: "unix://x" has no absolute path: write unix:///x',
        '3:27: listen[1].mode: "9" is no permission: write it like 0660',
        '3:30: listen[1].receive_buffr: unknown key; did you mean "receive_buffer"?',
        f'4:5: listen[2]: "5" is no address: {ADDRESSES}',
    ]


def test_a_text_takes_a_number_as_it_is_written(config):
    loaded = config("checks:\n p: {type: probe, text: 0.10, words: [007, 1e3], code: 7}\n")
    options = loaded.config.checks[0].options
    assert (options.text, options.words, options.code) == ("0.10", ("007", "1e3"), 7)
    assert type(options.code) is int


@pytest.mark.parametrize("word", ["on", "yes", "true", "True"])
def test_a_switch_takes_the_words_of_yaml_1_1(config, word):
    assert config(f"checks:\n p: {{type: probe, loud: {word}}}").config.checks[0].options.loud


def test_the_message_of_a_plug_in_cannot_act_on_a_terminal(faults):
    (fault,) = faults('checks:\n p: {type: probe, interval: "\\e[31m"}\n')
    assert "\x1b" not in fault
    assert '"\\x1b[31m" is no duration' in fault
