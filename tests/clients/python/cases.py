"""What every Python client is driven with: where the gateway is, the cases, and how they report.

The driver gives everything in the environment: TURNPIKE_BASE_URL (without a version),
TURNPIKE_KEY, TURNPIKE_MODELS (JSON: provider -> what the model does -> its name) and
TURNPIKE_FOLDER (a folder of the client's own). A script knows nothing else of the gateway.

Models, by what they do: "echo" repeats the last user text and fills a schema; "agent" calls
`find_city` with the prompt, then `get_weather` with its result, then says "done: RESULT"; "pair"
calls both at once and then says "both: RESULT"; "slow" talks for longer than anybody waits;
"unknown" does not exist. Prints one JSON object per line.
"""

import base64
import importlib.metadata
import json
import os
import struct
import sys
import time
import traceback
import zlib

CASES = (
    "text", "streaming", "tool loop", "parallel tools", "image", "structured output", "error",
    "cancelled stream",
)
# Seconds in which a cancelled stream must be over; the slow model would take minutes.
CANCEL_MAX_S = 20
# Seconds for one call: a debug build on a busy machine is slow, a hung one must still end.
CALL_MAX_S = 60

WEATHER = {"Paris": "18 degrees", "Paris (Texas)": "31 degrees"}


class NotApplicable(str):
    """A case that a client has no feature for, and why."""


class Target:
    """Where to send, and under which names."""

    def __init__(self, provider, models):
        self.provider = provider
        self.models = models
        self.root = os.environ["TURNPIKE_BASE_URL"]
        self.key = os.environ["TURNPIKE_KEY"]

    @property
    def v1(self):
        """The base URL of SDKs that expect the version in it."""
        return f"{self.root}/v1"


def check(passed, what, seen=None):
    """Fails the case, with what was seen instead."""
    if not passed:
        raise AssertionError(f"{what}: {seen!r}"[:2000])


def find_city(name):
    """The tool of the first step."""
    return f"{name} (Texas)"


def get_weather(city):
    """The tool of the second step."""
    return WEATHER.get(city, f"no weather in {city}")


def call_tool(name, arguments):
    """Runs a tool as an application would; arguments as JSON text or parsed."""
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    return {"find_city": find_city, "get_weather": get_weather}[name](**arguments)


def schema_of(parameter):
    """The parameters of a tool with one text."""
    return {
        "type": "object",
        "properties": {parameter: {"type": "string"}},
        "required": [parameter],
        "additionalProperties": False,
    }


TOOLS = (
    ("find_city", "Finds the city that is meant", schema_of("name")),
    ("get_weather", "Weather of a city", schema_of("city")),
)
LOOP_CALLS = [("find_city", {"name": "Paris"}), ("get_weather", {"city": "Paris (Texas)"})]
LOOP_ANSWER = "done: 31 degrees"
PAIR_CALLS = [("find_city", {"name": "Paris"}), ("get_weather", {"city": "Paris"})]
PAIR_ANSWER = "both: 18 degrees"


def check_loop(calls, answer):
    """The calls and the end of a whole loop."""
    check(calls == LOOP_CALLS, "two steps, one after the other", calls)
    check(answer == LOOP_ANSWER, "the last result is in the answer", answer)


def check_pair(calls, ids, answer):
    """Two calls in one turn."""
    check(calls == PAIR_CALLS, "both calls in one turn", calls)
    check(len(set(ids)) == 2 and all(ids), "each call has an id of its own", ids)
    check(answer == PAIR_ANSWER, "the results are used", answer)


def png(size=24):
    """A picture of noise made from the client's name, so that no two clients send the same."""
    seed = zlib.crc32(os.environ["TURNPIKE_CLIENT"].encode())
    rows = bytearray()
    for _ in range(size):
        rows.append(0)
        for _ in range(size):
            seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
            rows += struct.pack(">I", seed)[1:]

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(bytes(rows))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_base64():
    """The picture as SDKs want it."""
    return base64.b64encode(png()).decode()


def cancelled(chunks, stop):
    """Reads a little of a stream of texts, stops it, and checks that it is over at once."""
    began = time.monotonic()
    text = ""
    for piece in chunks:
        text += piece or ""
        if len(text) > 20:
            break
    stop()
    took = time.monotonic() - began
    check(len(text) > 20, "something was said", text)
    check(took < CANCEL_MAX_S, "it is over at once", took)


def report(**fields):
    """One line for the driver."""
    print(json.dumps(fields), flush=True)


def run_case(case, target, body):
    """Runs one case against one provider and reports it."""
    base = {"provider": target.provider, "case": case}
    if isinstance(body, NotApplicable):
        report(**base, result="n/a", detail=str(body))
        return
    began = time.monotonic()
    try:
        detail = body(target)
        result = "ok"
        if isinstance(detail, NotApplicable):
            result = "n/a"
    except Exception as error:  # noqa: BLE001 - one case's failure must not hide the others
        result, detail = "FAIL", f"{type(error).__name__}: {error}"
        traceback.print_exc()
    took = round((time.monotonic() - began) * 1000)
    report(**base, result=result, detail=str(detail or "")[:2000], took_ms=took)


def versions_of(packages):
    """How each package's version is found: of a program by asking it."""
    if isinstance(packages, dict):
        return packages
    return dict.fromkeys(packages, importlib.metadata.version)


def main(packages, script):
    """Runs a script's cases, named as they are with underscores."""
    cases = {case: script.get(case.replace(" ", "_")) for case in CASES}
    missing = [case for case, body in cases.items() if body is None]
    check(not missing, "every case is there, or says why not", missing)
    run(packages, cases)


def run(packages, cases):
    """Runs cases against all providers.

    Arguments pick providers and cases, for a person who looks into one of them.
    """
    only = set(sys.argv[1:])
    report(versions={name: version(name) for name, version in versions_of(packages).items()})
    for provider, models in json.loads(os.environ["TURNPIKE_MODELS"]).items():
        target = Target(provider, models)
        for case, body in cases.items():
            if only and not {provider, case} & only:
                continue
            run_case(case, target, body)
    # SDKs that were cancelled in the middle keep threads; nothing is left to wait for.
    sys.stdout.flush()
    os._exit(0)
