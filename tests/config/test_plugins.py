from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from vitald.config import plugins
from vitald.config.load import read
from vitald.config.plugins import CHECKS, FORWARDERS, PluginError, find, load, names
from vitald.errors import ConfigError

CHECK = "class Check: pass\n"


def refusal(group: str, name: str) -> str:
    with pytest.raises(PluginError) as caught:
        load(group, name)
    return str(caught.value)


def test_a_type_of_another_distribution_is_found_and_loaded(probe):
    assert find(CHECKS, "probe") == ("probe", f"{probe}:ProbeCheck", "acme-probe", "1.2")
    assert load(CHECKS, "probe").__name__ == "ProbeCheck"
    assert load(FORWARDERS, "probe").__name__ == "ProbeForwarder"


def test_names_are_those_of_all_distributions_sorted(probe):
    found = names(CHECKS)
    assert found == sorted(found)
    assert {"probe", "disk", "http"} <= set(found)


def test_built_in_names_are_vitalds_own(probe):
    assert "probe" not in plugins.built_in(CHECKS)
    assert {"disk", "memory", "cpu", "disk_io"} <= set(plugins.built_in(CHECKS))


def test_nobody_can_take_a_name_of_vitald(probe):
    assert find(CHECKS, "disk").distribution == "vitald"


def test_an_unknown_type_gets_the_nearest_name(probe):
    assert refusal(CHECKS, "prob") == 'there is no check type "prob"; did you mean "probe"?'
    assert refusal(FORWARDERS, "grafite") == (
        'there is no forwarder type "grafite"; did you mean "graphite"?'
    )
    assert refusal(CHECKS, "\x1b").startswith('there is no check type "\\x1b"; installed: ')


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("number", "it is no class"),
        ("missing", "AttributeError: module 'acme_probe' has no attribute 'NotThere'"),
        ("absent", "ModuleNotFoundError: No module named 'acme_probe_absent'"),
        ("stops", "SystemExit: 3"),
    ],
)
def test_a_broken_type_names_distribution_and_version(probe, name, cause):
    target = find(CHECKS, name).target
    expected = f"cannot load check type {name} ({target} of acme-probe 1.2): {cause}"
    assert refusal(CHECKS, name) == expected


def test_a_type_that_is_installed_while_the_sidecar_runs_is_found_at_the_next_load(site):
    text = b"checks: {a: {type: later}}"
    with pytest.raises(ConfigError, match='no check type "later"'):
        read(text, "f", site.path)
    entry_points = "[vitald.checks]\nlater = acme_later:Check\n"
    module = "from vitald.config.options import CheckOptions\n\n"
    module += "class Check:\n    Options = CheckOptions\n"
    site.install("acme-later", "1", entry_points, acme_later=module)
    assert read(text, "f", site.path).config.checks[0].plugin.__module__ == "acme_later"


def test_thousands_of_unknown_types_are_refused_in_seconds(site):
    text = b"checks:\n" + b"".join(b" c%d: {type: x%d}\n" % (n, n) for n in range(5000))
    started = time.monotonic()
    with pytest.raises(ConfigError):
        read(text, "f", site.path)
    assert time.monotonic() - started < 20


def test_of_two_distributions_with_one_name_the_first_by_name_wins(site):
    for name in ("zeta-checks", "acme-checks"):
        module = name.replace("-", "_")
        site.install(name, "1", f"[vitald.checks]\ntwin = {module}:Check\n", **{module: CHECK})
    plugins.refresh()
    assert find(CHECKS, "twin").distribution == "acme-checks"


def test_the_rest_of_a_broken_installation_is_passed_over(site):
    broken = site.path / "broken-1.dist-info"
    broken.mkdir()
    (broken / "entry_points.txt").write_text("[vitald.checks]\nlost = lost:Check\n")
    plugins.refresh()
    assert "lost" in names(CHECKS)
    assert refusal(CHECKS, "lost").startswith("cannot load check type lost (lost:Check of ")


def test_a_file_imports_only_the_types_that_it_uses(tmp_path):
    code = """if True:
        import sys
        from pathlib import Path
        from vitald.config.load import read
        read(b"checks: {a: {type: tcp, url: 'tcp://127.0.0.1:22'}}", "f", Path())
        loaded = {name for name in sys.modules if name.startswith("vitald.checks.")}
        assert "vitald.checks.tcp" in loaded
        print(sorted(loaded & {"vitald.checks.database", "vitald.checks.docker",
                               "vitald.checks.disk", "vitald.checks.http"}),
              sorted({"psutil", "docker", "aiohttp", "sqlalchemy"} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert (done.stdout, done.stderr) == ("[] []\n", "")
