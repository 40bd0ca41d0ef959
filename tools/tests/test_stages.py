"""The times of stages that `make check` tells at its end."""

import os
import subprocess

from conftest import TOOLS

STAGES = TOOLS / "repo" / "stages.sh"


def stages(*words: str) -> subprocess.CompletedProcess:
    """Runs the script, not as a part of a check that is running already."""
    environment = {k: v for k, v in os.environ.items() if k != "STAGES"}
    command = [STAGES, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def rows(text: str) -> list[list[str]]:
    """The words of each row of the table, without the seconds."""
    lines = text.split("seconds\n")[1].splitlines()
    return [[word for word in line.split() if not word.isdigit()] for line in lines]


def test_the_table_names_each_stage_once():
    script = f"{STAGES} one lints true; {STAGES} one tests echo said; {STAGES} one lints true"
    done = stages("all", "bash", "-c", script)
    assert done.returncode == 0 and done.stdout.startswith("said\n"), done.stderr
    assert rows(done.stdout) == [["lints"], ["tests"], ["all"]]


def test_a_stage_that_fails_is_named_and_its_code_kept():
    script = f"{STAGES} one lints true && {STAGES} one 'a board' bash -c 'exit 7'"
    done = stages("all", "bash", "-c", script)
    assert done.returncode == 7
    assert rows(done.stdout) == [["lints"], ["a", "board", "failed"], ["all"]]


def test_a_fault_outside_of_the_stages_is_told_too():
    done = stages("all", "bash", "-c", f"{STAGES} one lints true; exit 3")
    assert done.returncode == 3 and "failed between the stages" in done.stderr
    assert rows(done.stdout) == [["lints"], ["all"]]


def test_alone_a_stage_is_only_its_command():
    done = stages("one", "lints", "bash", "-c", "echo said; exit 5")
    assert (done.returncode, done.stdout, done.stderr) == (5, "said\n", "")
