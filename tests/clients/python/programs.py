"""What the programs have in common: they are run, not called."""

import json
import os
import pathlib
import signal
import subprocess
import time

import cases
from cases import check

# Seconds for one run: a program that waits for an answer that never comes must still end.
RUN_MAX_S = 90

FORM = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "degrees": {"type": "integer"},
        "windy": {"type": "boolean"},
    },
    "required": ["city", "degrees", "windy"],
    "additionalProperties": False,
}


def workspace(target, case):
    """An empty folder to work in."""
    folder = pathlib.Path(os.environ["TURNPIKE_FOLDER"], f"{target.provider}-{case}")
    folder.mkdir(parents=True)
    return folder


def events(text):
    """The JSON lines of an output."""
    lines = (line.strip() for line in text.splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def run(command, folder, environment, given=""):
    """Runs a program to its end: its exit code, its events, what else it said."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, input=given,
        capture_output=True, text=True, timeout=RUN_MAX_S, check=False,
    )
    return done.returncode, events(done.stdout), done.stderr[-1000:]


def interrupt(command, folder, environment, speaks):
    """Starts a program, interrupts it once `speaks(event)`, and checks that it ends at once."""
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )
    try:
        deadline = time.monotonic() + RUN_MAX_S
        heard = False
        for line in process.stdout:
            heard = line.startswith("{") and speaks(json.loads(line))
            if heard or time.monotonic() > deadline:
                break
        check(heard, "it began to answer")
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.wait(cases.CANCEL_MAX_S)
        check(time.monotonic() - began < cases.CANCEL_MAX_S, "it ends at once")
    finally:
        # What it started goes with it.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def check_edited(folder):
    """The file was written, then edited."""
    notes = folder / "notes.txt"
    check(notes.is_file(), "the file is there", list(folder.iterdir()))
    check(notes.read_text() == "one\nthree\n", "the file is edited", notes.read_text())
