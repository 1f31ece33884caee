from __future__ import annotations

import re

from vitald.config.init import init
from vitald.config.load import built_in, read
from vitald.config.model import Config


def test_the_example_loads_and_means_the_built_in_default(tmp_path):
    loaded = read(init().encode(), "vitald.yaml", tmp_path, 0o644)
    assert loaded.config == built_in().config
    assert loaded.warnings == ()


def test_the_example_loads_with_everything_in_it_switched_on(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1/db")
    (tmp_path / "datadog").write_text("0123456789abcdef0123456789abcdef\n")
    text = re.sub(r"(?m)^( *)#(?! )", r"\1", init())
    assert "\n#listen" not in text
    text = text.replace("/run/secrets/datadog", str(tmp_path / "datadog"))
    config = read(text.encode(), "vitald.yaml", tmp_path).config
    assert len(config.listen) == 3
    assert len(config.checks) == 10
    assert [entry.type for entry in config.forward] == ["graphite", "datadog"]


def test_the_example_speaks_only_of_keys_that_exist():
    keys = re.findall(r"(?m)^#?([a-z_]+):", init())
    assert set(keys) <= set(Config.model_fields)
    assert len(keys) == len(set(keys))
