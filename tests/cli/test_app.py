"""The root of the command line: exit codes, errors in one line, nothing imported in vain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import click
import pytest

from vitald import __version__
from vitald.cli.app import COMMANDS
from vitald.cli.app import vitald as root

PYTHON = [sys.executable, "-m", "vitald"]


def test_the_entry_point_is_main():
    (script,) = metadata.entry_points(group="console_scripts", name="vitald")
    assert script.value == "vitald.cli:main"


def test_version(vitald):
    assert vitald("--version") == (0, f"vitald {__version__}\n", "")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command_with_its_purpose(vitald, option):
    run = vitald(option)
    listed = [line.split()[0] for line in run.out.partition("Commands:\n")[2].splitlines()]
    assert (run.code, run.err) == (0, "")
    assert listed == list(COMMANDS)
    assert "..." not in run.out.partition("Commands:\n")[2]


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_a_group_alone_shows_its_help_and_is_wrong_usage(vitald, arguments):
    run = vitald(*arguments)
    assert (run.code, run.out) == (64, "")
    assert run.err.startswith(f"Usage: {' '.join(['vitald', *arguments])} [OPTIONS]")
    assert "cannot" not in run.err.splitlines()[0]


def test_the_client_alone_says_how_to_install_the_rest(environ, tmp_path):
    without_click = "import sys; sys.modules['click'] = None; import vitald.cli as c; c.main()"
    done = subprocess.run(
        [sys.executable, "-c", without_click],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 69
    assert done.stderr == (
        "vitald: cannot run: only the client is installed\nhint: pip install 'vitald[sidecar]'\n"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_module_and_has_help(name):
    command = import_module(f"vitald.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "no such command 'bogus'"),
        (["--bogus"], "no such option"),
        (["metrics", "--bogus"], "no such option"),
        (["metrics", "--sort", "nothing"], "invalid value for '--sort'"),
        (["metrics", "--window", "10x"], "10x"),
        (["metrics", "--window", "0"], "no time at all"),
        (["metrics", "-l", "=x"], "has no key"),
        (["metrics", "--top", "0"], "invalid value for '--top'"),
        (["metrics", "--watch", "-o", "csv"], "--watch does not go with -o csv"),
        (["check"], "missing argument"),
        (["ledger", "extra"], "unexpected extra argument"),
        (["completion", "tcsh"], "tcsh"),
    ],
)
def test_wrong_usage_is_64_and_says_what_is_wrong(vitald, arguments, message):
    run = vitald(*arguments)
    assert (run.code, run.out) == (64, "")
    assert run.err.startswith("vitald: cannot read the command line: ")
    assert message in run.err
    assert run.err.splitlines()[1].startswith("hint: see vitald")


@pytest.mark.parametrize("arguments", [["health", "--bogus"], ["health", "-o", "xml"]])
def test_wrong_usage_of_health_is_unknown(vitald, arguments):
    assert vitald(*arguments).code == 3


ASKING = ["metrics", "stats", "export", "ledger", "top", "reload"]


@pytest.mark.parametrize("name", ASKING)
def test_no_sidecar_is_69_with_the_way_to_start_one(vitald, tmp_path, name):
    path = str(tmp_path / "none.sock")
    run = vitald(name, "--socket", path)
    assert run.code == 69
    assert run.out == ""
    assert run.err == (
        f"vitald: cannot reach the sidecar at {path}: there is no such socket\n"
        "hint: start it with: vitald run; "
        "if it runs, name its socket: --socket or $VITALD_SOCKET\n"
    )


def test_the_socket_option_wins_over_the_environment_and_may_stand_anywhere(vitald, tmp_path):
    path = str(tmp_path / "none.sock")
    assert vitald("--socket", path, "stats").code == 69
    assert vitald("stats", "--socket", path).code == 69
    assert path in vitald("--socket", "/other", "stats", "--socket", path).err


def test_without_a_sidecar_named_the_usual_place_is_asked(vitald, tmp_path):
    run = vitald("stats", VITALD_SOCKET="", XDG_RUNTIME_DIR=str(tmp_path))
    usual = "/run/vitald" if os.geteuid() == 0 else tmp_path / "vitald"
    assert f"cannot reach the sidecar at {usual}/control.sock" in run.err


def test_a_hung_sidecar_is_69(vitald, sidecar, hang, monkeypatch):
    sidecar.says["GET /v1/stats"] = hang
    run = vitald("stats")
    assert run.code == 69
    assert run.err == (
        f"vitald: cannot reach the sidecar at {sidecar.path}: no answer within 5 s\n"
        "hint: it runs but is stopped or hangs: see vitald doctor\n"
    )


@pytest.mark.parametrize("arguments", [["check", "disk"], ["reload"]])
def test_a_command_that_may_take_long_does_not_wait_for_a_hung_sidecar(
    vitald, sidecar, hang, arguments
):
    sidecar.says["GET /livez"] = hang
    run = vitald(*arguments)
    assert run.code == 69
    assert "no answer within 5 s" in run.err
    assert sidecar.asked == ["GET /livez HTTP/1.1"]


def test_a_refusal_is_told_in_the_sidecars_words(vitald, sidecar, reply):
    sidecar.says["GET /v1/metrics"] = reply(b'{"error":"cannot answer over 2 h"}', 400)
    assert vitald("metrics") == (64, "", "vitald: cannot answer over 2 h\n")


def test_controls_in_a_refusal_do_not_reach_the_terminal(vitald, sidecar, reply):
    sidecar.says["GET /v1/metrics"] = reply(b'{"error":"cannot \\u001b[2J"}', 503)
    assert vitald("metrics") == (69, "", "vitald: cannot \\u001b[2J\n")


def test_controls_in_the_arguments_do_not_reach_the_terminal(vitald):
    assert "\x1b" not in vitald("evil\x1b[2J").err


def test_a_reader_that_leaves_ends_the_command_silently(environ, documents):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PYTHON, "metrics"], env=environ, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "arguments", [["metrics"], ["metrics", "-o", "json"], ["completion", "zsh"]]
)
def test_a_full_disk_is_74(environ, documents, arguments):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PYTHON, *arguments], env=environ, stdout=full, stderr=subprocess.PIPE, check=False
        )
    message = b"vitald: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (74, message)


def test_a_closed_stdout_is_74(environ, documents):
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *PYTHON, "stats"],
        env=environ,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 74
    assert done.stderr == b"vitald: cannot write the output: Bad file descriptor\n"


def test_an_interrupt_is_130_without_a_traceback(environ, sidecar, hang):
    sidecar.says["GET /v1/stats"] = hang
    with subprocess.Popen([*PYTHON, "stats"], env=environ, stderr=subprocess.PIPE) as process:
        while not sidecar.asked and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_the_json_path_imports_click_and_the_standard_library_only(environ, documents):
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from vitald.cli.app import run\n"
        "code = run(['metrics', '-o', 'json', '-l', 'a=b', 'x*'])\n"
        "heavy = {'asyncio', 'json', 'http', 'email', 'ssl'}\n"
        "foreign = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "foreign -= set(sys.stdlib_module_names)\n"
        "print(code, sorted(foreign), sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], env=environ, capture_output=True, check=False
    )
    assert done.stderr == b"0 ['click', 'vitald'] []\n"


def test_running_a_command_imports_no_other(environ, documents):
    program = (
        "import sys\n"
        "from vitald.cli.app import COMMANDS, run\n"
        "run(['ledger'])\n"
        "print([n for n in COMMANDS if f'vitald.cli.{n}' in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, check=False
    )
    assert done.stderr == b"['ledger']\n"


def test_the_group_knows_no_other_command():
    context = click.Context(root)
    assert root.get_command(context, "app") is None
    assert root.get_command(context, "../health") is None
