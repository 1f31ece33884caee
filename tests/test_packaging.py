"""What pip makes of the sources, with a Rust toolchain and without one; and that it runs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from pathlib import Path

import pytest

import vitald

ROOT = Path(__file__).resolve().parent.parent
BUILDS = pytest.mark.server("cargo and a package index")
NATIVE = "vitald/_native.abi3.so"


def read(pattern, path):
    return re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)[1]


def test_all_parts_are_of_one_version():
    assert read(r'^version = "(.+)"', "pyproject.toml") == vitald.__version__
    assert read(r'^version = "(.+)"', "engine/Cargo.toml") == vitald.__version__


def test_all_parts_name_one_rust_and_one_oldest_python():
    rust = read(r'^rust-version = "(.+)"', "engine/Cargo.toml")
    for path in (
        "README.md",
        "docs/quickstart.md",
        "docs/deploying.md",
        "src/vitald/cli/probes.py",
    ):
        assert read(r"(1\.\d+) or newer", path) == rust, path
    python = read(r'^requires-python = ">=(.+)"', "pyproject.toml").replace(".", "")
    assert read(r'^ABI = "cp(.+)"', "setup.py") == python
    assert read(r'"abi3-py(\d+)"', "engine/python/Cargo.toml") == python


def run(*command, cwd, **environment):
    """Run to the end; its output is part of the failure."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module")
def no_rust(folder):
    """A PATH without a Rust toolchain, wherever this machine has one."""
    empty = folder / "nothing"
    empty.mkdir()
    return str(empty)


@pytest.fixture(scope="module")
def toolchain(folder):
    """Skip where there is no Rust that will do, or no index that pip can build from."""
    asked = {
        "cargo": [ROOT / "scripts" / "with-cargo", "test", "--help"],
        "the package index": [sys.executable, "-m", "pip", "download", "--no-deps", "setuptools"],
    }
    for what, command in asked.items():
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or "is not run" in done.stderr:
            message = f"{what}: {done.stderr.strip()}"
            if os.environ.get("VITALD_REQUIRE_SERVERS") == "1":
                pytest.fail(message, pytrace=False)
            pytest.skip(message)


@pytest.fixture(scope="module")
def sdist(folder, toolchain):
    out = folder / "sdist"
    run(sys.executable, "-m", "build", "--sdist", "--outdir", out, ROOT, cwd=folder)
    (archive,) = out.iterdir()
    return archive


@pytest.fixture(scope="module")
def tree(sdist, folder):
    """The unpacked sources: both wheels are built here, the native one first."""
    run(sys.executable, "-m", "tarfile", "-e", sdist, folder / "tree", cwd=folder)
    (tree,) = (folder / "tree").iterdir()
    return tree


def wheel(tree, out, **environment):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", out, tree]
    run(*command, cwd=out.parent, **environment)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def native_wheel(tree, folder):
    # With the crates that the suite has compiled already, where it has.
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "engine" / "target"))
    return wheel(tree, folder / "native", VITALD_BUILD_NATIVE="yes", CARGO_TARGET_DIR=target)


@pytest.fixture(scope="module")
def plain_wheel(native_wheel, tree, folder, no_rust):
    return wheel(tree, folder / "plain", PATH=no_rust, VITALD_BUILD_NATIVE="auto")


@pytest.fixture
def environment(tmp_path):
    """Make an empty virtual environment with one requirement; return its interpreter."""

    def install(requirement):
        python = tmp_path / "venv" / "bin" / "python"
        venv.create(tmp_path / "venv", with_pip=True)
        run(python, "-m", "pip", "install", "--quiet", requirement, cwd=tmp_path)
        return python

    return install


