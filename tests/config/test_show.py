from __future__ import annotations

import textwrap

import pytest
import yaml

from vitald.config.load import built_in, read
from vitald.config.show import show


def test_the_effective_configuration_is_shown_with_defaults_marked(config, monkeypatch):
    monkeypatch.setenv("VITALD_SOCKET", "/run/x.sock")
    monkeypatch.setenv("TOKEN", "hunter2")
    loaded = config("""
    interval: 5s
    host: web-1
    state_dir: /var/lib/vitald
    listen: ["udp://127.0.0.1:1"]
    checks:
      p: {type: probe, token: {env: TOKEN}, url: "redis://:hunter2@h/0", headers: {A: hunter2}}
    forward:
      out: {type: probe, api_key: hunter2}
    """)
    assert show(loaded) == textwrap.dedent("""\
        # built-in default
        interval: 5s
        windows: [10s, 1m, 5m, 15m, 1h]  # default
        gauge_sign: delta  # default
        tag_formats: [graphite]  # default
        listen:
        - url: udp://127.0.0.1:1
          gauge_sign: delta
          tag_formats: [graphite]
          receive_buffer: 4MiB
          mode: '0600'
          readers: 1
        control_socket: /run/x.sock  # default
        http: 'off'  # default
        http_hosts: []  # default
        host: web-1
        state_dir: /var/lib/vitald
        limits:  # default
          series: 100000
          tags: 32
          name_length: 255
        series_expiry: 1h  # default
        set_exact_limit: 1000  # default
        histogram_scale: 6  # default
        engine: auto  # default
        shutdown_timeout: 5s  # default
        log_level: info  # default
        checks:
          p:
            type: probe
            interval: 30s
            timeout: 5s
            fail_after: 3
            recover_after: 2
            depends_on: []
            url: redis://:***@h/0
            token:
              env: TOKEN
            headers:
              A: '***'
            size: 1KiB
            text: x
            words: []
            ratio: 0.5
            times: 1
            loud: false
            color: red
            code: 0
            window:
              begin: 0
              end: 24
        forward:
          out:
            type: probe
            queue: 60
            timeout: 10s
            retry_initial: 1s
            retry_max: 1m
            max_age: 1h
            api_key: '***'
        """)


def test_no_secret_is_shown(config, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2")
    loaded = config("""
    checks:
      p: {type: probe, token: hunter2, url: "http://u:hunter2@h/?token=hunter2#hunter2"}
      q: {type: probe, token: {env: TOKEN}, headers: {A: hunter2, B: {env: TOKEN}}}
    forward:
      out: {type: probe, api_key: hunter2}
    """)
    assert "hunter2" not in show(loaded)


def test_what_is_shown_loads_as_the_same_configuration(config, monkeypatch, tmp_path):
    monkeypatch.setenv("TOKEN", "postgresql://u:hunter2@h/db")
    loaded = config("""
    interval: 2500ms
    windows: [5s, 12500ms]
    http: "[::1]:81"
    host: "yes"
    listen:
      - {url: "unix:///run/a b", mode: 0604, receive_buffer: 0, gauge_sign: absolute}
      - udp://[::]:1
    tag_formats: [influx, signalfx]
    checks:
      p: {type: probe, token: {env: TOKEN}, url: {env: TOKEN}, text: "0755", words: ["off", "5", é]}
      q: {type: probe, warning: 99.5%, latency: 7us, depends_on: [p], code: "x\\ty"}
    """)
    again = read(show(loaded).encode(), "again.yaml", tmp_path).config
    assert again.model_copy(update={"control_socket": None}) == loaded.config


def test_the_built_in_default_can_be_shown_and_loaded_again(tmp_path):
    loaded = built_in()
    again = read(show(loaded).encode(), "again.yaml", tmp_path).config
    assert again.model_copy(update={"control_socket": None}) == loaded.config


@pytest.mark.parametrize("text", ["\u202eevil", "\x85", "\ufeffx"])
def test_what_a_terminal_would_act_on_is_escaped(config, text):
    loaded = config(f"checks:\n  p: {{type: probe, text: {text!a}}}".replace("'", '"'))
    shown = show(loaded)
    assert shown.replace("\n", "").isprintable()
    assert yaml.safe_load(shown)["checks"]["p"]["text"] == loaded.config.checks[0].options.text
