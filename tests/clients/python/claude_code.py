"""The program `claude`, headless: `claude -p`."""

import json
import os
import subprocess

import cases
import programs
from cases import check


def environment(target):
    """A base URL, a key, a home of its own, and no calls to anywhere else."""
    home = os.path.join(os.environ["TURNPIKE_FOLDER"], "claude-home")
    return {
        "ANTHROPIC_BASE_URL": target.root,
        "ANTHROPIC_AUTH_TOKEN": target.key,
        # What it does beside the conversation, such as titles, goes to the same provider.
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": target.models["echo"],
        "HOME": home,
        "CLAUDE_CONFIG_DIR": os.path.join(home, ".claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
        # It refuses to act freely as root outside of a sandbox; the folder is a temporary one.
        "IS_SANDBOX": "1",
    }


def command(target, model, *more):
    """A run that tells all its events and asks for no permission."""
    return [
        "claude", "-p", "--model", target.models[model], "--output-format", "stream-json",
        "--verbose", "--dangerously-skip-permissions", *more,
    ]


def ask(target, case, model, *more, given):
    """Runs it in a folder of its own: its events, and the folder."""
    folder = programs.workspace(target, case)
    return run_in(folder, target, model, *more, given=given), folder


def run_in(folder, target, model, *more, given):
    """Runs it: its events, of which the last is the result."""
    code, events, errors = programs.run(
        command(target, model, *more), folder, environment(target), given
    )
    check(events and events[-1]["type"] == "result", "a result", (code, events[-1:], errors))
    check(code == (1 if events[-1]["is_error"] else 0), "the exit code", (code, errors))
    return events


def result(events):
    """The final answer."""
    check(not events[-1]["is_error"], "no error", events[-1].get("result"))
    return events[-1]["result"]


def blocks(events, speaker, kind):
    """The blocks of a kind, with the id of the message that they were in."""
    return [
        (event["message"].get("id"), block)
        for event in events if event["type"] == speaker
        for block in event["message"]["content"]
        if isinstance(block, dict) and block["type"] == kind
    ]


def text(target):
    """An answer, and what it cost."""
    prompt = "Say größer and 😀."
    events, _ = ask(target, "text", "echo", given=prompt)
    # It tells the model things of its own in the same message, where roles are fewer.
    check(prompt in result(events), "the text", events[-1]["result"])
    usage = events[-1]["usage"]
    total = usage["input_tokens"] + usage["cache_creation_input_tokens"]
    total += usage["cache_read_input_tokens"]
    check(total > 1000 and usage["output_tokens"] > 0, "usage", usage)


def streaming(target):
    """The pieces as they come."""
    prompt = "Stream this, größer and 😀, please."
    events, _ = ask(target, "streaming", "echo", "--include-partial-messages", given=prompt)
    inner = [event["event"] for event in events if event["type"] == "stream_event"]
    deltas = [event["delta"] for event in inner if event["type"] == "content_block_delta"]
    pieces = [delta["text"] for delta in deltas if delta["type"] == "text_delta"]
    check(prompt in "".join(pieces) and len(pieces) > 1, "the pieces", pieces)
    check(inner[0]["type"] == "message_start", "the opening", inner[0])
    check(inner[-1]["type"] == "message_stop", "the end", inner[-1])


def tool_loop(target):
    """It writes a file and edits it, in two steps."""
    events, folder = ask(target, "tools", "edit", given="Edit the notes.")
    programs.check_edited(folder)
    names = [block["name"] for _, block in blocks(events, "assistant", "tool_use")]
    check(names == ["Write", "Edit"], "two steps", names)
    check(result(events) == "The file is edited.", "the answer", events[-1]["result"])


def parallel_tools(target):
    """Two files are read in one turn."""
    folder = programs.workspace(target, "pair")
    (folder / "one.txt").write_text("first\n")
    (folder / "two.txt").write_text("second\n")
    events = run_in(folder, target, "pair", given="Read both.")
    uses = blocks(events, "assistant", "tool_use")
    check(len(uses) == 2 and len({message for message, _ in uses}) == 1, "one turn", uses)
    check(len({block["id"] for _, block in uses}) == 2, "each has an id of its own", uses)
    read = str(blocks(events, "user", "tool_result"))
    check("first" in read and "second" in read, "both were read", read)
    check("both: " in result(events), "the answer", events[-1]["result"])


def image(target):
    """A picture in the message."""
    source = {"type": "base64", "media_type": "image/png", "data": cases.png_base64()}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    message = {"type": "user", "message": {"role": "user", "content": content}}
    events, _ = ask(
        target, "image", "echo", "--input-format", "stream-json", given=json.dumps(message)
    )
    check("What is this?" in result(events), "the text beside it", events[-1]["result"])
    return cases.png_base64()


def structured_output(target):
    """A schema given to the program; it has the model call a tool of this shape."""
    schema = json.dumps(programs.FORM)
    events, _ = ask(target, "form", "form", "--json-schema", schema, given="Paris")
    check(not events[-1]["is_error"], "no error", events[-1])
    form = events[-1].get("structured_output")
    check(form == {"city": "Paris", "degrees": 18, "windy": True}, "the object", events[-1])


def error(target):
    """A wrong model: the program says so and fails."""
    events, _ = ask(target, "error", "unknown", given="x")
    last = events[-1]
    check(last["is_error"] and last["api_error_status"] == 404, "a 404", last)


def cancelled_stream(target):
    """It is interrupted while it speaks; the next run works."""
    folder = programs.workspace(target, "cancel")
    asked = [*command(target, "slow", "--include-partial-messages"), "Go."]

    def speaks(event):
        return event.get("event", {}).get("type") == "content_block_delta"

    programs.interrupt(asked, folder, environment(target), speaks)
    events = run_in(folder, target, "echo", given="Still there?")
    check("Still there?" in result(events), "the text", events[-1]["result"])


def version(_name):
    """Of the program on the path; it is no package of Python."""
    said = subprocess.run(
        ["claude", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    return said.stdout.split()[0]


if __name__ == "__main__":
    cases.main({"@anthropic-ai/claude-code": version}, globals())
