from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from vitald.config.init import init
from vitald.config.load import built_in
from vitald.config.schema import schema
from vitald.config.show import effective


@pytest.fixture(scope="module")
def document(probe):
    return schema()


@pytest.fixture(scope="module")
def validator(document):
    return jsonschema.Draft202012Validator(document)


def test_the_schema_is_a_schema(document):
    jsonschema.Draft202012Validator.check_schema(document)
    assert json.loads(json.dumps(document)) == document


def test_the_schema_accepts_the_example_and_the_effective_default(validator):
    validator.validate(yaml.safe_load(init().replace("http: off", "http: 'off'")))
    validator.validate(effective(built_in().config))
    validator.validate(None)


@pytest.mark.parametrize(
    "tree",
    [
        {"interval": "10s", "x-mine": 5},
        {"interval": 10, "http": True},
        {"listen": ["udp://127.0.0.1:1", {"url": "unix:///x", "mode": "0666"}]},
        {"checks": {"a": {"type": "probe", "warning": "80%", "token": {"env": "A"}}}},
        {"checks": {"a": {"type": "tcp", "url": "tcp://127.0.0.1:1", "interval": "1h30m"}}},
        {"forward": {"a": {"type": "probe", "api_key": "x"}}},
    ],
)
def test_the_schema_accepts_what_is_right(validator, tree):
    validator.validate(tree)


@pytest.mark.parametrize(
    "tree",
    [
        {"intervall": "10s"},
        {"interval": "10x"},
        {"gauge_sign": "detla"},
        {"limits": {"series": 0}},
        {"listen": [{"url": "unix:///x", "mod": "0666"}]},
        {"checks": {"a": {"type": "prob"}}},
        {"checks": {"a": {"warning": "80%"}}},
        {"checks": {"a": {"type": "probe", "warnin": "80%"}}},
        {"checks": {"a b": {"type": "probe"}}},
        {"forward": {"a": {"type": "probe"}}},
    ],
)
def test_the_schema_refuses_what_is_wrong(validator, tree):
    assert list(validator.iter_errors(tree))


def test_every_key_in_the_schema_is_described(document):
    for name, described in document["properties"].items():
        assert described.get("description") or "$ref" in described, name


def test_a_broken_type_costs_nothing_but_its_own_keys(validator, document):
    validator.validate({"checks": {"a": {"type": "absent", "anything": 5}}})
    assert (
        "absent"
        in document["properties"]["checks"]["additionalProperties"]["properties"]["type"]["enum"]
    )


def test_notes_for_the_reference_page_are_not_in_the_schema(document):
    text = json.dumps(document)
    for note in ('"reload"', '"shown"', '"takes"', '"x-type"'):
        assert f"{note}:" not in text


def test_defaults_are_written_as_people_write_them(document):
    disk = document["$defs"]["checks.disk"]["properties"]
    assert (disk["interval"]["default"], disk["warning"]["default"]) == ("30s", "80%")
    assert document["$defs"]["Listener"]["properties"]["mode"]["default"] == "0600"
