"""The examples of docs/forwarding.md work."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import yaml

from vitald.aggregator.forwarders.dispatcher import Dispatcher
from vitald.config.options import ForwarderOptions, arguments

TEXT = (Path(__file__).parents[3] / "docs" / "forwarding.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_example_configuration_is_valid():
    (text,) = blocks("yaml")
    kinds = {point.name: point for point in entry_points(group="vitald.forwarders")}
    for section in yaml.safe_load(text)["forward"].values():
        options = dict(section)
        kind = kinds[options.pop("type")].load()
        if "api_key" in options:
            options["api_key"] = "0123456789abcdef"
        kind(host="web", **arguments(kind.Options(**options), ForwarderOptions))


async def test_the_example_of_a_forwarder_delivers(tmp_path, make, time):
    (source,) = blocks("python")
    space = {"__name__": "example"}
    exec(compile(source, "forwarding.md", "exec"), space)
    kind = space["FileForwarder"]
    options = kind.Options(path=str(tmp_path / "out"))
    dispatcher = Dispatcher(clock=time)
    dispatcher.add("file", "file", kind(host="web", **arguments(options, ForwarderOptions)))
    dispatcher.submit(make.interval([make.counter("jobs", 7.0)]))
    await dispatcher.stop(5.0)
    assert (tmp_path / "out").read_text() == "1700000010 jobs 7.0\n"
