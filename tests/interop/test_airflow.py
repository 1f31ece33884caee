"""Airflow takes our client: the real `get_statsd_logger`, installed from PyPI.

Airflow is a hundred packages. It is installed without its dependencies, beside the few that its
metrics import, into an environment of its own in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from unittest.mock import ANY

import pytest

pytestmark = [
    pytest.mark.server("apache-airflow from PyPI"),
    # The first run on a machine installs it.
    pytest.mark.timeout(600),
]

SOURCES = Path(__file__).parents[2] / "src"
SENDER = Path(__file__).parent / "senders" / "send_airflow.py"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vitald"

AIRFLOW = "apache-airflow-core==3.3.2"
IMPORTED = [
    "PyYAML", "SQLAlchemy[asyncio]", "cryptography", "dill", "importlib-metadata", "jinja2",
    "jsonschema", "lazy-object-proxy", "methodtools", "opentelemetry-exporter-otlp", "packaging",
    "pathspec", "pendulum", "pluggy", "pydantic", "pygtrie", "python-dateutil", "statsd",
    "structlog", "typing-extensions", "uuid6",
]  # fmt: skip

LINES = 8
HEARD = {
    "airflow.ti.start.mail.send": ("counter", 3),
    "airflow.ti.running": ("counter", -1),
    "airflow.pool.open_slots": ("gauge", 128),
    "airflow.executor.drift": ("gauge", -3),
    "airflow.dagrun.duration.success.mail": ("timer", 1, 12.5, 12.5, 12.5),
    "airflow.dag_processing.total_parse_time": ("timer", 1, ANY, ANY, ANY),
}


def install(folder):
    """Make the environment aside and move it into place: a broken one is never found."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix="airflow-", dir=folder.parent))
    try:
        venv.create(aside, with_pip=True)
        pip = [aside / "bin" / "python", "-m", "pip", "install", "--quiet"]
        for requirements in (["--no-deps", AIRFLOW], IMPORTED):
            # Beside an Airflow without dependencies pip lists all that are missing.
            subprocess.run([*pip, *requirements], check=True, capture_output=True, text=True)
        aside.rename(folder)
    except OSError:
        if not folder.exists():  # else another worker was faster
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@pytest.fixture(scope="module")
def airflow():
    """Return the interpreter that has Airflow; skip, naming the cause, where there is none."""
    pins = f"{sys.version_info[:2]} {AIRFLOW} {IMPORTED}"
    folder = CACHE / f"airflow-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    if not folder.exists():
        try:
            install(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            cause = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
            message = f"{AIRFLOW} is not installed: {cause}"
            if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
                pytest.fail(message, pytrace=False)
            pytest.skip(message)
    return folder / "bin" / "python"


@pytest.fixture
def configured(tmp_path):
    """Make the environment of a configured Airflow."""

    def make(**options):
        return {
            "PYTHONPATH": str(SOURCES),
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            # Documented by Airflow: import it without a database.
            "_AIRFLOW__AS_LIBRARY": "1",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_CUSTOM_CLIENT_PATH": "vitald.client.StatsClient",
            **{f"AIRFLOW__METRICS__{name.upper()}": value for name, value in options.items()},
        }

    return make


async def test_airflow_takes_our_class_and_all_that_it_records_arrives(hear, airflow, configured):
    heard = await hear([airflow, SENDER], lines=LINES, environment=configured())
    assert heard.metrics == HEARD
    # A negative gauge is two lines that belong into one datagram.
    assert heard.ledger.datagrams_received == LINES - 1


async def test_airflow_over_ipv6(hear, airflow, configured):
    environment = configured(statsd_ipv6="True")
    heard = await hear([airflow, SENDER], lines=LINES, scheme="udp6", environment=environment)
    assert heard.metrics == HEARD


async def test_airflow_over_the_socket_of_statsd_socket_path(hear, airflow, configured):
    heard = await hear([airflow, SENDER], lines=LINES, scheme="unix", environment=configured())
    assert heard.metrics == HEARD
