"""The program `codex`, headless: `codex exec`."""

import json
import os
import pathlib
import subprocess

import cases
import programs
from cases import NotApplicable, check

CONFIGURATION = """
model_provider = "gateway"
approval_policy = "never"
# The folder is a temporary one, and a sandbox in a container often can't be made.
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.gateway]
name = "gateway"
base_url = "{base_url}"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def environment(target):
    """A key, a home of its own with a configuration, and no calls to anywhere else."""
    home = pathlib.Path(os.environ["TURNPIKE_FOLDER"], "codex-home")
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(CONFIGURATION.format(base_url=target.v1))
    return {"GATEWAY_KEY": target.key, "HOME": str(home), "CODEX_HOME": str(home)}


def command(target, model, *more):
    """A run that tells all its events."""
    return [
        "codex", "exec", "--json", "--skip-git-repo-check", "-m", target.models[model], *more,
    ]


def run_in(folder, target, model, *more, prompt):
    """Runs it: its exit code and its events."""
    # Before the prompt, so that a list of images does not take it for one.
    asked = command(target, model, *more, "--", prompt)
    code, events, errors = programs.run(asked, folder, environment(target))
    check(events, "events", (code, errors))
    return code, events


def items(events, kind):
    """The finished items of a kind."""
    done = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item for item in done if item["type"] == kind]


def answer(code, events):
    """The last message, after a turn without an error."""
    check(code == 0 and events[-1]["type"] == "turn.completed", "a whole turn", events[-2:])
    usage = events[-1]["usage"]
    check(usage["input_tokens"] > 1000 and usage["output_tokens"] > 0, "usage", usage)
    return items(events, "agent_message")[-1]["text"]


def text(target):
    """An answer, and its usage."""
    prompt = "Say größer and 😀."
    said = answer(*run_in(programs.workspace(target, "text"), target, "echo", prompt=prompt))
    # It tells the model things of its own in the same message, where roles are fewer.
    check(said.endswith(prompt), "the text", said)


streaming = NotApplicable(
    "`codex exec` asks for every answer as a stream and prints whole items only: its other cases "
    "are the streams"
)


def tool_loop(target):
    """It writes a file and edits it, in two steps."""
    folder = programs.workspace(target, "tools")
    code, events = run_in(folder, target, "edit", prompt="Edit the notes.")
    said = answer(code, events)
    programs.check_edited(folder)
    check(said == "The file is edited.", "the answer", said)
    changes = items(events, "command_execution") + items(events, "file_change")
    check(len(changes) == 2, "two steps", changes)


def parallel_tools(target):
    """Two files are read in one turn; the driver looks whether it was one."""
    folder = programs.workspace(target, "pair")
    (folder / "one.txt").write_text("first\n")
    (folder / "two.txt").write_text("second\n")
    code, events = run_in(folder, target, "pair", prompt="Read both.")
    said = answer(code, events)
    read = [item["aggregated_output"] for item in items(events, "command_execution")]
    check(sorted(read) == ["first\n", "second\n"], "both were read", read)
    check("both: " in said and "second" in said, "the answer", said)


def image(target):
    """A picture from a file."""
    folder = programs.workspace(target, "image")
    (folder / "picture.png").write_bytes(cases.png())
    code, events = run_in(folder, target, "echo", "-i", "picture.png", prompt="What is this?")
    check("What is this?" in answer(code, events), "the text beside it", events)
    return cases.png_base64()


def structured_output(target):
    """A schema from a file; a provider that takes none beside tools is asked in words."""
    folder = programs.workspace(target, "form")
    (folder / "schema.json").write_text(json.dumps(programs.FORM))
    code, events = run_in(
        folder, target, "form", "--output-schema", "schema.json", prompt="Paris"
    )
    said = answer(code, events)
    check(said.startswith("{"), "an object", said)
    form = json.loads(said)
    check(set(form) == set(programs.FORM["properties"]), "an object of the schema", form)
    check(isinstance(form["degrees"], int), "a number", form)


def error(target):
    """A wrong model: the program says so and fails."""
    folder = programs.workspace(target, "error")
    code, events = run_in(folder, target, "unknown", prompt="x")
    check(code != 0 and events[-1]["type"] == "turn.failed", "a failed turn", events[-1])
    said = events[-1]["error"]["message"]
    check("no-such-model" in said, "the model is named", said)


def cancelled_stream(target):
    """It is interrupted while the model speaks; the next run works."""
    folder = programs.workspace(target, "cancel")
    asked = [*command(target, "slow"), "--", "Go."]

    def speaks(event):
        return event["type"] == "turn.started"

    programs.interrupt(asked, folder, environment(target), speaks)
    said = answer(*run_in(folder, target, "echo", prompt="Still there?"))
    check(said.endswith("Still there?"), "the text", said)


def version(_name):
    """Of the program on the path; it is no package of Python."""
    said = subprocess.run(
        ["codex", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    return said.stdout.split()[-1]


if __name__ == "__main__":
    cases.main({"@openai/codex": version}, globals())
