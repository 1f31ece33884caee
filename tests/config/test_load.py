from __future__ import annotations

import os
import re
import textwrap
import threading
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitald.config import paths
from vitald.config.init import init
from vitald.config.load import built_in, load, read
from vitald.config.model import Config
from vitald.errors import ConfigError


def refusal(path: Path | None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value.faults


def test_a_file_is_loaded_with_its_path_and_the_places_of_its_keys(tmp_path):
    path = tmp_path / "vitald.yaml"
    path.write_text("interval: 5s\nlisten:\n  - udp://127.0.0.1:0\nchecks: {}\n")
    loaded = load(path)
    assert loaded.path == path
    assert loaded.config.interval == 5.0
    assert loaded.warnings == ()
    assert loaded.origins == {
        "interval": "1:1",
        "listen": "2:1",
        "listen[0]": "3:5",
        "checks": "4:1",
    }


def test_the_contracts_own_example_means_what_it_says(tmp_path, monkeypatch, probe):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1/db")
    key = tmp_path / "dd"
    key.write_text("0123456789abcdef\n")
    text = f"""
    listen:
      - udp://127.0.0.1:8125
      - unixgram:///run/vitald/statsd.sock
    interval: 10s
    http: off                          # 127.0.0.1:8127 when on
    state_dir: /var/lib/vitald
    limits: {{series: 100000, tags: 32, name_length: 255}}
    checks:
      root_disk:  {{type: disk, path: /, warning: 80%, critical: 90%, interval: 30s}}
      main_db:    {{type: database, url: {{env: DATABASE_URL}}, timeout: 2s}}
      docker:     {{type: docker}}
      api:        {{type: http, url: "http://127.0.0.1:8000/ready", warning: 200ms, critical: 1s}}
      legacy:     {{type: command, command: [/usr/lib/nagios/plugins/check_load, -w, "5"]}}
    forward:
      graphite:   {{type: graphite, url: "tcp://127.0.0.1:2003"}}
      datadog:    {{type: datadog, api_key: {{file: {key}}}}}
    """
    config = read(textwrap.dedent(text).encode(), "vitald.yaml", tmp_path).config
    assert [str(each.address) for each in config.listen] == [
        "udp://127.0.0.1:8125",
        "unixgram:///run/vitald/statsd.sock",
    ]
    assert config.http is None
    assert config.state_dir == Path("/var/lib/vitald")
    assert [check.name for check in config.checks] == [
        "root_disk", "main_db", "docker", "api", "legacy"
    ]  # fmt: skip
    database = config.checks[1].options
    assert database.url.get_secret_value() == "postgresql://u:p@127.0.0.1/db"
    assert database.timeout == 2.0
    assert config.forward[1].options.api_key.get_secret_value() == "0123456789abcdef"


def test_every_fault_of_a_wrong_file_comes_at_once_in_the_order_of_the_file(faults):
    text = """
    listen: [upd://127.0.0.1:8125]
    interval: 7x
    windows: [10s]
    htpp: off
    limits: {series: none, tags: -1}
    interval: 8s
    checks:
      a: {type: probe, timeout: 40s, depends_on: [b, zz]}
      b: {type: prob, depends_on: [a]}
      c:
        type: probe
        ulr: "http://x"
        warning: 80x
    forward:
      out: {type: probe, queue: 0}
    log_level: loud
    """
    assert faults(text) == [
        '2:10: listen[0]: "upd://127.0.0.1:8125" has an unknown scheme; did you mean "udp://"?',
        '3:11: interval: "7x" is no duration: write it like 10s, 200ms, 5m or 1h',
        '5:1: htpp: unknown key; did you mean "http"?',
        '6:18: limits.series: must be a whole number, not "none"',
        "6:30: limits.tags: must be at least 0",
        "7:1: interval: the key stands twice: first on line 3",
        "9:29: checks.a.timeout: must be shorter than the interval: 40s is not below 30s",
        "9:34: checks.a.depends_on: goes round in a ring: a (line 9) → b (line 10) → a",
        '9:50: checks.a.depends_on[1]: there is no check "zz"; configured: b, c',
        '10:13: checks.b.type: there is no check type "prob"; did you mean "probe"?',
        '13:5: checks.c.ulr: unknown key; did you mean "url"?',
        '14:14: checks.c.warning: "80x" is no percentage: write it like 80%',
        '16:3: forward.out: the key "api_key" is missing',
        "16:29: forward.out.queue: must be at least 1",
        '17:12: log_level: "loud" is not one of debug, info, warning, error',
    ]


def test_an_empty_file_is_the_default(tmp_path, monkeypatch):
    config = read(b"", "f", tmp_path).config
    assert config == built_in().config
    assert [check.name for check in config.checks] == ["disk", "memory", "cpu", "disk_io"]


def test_no_file_at_all_is_the_built_in_default(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "usual_config_files", lambda: (tmp_path / "nowhere",))
    monkeypatch.delenv("VITALD_CONFIG", raising=False)
    loaded = load()
    assert loaded.path is None
    assert loaded.config == built_in().config


def test_without_a_path_the_usual_places_are_searched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITALD_CONFIG", raising=False)
    Path("vitald.yaml").write_text("interval: 1s\nchecks: {}\n")
    assert load().path == Path("vitald.yaml")
    monkeypatch.setenv("VITALD_CONFIG", str(tmp_path / "other.yaml"))
    assert refusal(None) == [
        f"{tmp_path}/other.yaml: cannot read the configuration: no such file or directory"
    ]


def test_empty_sections_mean_none(tmp_path):
    config = read(b"checks: {}\nforward: {}\nlisten: []\n", "f", tmp_path).config
    assert (config.checks, config.forward, config.listen) == ((), (), ())


def test_a_file_that_cannot_be_read_is_refused_with_the_cause(tmp_path):
    assert refusal(tmp_path / "nowhere") == [
        f"{tmp_path}/nowhere: cannot read the configuration: no such file or directory"
    ]
    assert refusal(tmp_path) == [f"{tmp_path}: cannot read the configuration: is a directory"]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refusal(loop) == [
        f"{loop}: cannot read the configuration: too many levels of symbolic links"
    ]


def test_a_device_without_end_is_refused():
    assert refusal(Path("/dev/zero")) == ["/dev/zero:1:1: the file is larger than 1 MiB"]


def test_a_configuration_may_come_through_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"checks: {}\ninterval: 1s\n",))
    writer.start()
    assert load(pipe).config.interval == 1.0
    writer.join()


