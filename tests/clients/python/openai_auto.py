"""Drives a gateway with the official openai package, as an application would.

usage: openai_chat.py BASE_URL KEY

Prints one JSON object per check: {"check": name, "passed": bool, "detail": text}. Ends with 1 if
any check failed.
"""

import json
import sys

import openai

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]

failed = 0


def check(name, passed, detail=""):
    """Reports one check."""
    global failed
    failed += 0 if passed else 1
    print(json.dumps({"check": name, "passed": bool(passed), "detail": str(detail)}), flush=True)


def whole(client):
    """A non-streaming completion."""
    text = "Say hello to Ada."
    raw = client.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": text}]
    )
    answer = raw.parse()
    choice = answer.choices[0]
    check("whole: text", choice.message.content == text, choice.message.content)
    check("whole: finish reason", choice.finish_reason == "stop", choice.finish_reason)
    usage = answer.usage
    total = usage.prompt_tokens + usage.completion_tokens
    check("whole: usage adds up", usage.total_tokens == total > 0, usage)
    check("whole: request id", bool(answer._request_id), answer._request_id)
    served = raw.headers.get("x-turnpike-model", "")
    check("whole: model header", "/" in served, served)


def streamed(client):
    """A streaming completion, with and without usage."""
    text = "Stream this, größer and 😀, please."
    asked = {"model": "auto", "messages": [{"role": "user", "content": text}], "stream": True}
    chunks = list(client.chat.completions.create(**asked, stream_options={"include_usage": True}))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check("stream: text", said == text, said)
    check("stream: more than one chunk", len(chunks) > 3, len(chunks))
    check("stream: first delta has the role", chunks[0].choices[0].delta.role == "assistant")
    check("stream: one id", len({c.id for c in chunks}) == 1)
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    check("stream: finish reason", [f for f in finishes if f] == ["stop"], finishes)
    last = chunks[-1]
    check("stream: usage chunk has no choices", last.choices == [] and last.usage, last)
    plain = list(client.chat.completions.create(**asked))
    check("stream: every chunk has choices when usage was not asked for",
          all(c.choices for c in plain))
    check("stream: no usage when not asked for", all(c.usage is None for c in plain))


def tools(client):
    """A tool call and its result, not streamed and streamed."""
    messages = [{"role": "user", "content": "Paris"}]
    answer = client.chat.completions.create(model="auto", messages=messages, tools=TOOLS)
    message = answer.choices[0].message
    calls = message.tool_calls or []
    check("tools: one call", len(calls) == 1 and calls[0].function.name == "get_weather", calls)
    check("tools: finish reason", answer.choices[0].finish_reason == "tool_calls")
    arguments = json.loads(calls[0].function.arguments)
    check("tools: arguments", arguments == {"city": "Paris"}, arguments)
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": calls[0].id, "content": "18 degrees"})
    last = client.chat.completions.create(model="auto", messages=messages, tools=TOOLS)
    said = last.choices[0].message.content
    check("tools: the result is used", "18 degrees" in (said or ""), said)

    parts, names = [], []
    asked = {"model": "auto", "messages": messages[:1], "tools": TOOLS, "stream": True}
    for chunk in client.chat.completions.create(**asked):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            parts.append(call.function.arguments or "")
            names += [call.function.name] if call.function.name else []
    check("tools: streamed name comes once", names == ["get_weather"], names)
    check("tools: streamed arguments", json.loads("".join(parts)) == {"city": "Paris"}, parts)


def errors(base_url, client):
    """Errors arrive as the package's own exceptions."""
    stranger = openai.OpenAI(base_url=base_url, api_key="tp-wrong", max_retries=0)
    ask = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
    try:
        stranger.chat.completions.create(**ask)
        check("errors: wrong key", False, "no exception")
    except openai.AuthenticationError as error:
        check("errors: wrong key", error.status_code == 401 and error.body, error.body)
    try:
        client.chat.completions.create(**{**ask, "model": "nobody/has-this"})
        check("errors: unknown model", False, "no exception")
    except openai.NotFoundError as error:
        check("errors: unknown model", error.code == "model_not_found", error.code)


def main():
    """Runs all checks."""
    base_url, key = sys.argv[1], sys.argv[2]
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60)
    check("package is 2 or newer", int(openai.__version__.split(".")[0]) >= 2, openai.__version__)
    listed = [model.id for model in client.models.list()]
    check("models: listed", "openai/gpt-5.4-mini" in listed, listed[:5])
    for part in (whole, streamed, tools):
        try:
            part(client)
        except Exception as error:  # noqa: BLE001 - one part's crash must not hide the others
            check(f"{part.__name__}: no exception", False, repr(error))
    errors(base_url, client)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
