from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from vitald.checks.command import CommandCheck, Options
from vitald.status import Status

PLUGINS = Path("/usr/lib/nagios/plugins")
TIMEOUT = 2.0


@pytest.fixture
def plugin(kit):
    """Return the path of a real monitoring plugin."""

    def find(name):
        path = PLUGINS / name
        if not path.exists():
            kit.unavailable("monitoring-plugins", f"{path} not found")
        return str(path)

    return find


async def run(*argv, timeout=TIMEOUT, **options):
    return await CommandCheck(command=list(map(str, argv)), timeout=timeout, **options).run()


def script(text):
    return ["/bin/sh", "-c", text]


def numbers(result):
    return {item.key: item.value for item in result.observations}


def alive(pid):
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


async def gone(pid, seconds=2.0):
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


# Real plugins.


@pytest.mark.server("monitoring-plugins")
async def test_check_load_is_read_as_it_is(plugin):
    result = await run(plugin("check_load"), "-w", "9999", "-c", "9999")
    assert result.status is Status.HEALTHY
    assert "load average" in result.message
    assert "|" not in result.message
    expected = {f"command_perfdata{{label=load{minutes}}}" for minutes in (1, 5, 15)}
    assert set(numbers(result)) == expected


@pytest.mark.server("monitoring-plugins")
@pytest.mark.parametrize("status", list(Status))
async def test_each_exit_code_is_its_status(plugin, status):
    result = await run(plugin("check_dummy"), int(status), "as told")
    assert result.status is status
    assert result.message.endswith(": as told")


@pytest.mark.server("monitoring-plugins")
async def test_sizes_are_bytes_and_times_are_seconds(plugin):
    result = await run(plugin("check_dummy"), 0, "fine|/=2MiB;1;2 rta=1.5ms;;;0")
    assert result.message == "OK: fine"
    assert numbers(result) == {
        "command_perfdata_bytes{label=/}": 2097152.0,
        "command_perfdata_seconds{label=rta}": 0.0015,
    }


@pytest.mark.server("monitoring-plugins")
async def test_check_disk_of_a_path_that_is_not_there_is_critical(plugin):
    result = await run(plugin("check_disk"), "-w", "1%", "-c", "1%", "-p", "/nowhere")
    assert (result.status, "not accessible" in result.message) == (Status.CRITICAL, True)


@pytest.mark.server("monitoring-plugins")
async def test_check_tcp_finds_a_server_and_misses_it(plugin, serve, unused_port):
    async def accept(reader, _writer):
        await reader.read()

    host, port = await serve(accept)
    found = await run(plugin("check_tcp"), "-H", host, "-p", port)
    missed = await run(plugin("check_tcp"), "-H", "127.0.0.1", "-p", unused_port)
    assert (found.status, missed.status) == (Status.HEALTHY, Status.CRITICAL)
    assert numbers(found)["command_perfdata_seconds{label=time}"] < TIMEOUT
    assert "refused" in missed.message


@pytest.mark.server("monitoring-plugins")
async def test_wrong_usage_is_unknown_with_the_plugins_words(plugin):
    result = await run(plugin("check_load"), "-w", "heavy")
    assert result.status is Status.UNKNOWN
    assert "Warning threshold must be float" in result.message


@pytest.mark.server("monitoring-plugins")
async def test_under_the_scheduler_the_status_is_no_connectivity(plugin, watch):
    watched = watch(CommandCheck, command=[plugin("check_dummy"), "2", "down"])
    report, _ = await watched.look()
    assert (report.label, report.status) == ("critical", Status.CRITICAL)


# Programs that misbehave.


async def test_a_program_that_does_not_exist_is_unknown():
    result = await run("/no/such/plugin")
    assert result.status is Status.UNKNOWN
    assert result.message == "cannot run /no/such/plugin: no such file or directory"


async def test_a_file_that_may_not_be_run_is_unknown(tmp_path):
    path = tmp_path / "plugin"
    path.write_text("#!/bin/sh\n")
    result = await run(path)
    assert (result.status, "permission denied" in result.message) == (Status.UNKNOWN, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo odd; exit 7", "sh ended with exit code 7: odd"),
        ("kill -9 $$", "sh was ended by SIGKILL"),
        ("no-such-program", "sh ended with exit code 127: "),
        ("exit 3", "sh ended with exit code 3 and wrote nothing"),
    ],
)
async def test_any_other_end_is_unknown(text, words):
    result = await run(*script(text))
    assert (result.status, words in result.message) == (Status.UNKNOWN, True), result.message


async def test_a_script_that_breaks_shows_the_last_line_of_its_errors():
    result = await run(sys.executable, "-c", "import os; os.stat('/nowhere')")
    assert result.status is Status.WARNING
    assert "FileNotFoundError" in result.message


async def test_no_shell_reads_the_arguments():
    result = await run("/bin/echo", "$HOME; rm -rf / `id` | a=1")
    assert result.message == "$HOME; rm -rf / `id`"
    assert numbers(result) == {"command_perfdata{label=a}": 1.0}