def test_a_path_with_control_characters_is_escaped_in_messages(tmp_path):
    path = tmp_path / "\x1b[31m.yaml"
    path.write_text("interval: x\nchecks: {}\n")
    (fault,) = refusal(path)
    assert "\x1b" not in fault
    assert "\\x1b[31m.yaml:1:11: interval: " in fault


def test_secrets_are_relative_to_the_file_and_missing_ones_are_faults_at_their_lines(
    tmp_path, monkeypatch, probe
):
    monkeypatch.delenv("VITALD_NOT_SET", raising=False)
    (tmp_path / "token").write_text("hunter2\n")
    path = tmp_path / "vitald.yaml"
    text = "checks:\n  p: {type: probe, token: {file: token}}\n"
    path.write_text(text)
    assert load(path).config.checks[0].options.token.get_secret_value() == "hunter2"
    path.write_text(text + "  q:\n    type: probe\n    token: {env: VITALD_NOT_SET}\n")
    assert refusal(path) == [
        f"{path}:5:5: checks.q.token: the environment variable VITALD_NOT_SET is not set"
    ]


def test_an_invisible_syntax_error_is_one_fault(tmp_path):
    path = tmp_path / "vitald.yaml"
    path.write_bytes(b"interval: 10s\n\tlisten: []\n")
    assert refusal(path) == [f"{path}:2:1: a tab stands here: indent with blanks"]


def test_faults_exit_with_65(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "nowhere")
    assert caught.value.exit_code == 65


# Whatever stands in the file: a Config, or a ConfigError whose every fault has a place.


def examine(data: bytes) -> None:
    faults = []
    try:
        assert isinstance(read(data, "f.yaml", Path("/etc")).config, Config)
    except ConfigError as error:
        faults = error.faults or ["none at all"]
    for fault in faults:
        assert re.match(r"f\.yaml:([1-9]\d*:[1-9]\d*: .| and \d+ more)", fault)
        assert fault.isprintable()


KEYS = [*Config.model_fields, "type", "url", "token", "headers", "words", "window", "depends_on",
        "x-y", "zzz", "timeout", "env", "file", "series", "<<"]  # fmt: skip
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(["probe", "tcp", "10s", "80%", "udp://127.0.0.1:1", "off", "1:30", "0755"]),
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=20,
)
files = st.dictionaries(st.sampled_from(KEYS), trees, max_size=6)

relaxed = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(files)
def test_any_tree_of_values_is_a_config_or_a_list_of_faults(probe, tree):
    examine(yaml.safe_dump({"checks": {}, **tree}).encode())


@relaxed
@given(st.binary(max_size=300))
def test_any_bytes_are_a_config_or_a_list_of_faults(probe, data):
    examine(data)


@relaxed
@given(st.data())
def test_a_damaged_example_is_a_config_or_a_list_of_faults(probe, data):
    text = init().encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    examine(text[:start] + data.draw(st.binary(max_size=10)) + text[end:])
