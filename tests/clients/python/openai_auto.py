"""The `openai` package with the model `auto`: what the gateway adds to the protocol itself.

The driver's "echo" is `auto` here, at providers that echo and call the first tool.
"""

import json

import openai

import cases
from cases import check
from openai_chat import ask, client

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": cases.schema_of("city"),
        },
    }
]


def listed(target):
    """The models that a key may use."""
    major = int(openai.__version__.split(".")[0])
    check(major >= 2, "the package is of today", openai.__version__)
    models = [model.id for model in client(target).models.list()]
    check("openai/gpt-5.4-mini" in models, "models are listed", models[:5])


def whole(target):
    """A whole answer, and who gave it."""
    text = "Say hello to Ada."
    raw = client(target).chat.completions.with_raw_response.create(
        model=target.models["echo"], messages=ask(text)
    )
    answer = raw.parse()
    choice = answer.choices[0]
    check(choice.message.content == text, "the text", choice.message.content)
    check(choice.finish_reason == "stop", "the finish reason", choice.finish_reason)
    usage = answer.usage
    total = usage.prompt_tokens + usage.completion_tokens
    check(usage.total_tokens == total > 0, "usage adds up", usage)
    check(answer._request_id, "a request id", answer._request_id)
    served = raw.headers.get("x-turnpike-model", "")
    check("/" in served, "the header that names the model", served)


def streamed(target):
    """A stream, with usage and without."""
    text = "Stream this, größer and 😀, please."
    asked = {"model": target.models["echo"], "messages": ask(text), "stream": True}
    api = client(target).chat.completions
    chunks = list(api.create(**asked, stream_options={"include_usage": True}))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check(said == text, "the text", said)
    check(len(chunks) > 3, "more than one chunk", len(chunks))
    check(chunks[0].choices[0].delta.role == "assistant", "the first delta has the role")
    check(len({c.id for c in chunks}) == 1, "one id")
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    check([f for f in finishes if f] == ["stop"], "the finish reason", finishes)
    last = chunks[-1]
    check(last.choices == [] and last.usage, "the usage chunk has no choices", last)
    plain = list(api.create(**asked))
    check(all(c.choices for c in plain), "every chunk has choices when usage was not asked for")
    check(all(c.usage is None for c in plain), "no usage when not asked for")


def tools(target):
    """A tool call and its result, not streamed and streamed."""
    api = client(target).chat.completions
    messages = ask("Paris")
    asked = {"model": target.models["echo"], "tools": TOOLS}
    answer = api.create(**asked, messages=messages)
    message = answer.choices[0].message
    calls = message.tool_calls or []
    check(len(calls) == 1 and calls[0].function.name == "get_weather", "one call", calls)
    finish = answer.choices[0].finish_reason
    check(finish == "tool_calls", "the finish reason", finish)
    arguments = json.loads(calls[0].function.arguments)
    check(arguments == {"city": "Paris"}, "the arguments", arguments)
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "18 degrees"}
    last = api.create(
        **asked, messages=[*messages, message.model_dump(exclude_none=True), result]
    )
    said = last.choices[0].message.content
    check("18 degrees" in (said or ""), "the result is used", said)
    parts, names = [], []
    for chunk in api.create(**asked, messages=messages, stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            parts.append(call.function.arguments or "")
            names += [call.function.name] if call.function.name else []
    check(names == ["get_weather"], "the streamed name comes once", names)
    check(json.loads("".join(parts)) == {"city": "Paris"}, "the streamed arguments", parts)


def errors(target):
    """Errors arrive as the package's own exceptions."""
    stranger = openai.OpenAI(base_url=target.v1, api_key="tp-wrong", max_retries=0)
    try:
        stranger.chat.completions.create(model=target.models["echo"], messages=ask("x"))
        check(False, "no exception for a wrong key")
    except openai.AuthenticationError as error:
        check(error.status_code == 401 and error.body, "a wrong key", error.body)
    try:
        client(target).chat.completions.create(model=target.models["unknown"], messages=ask("x"))
        check(False, "no exception for an unknown model")
    except openai.NotFoundError as error:
        check(error.code == "model_not_found", "an unknown model", error.code)


if __name__ == "__main__":
    cases.run(["openai"], {f.__name__: f for f in (listed, whole, streamed, tools, errors)})
