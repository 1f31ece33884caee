from __future__ import annotations

import pytest

from vitald.config import entries, plugins
from vitald.config.model import CheckEntry, ForwarderEntry


def test_an_entry_has_name_type_class_and_options(config):
    loaded = config("""
    checks:
      a: {type: probe, warning: 80%, interval: 1m}
      b: {type: probe}
    forward:
      out: {type: probe, api_key: hunter2, queue: 5}
    """)
    first, second = loaded.config.checks
    assert isinstance(first, CheckEntry)
    assert (first.name, first.type, first.plugin.__name__) == ("a", "probe", "ProbeCheck")
    assert (first.options.warning, first.options.interval) == (80.0, 60.0)
    assert second.name == "b"
    (out,) = loaded.config.forward
    assert isinstance(out, ForwarderEntry)
    assert out.options.api_key.get_secret_value() == "hunter2"
    assert out.options.queue == 5


NAME = "a name has letters, digits, _ . and - and at most 100 of them"
NO_SECTION = "must be a section of keys, like {type: …}"
NO_OPTIONS = "its Options is no subclass of CheckOptions"
NOT_THERE = "AttributeError: module 'acme_probe' has no attribute 'NotThere'"


@pytest.mark.parametrize(
    ("entry", "place", "message"),
    [
        ("a: {type: prob}", "2:11: checks.a.type", 'there is no check type "prob"; did you mean'),
        ("a: {warning: 5%}", "2:1: checks.a", 'the key "type" is missing; installed: absent, '),
        ("a: {}", "2:1: checks.a", 'the key "type" is missing; installed: absent, '),
        ("a: {type: }", "2:1: checks.a", "must name a type; installed: absent, "),
        ("a: {type: [x]}", "2:1: checks.a", "must name a type; installed: absent, "),
        ("a: {type: 5}", "2:1: checks.a", "must name a type; installed: absent, "),
        ("a:", "2:1: checks.a", NO_SECTION),
        ("a: probe", "2:1: checks.a", NO_SECTION),
        ("a: [type, probe]", "2:1: checks.a", NO_SECTION),
        ("a b: {type: probe}", '2:1: checks."a b"', NAME),
        ("-a: {type: probe}", "2:1: checks.-a", NAME),
        (
            "a: {type: missing}",
            "2:11: checks.a.type",
            f"cannot load check type missing (acme_probe:NotThere of acme-probe 1.2): {NOT_THERE}",
        ),
        (
            "a: {type: bare}",
            "2:11: checks.a.type",
            f"cannot use type bare (acme_probe:WithoutOptions of acme-probe 1.2): {NO_OPTIONS}",
        ),
        (
            "a: {type: wrong}",
            "2:11: checks.a.type",
            f"cannot use type wrong (acme_probe:WrongOptions of acme-probe 1.2): {NO_OPTIONS}",
        ),
        (
            "a: {type: probe, times: 13}",
            "2:1: checks.a",
            "cannot check the section: RuntimeError in its validator",
        ),
    ],
)
def test_a_wrong_entry_is_refused_at_its_place(faults, entry, place, message):
    (fault,) = faults(f"checks:\n {entry}\n")
    line, column, rest = place.split(":", 2)
    assert fault.startswith(f"{line}:{int(column) + 1}:{rest}: {message}")


@pytest.mark.parametrize("section", ["checks", "forward"])
def test_an_empty_section_is_a_fault_because_it_may_mean_two_things(faults, section):
    (fault,) = faults(f"{section}:\n")
    assert fault == (
        f"1:1: {section}: is empty: write {{}} for none, or leave the key out for the default"
    )


@pytest.mark.parametrize("value", ["5", "[a]", "none"])
def test_a_section_of_entries_is_a_section(faults, value):
    assert faults(f"checks: {value}") == ["1:1: checks: must be a section of names"]


def test_sections_can_be_shared_through_ignored_keys(config):
    loaded = config("""
    x-slow: &slow {interval: 5m, timeout: 1m}
    checks:
      a: {<<: *slow, type: probe}
      b: {<<: *slow, type: probe, timeout: 2m}
    """)
    assert [c.options.timeout for c in loaded.config.checks] == [60.0, 120.0]


def test_the_built_in_entries_are_valid():
    found = entries.built_in_entries(entries.CHECKS, {"x": {"type": "tcp", "url": "tcp://h:1"}})
    assert found[0].options.interval == 30.0


@pytest.mark.parametrize("kind", [entries.CHECKS, entries.FORWARD], ids=lambda kind: kind.section)
def test_every_built_in_type_describes_every_key(kind):
    for name in plugins.built_in(kind.group):
        options = entries.options_of(plugins.load(kind.group, name), kind)
        for field, info in options.model_fields.items():
            assert info.description, f"{name}.{field}"


URLS = [
    "hunter2",
    "nothing://u:hunter2@h",
    "http://u:hunter2@h:99999/",
    "http://u:hunter2@:x",
    "postgresql://u:hunter2@h/db?sslmode=hunter2&x",
    "mysql://u:hunter2@",
    "redis://:hunter2@h/hunter2",
    "sqlite://hunter2@/x",
    "tcp://u:hunter2@h",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("kind", [entries.CHECKS, entries.FORWARD], ids=lambda kind: kind.section)
def test_no_fault_of_a_built_in_type_repeats_a_secret(faults, kind, url):
    for name in plugins.built_in(kind.group):
        options = entries.options_of(plugins.load(kind.group, name), kind)
        secrets = [
            field
            for field, info in options.model_fields.items()
            if "Secret" in str(info.annotation)
        ]
        for field in secrets:
            text = f'{kind.section}:\n  x:\n    type: {name}\n    {field}: "{url}"\n'
            assert "hunter2" not in "\n".join(faults(text))