async def test_the_program_gets_a_clean_environment_and_no_input(monkeypatch):
    monkeypatch.setenv("VITALD_TEST_SECRET", "hunter2")
    variables = {"TOKEN": SecretStr("xyzzy")}
    result = await run(*script("env | sort | tr '\\n' ' '; cat; pwd"), environment=variables)
    words = set(result.message.split())
    assert {"TOKEN=xyzzy", "LC_ALL=C.UTF-8", "/"} <= words
    assert not {word for word in words if word.startswith("VITALD")}


async def test_control_characters_do_not_get_into_the_message():
    result = await run("/usr/bin/printf", r"\033[2Jgone\a\n")
    assert result.message == "\ufffd[2Jgone\ufffd"


async def test_output_that_is_not_utf_8_is_no_fault():
    result = await run("/usr/bin/printf", r"\377\376 ok")
    assert (result.status, "ok" in result.message) == (Status.HEALTHY, True)


async def test_a_flood_of_output_is_cut_and_does_not_block_the_program():
    result = await run(*script("yes OK | head -c 3000000; exit 1"))
    assert result.status is Status.WARNING
    assert result.message == "OK"


async def test_numbers_that_cannot_be_read_are_counted():
    result = await run("/bin/echo", "fine | a=1 b=x c")
    assert result.message == "fine (2 unreadable numbers)"


# Programs that do not end.


async def test_a_program_that_does_not_end_is_critical_in_time_with_what_it_said():
    started = time.monotonic()
    result = await run(*script("echo working on it; exec sleep 60"), timeout=1.0)
    assert time.monotonic() - started < 1.0
    assert result.status is Status.CRITICAL
    assert result.message == "sh did not end within 800ms and was stopped: working on it"


async def test_the_whole_group_is_stopped_even_when_it_ignores_sigterm(tmp_path):
    pids = tmp_path / "pids"
    stubborn = f"trap '' TERM; echo $$ >> {pids}; sleep 60 & echo $! >> {pids}; wait; sleep 60"
    result = await run(*script(stubborn), timeout=1.0)
    assert result.status is Status.CRITICAL
    found = [int(line) for line in pids.read_text().split()]
    assert len(found) == 2
    for pid in found:
        assert await gone(pid)


async def test_a_program_may_clean_up_on_sigterm(tmp_path):
    witness = tmp_path / "cleaned"
    code = f"trap 'touch {witness}; exit 0' TERM; while :; do sleep 0.05; done"
    await run(*script(code), timeout=1.0)
    assert witness.exists()


async def test_a_child_left_in_the_group_does_not_delay_the_result_and_is_ended(tmp_path):
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    result = await run(*script(f"sleep 60 & echo $! > {pid_file}; echo fine"), timeout=5.0)
    assert time.monotonic() - started < 2.0
    assert (result.status, result.message) == (Status.HEALTHY, "fine")
    assert await gone(int(pid_file.read_text()))


async def test_a_daemon_that_left_the_group_and_holds_the_output_does_not_delay_the_result(
    tmp_path,
):
    pid_file = tmp_path / "pid"
    code = f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 60' & sleep 0.2; echo fine"
    started = time.monotonic()
    result = await run(*script(code), timeout=5.0)
    assert time.monotonic() - started < 2.0
    assert (result.status, result.message) == (Status.HEALTHY, "fine")
    pid = int(pid_file.read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_cancelled_run_returns_at_once_and_its_group_is_stopped(tmp_path, wait_until):
    pid_file = tmp_path / "pid"
    code = f"trap '' TERM; echo $$ > {pid_file}; while :; do sleep 0.1; done"
    task = asyncio.create_task(run(*script(code), timeout=60))
    await wait_until(lambda: pid_file.exists() and pid_file.read_text().strip())
    started = time.monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 0.1
    assert await gone(int(pid_file.read_text()))
    await asyncio.sleep(0.05)


async def test_no_process_and_no_descriptor_is_left_behind():
    before = open_descriptors()
    for _ in range(20):
        await run("/bin/true")
    await asyncio.sleep(0.05)
    assert open_descriptors() <= before + 1
    assert not zombies()


def zombies():
    with suppress(ChildProcessError):
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_an_exit_code_that_was_lost_is_unknown_and_not_healthy():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        result = await run("/bin/false")
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert result.status is Status.UNKNOWN
    assert "its exit code was lost" in result.message


@pytest.mark.parametrize("options", [{"command": []}, {"command": "check_load -w 5"}, {}], ids=str)
def test_an_option_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValidationError):
        Options(**options)


async def test_an_argument_that_no_program_can_be_given_is_unknown():
    result = await run("/bin/echo", "a\0b")
    assert result.status is Status.UNKNOWN
    assert result.message.startswith("cannot run /bin/echo: ")