@BUILDS
def test_the_sdist_has_the_engines_sources_and_nothing_that_was_built(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = subprocess.run(
        ["git", "ls-files", "engine", ":!engine/fuzz"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    assert set(sources) <= names
    assert {"engine/Cargo.lock", "engine/core/src/lib.rs", "engine/python/src/lib.rs"} <= names
    assert {"pyproject.toml", "setup.py", "LICENSE", "src/vitald/_native.pyi"} <= names
    assert not [name for name in names if name.endswith(".so") or "/target/" in name]


@BUILDS
@pytest.mark.timeout(900)
def test_a_wheel_with_the_native_engine_serves_every_python(native_wheel):
    assert re.fullmatch(r"vitald-[\d.]+-cp310-abi3-linux_\w+\.whl", native_wheel.name)
    assert NATIVE in zipfile.ZipFile(native_wheel).namelist()


@BUILDS
@pytest.mark.timeout(900)
def test_without_rust_the_wheel_is_pure_also_where_one_was_built_before(plain_wheel):
    assert re.fullmatch(r"vitald-[\d.]+-py3-none-any\.whl", plain_wheel.name)
    names = zipfile.ZipFile(plain_wheel).namelist()
    assert "vitald/aggregator/python_engine.py" in names
    assert not [name for name in names if name.endswith(".so")]


@BUILDS
@pytest.mark.timeout(900)
def test_a_native_engine_that_is_demanded_and_cannot_be_built_is_an_error(tree, tmp_path, no_rust):
    with pytest.raises(AssertionError, match="can't find Rust compiler"):
        wheel(tree, tmp_path / "out", PATH=no_rust, VITALD_BUILD_NATIVE="yes")
    with pytest.raises(AssertionError, match="VITALD_BUILD_NATIVE=maybe is not auto, yes or no"):
        wheel(tree, tmp_path / "out", VITALD_BUILD_NATIVE="maybe")


@BUILDS
@pytest.mark.timeout(900)
def test_a_service_gets_the_client_and_statsd_and_nothing_else(plain_wheel, environment, tmp_path):
    python = environment(plain_wheel)
    listed = json.loads(run(python, "-m", "pip", "list", "--format=json", cwd=tmp_path))
    assert {each["name"] for each in listed} - {"pip", "setuptools"} == {"statsd", "vitald"}
    run(python, "-c", "from vitald import Client; Client().close()", cwd=tmp_path)


def answer(python, folder, engine):
    """Run a sidecar with an engine, send it lines, and return its stats, metrics and log."""
    (folder / "vitald.yaml").write_text(
        "listen: ['udp://127.0.0.1:0']\ninterval: 1s\nchecks: {}\ncontrol_socket: control.sock\n"
    )
    environment = {
        **os.environ, "VITALD_ENGINE": engine, "VITALD_SOCKET": str(folder / "control.sock"),
    }  # fmt: skip
    vitald_command = [python, "-m", "vitald"]
    log = folder / "log"
    with log.open("wb") as output:
        sidecar = subprocess.Popen(
            [*vitald_command, "run", "-c", "vitald.yaml"],
            cwd=folder, env=environment, stdout=output, stderr=output,
        )  # fmt: skip

    def ask(command):
        asked = [*vitald_command, command, "-o", "json"]
        return json.loads(run(*asked, cwd=folder, VITALD_SOCKET=environment["VITALD_SOCKET"]))

    try:
        wait_until(lambda: "control socket" in log.read_text(), log)
        port = int(re.search(r"udp://127\.0\.0\.1:(\d+)", log.read_text())[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"jobs:3|c\nwait:20|ms|#queue:mail\nx", ("127.0.0.1", port))
        wait_until(lambda: len(ask("metrics")["metrics"]) == 2, log)
        return ask("stats"), ask("metrics"), log.read_text()
    finally:
        sidecar.terminate()
        assert sidecar.wait(20) == 0, log.read_text()


def wait_until(condition, log):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@BUILDS
@pytest.mark.timeout(900)
def test_the_native_wheel_answers_in_an_empty_environment(native_wheel, environment, tmp_path):
    python = environment(f"{native_wheel}[sidecar]")
    where = run(python, "-c", "import vitald._native as n; print(n.__file__)", cwd=tmp_path)
    assert str(tmp_path) in where
    stats, metrics, log = answer(python, tmp_path, "native")
    assert "INFO vitald: engine native: VITALD_ENGINE says so\n" in log
    assert stats["engine"] == "native"
    assert {row["name"]: row["sum"] for row in metrics["metrics"]} == {"jobs": 3, "wait": 20}
    ledger = stats["ledger"]
    assert (ledger["lines"], ledger["rejected"]) == (3, {"malformed": 1})


@BUILDS
@pytest.mark.timeout(900)
def test_the_plain_wheel_answers_and_says_why_it_is_the_python_engine(
    plain_wheel, environment, tmp_path
):
    python = environment(f"{plain_wheel}[sidecar]")
    stats, metrics, log = answer(python, tmp_path, "auto")
    cause = "the native one is not built (No module named 'vitald._native')"
    assert f"INFO vitald: engine python: {cause}\n" in log
    assert (stats["engine"], stats["engine_reason"]) == ("python", cause)
    assert {row["name"]: row["sum"] for row in metrics["metrics"]} == {"jobs": 3, "wait": 20}
