"""Shell completion: the scripts, and what they are answered."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_calls_vitald_back(vitald, shell):
    run = vitald("completion", shell)
    assert (run.code, run.err) == (0, "")
    assert f"_VITALD_COMPLETE={shell}_complete" in run.out


def _complete(environ, *words):
    done = subprocess.run(
        [sys.executable, "-m", "vitald"],
        env={
            **environ,
            "_VITALD_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_bash_itself_completes_with_the_script(environ, documents, tmp_path):
    launcher = tmp_path / "vitald"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m vitald "$@"\n')
    launcher.chmod(0o755)
    program = (
        'eval "$(vitald completion bash)"\n'
        "COMP_WORDS=(vitald health r) COMP_CWORD=2\n"
        "_vitald_completion vitald\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", program],
        env={**environ, "PATH": f"{tmp_path}:{environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "root_disk\n"


def test_commands_options_and_choices_are_completed(environ):
    assert _complete(environ, "vitald", "he") == ["health"]
    assert _complete(environ, "vitald", "health", "--wa") == ["--wait", "--watch"]
    assert _complete(environ, "vitald", "metrics", "-o", "js") == ["json"]


def test_checks_and_metrics_are_completed_from_the_sidecar(environ, documents):
    assert _complete(environ, "vitald", "check", "") == ["docker", "main_db", "queue", "root_disk"]
    assert _complete(environ, "vitald", "metrics", "ta") == [
        "task_duration_seconds",
        "tasks_created_total",
    ]


def test_without_a_sidecar_nothing_is_offered_and_nothing_said(environ, tmp_path):
    assert _complete({**environ, "VITALD_SOCKET": str(tmp_path)}, "vitald", "check", "") == []


def test_a_name_that_a_shell_would_act_on_is_not_offered(environ, sidecar):
    names = ["$(reboot)", "a b", "a;b", "`x`", "*", "-o", "a\nb", "\x1b[2J", "fine.name-1", 5, None]
    sidecar.says["GET /v1/health"] = {"checks": [{"name": name} for name in names]}
    assert _complete(environ, "vitald", "check", "") == ["fine.name-1"]
