"""The `openai` package, Chat Completions."""

import openai
import pydantic

import cases
from cases import TOOLS, Target, call_tool, check

FUNCTIONS = [
    {"type": "function", "function": {"name": name, "description": text, "parameters": schema}}
    for name, text, schema in TOOLS
]


class Weather(pydantic.BaseModel):
    """What a structured answer holds."""

    city: str
    degrees: int
    windy: bool


def client(target: Target):
    """As applications make it."""
    return openai.OpenAI(
        base_url=target.v1, api_key=target.key, max_retries=0, timeout=cases.CALL_MAX_S
    )


def ask(text):
    """One user message."""
    return [{"role": "user", "content": text}]


def text(target):
    """A whole answer."""
    prompt = "Say größer and 😀."
    answer = client(target).chat.completions.create(
        model=target.models["echo"], messages=ask(prompt)
    )
    choice = answer.choices[0]
    check(choice.message.content == prompt, "the text", choice.message.content)
    check(choice.finish_reason == "stop", "the finish reason", choice.finish_reason)
    usage = answer.usage
    check(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0, "usage", usage)
    check(answer._request_id, "a request id", answer._request_id)


def streaming(target):
    """A stream, with usage and without."""
    prompt = "Stream this, größer and 😀, please."
    asked = {"model": target.models["echo"], "messages": ask(prompt), "stream": True}
    api = client(target).chat.completions
    chunks = list(api.create(**asked, stream_options={"include_usage": True}))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check(said == prompt, "the text", said)
    check(len(chunks) > 3, "more than one chunk", len(chunks))
    check(chunks[0].choices[0].delta.role == "assistant", "the first delta has the role")
    check(len({c.id for c in chunks}) == 1, "one id", {c.id for c in chunks})
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices]
    check([f for f in finishes if f] == ["stop"], "the finish reason comes once", finishes)
    last = chunks[-1]
    check(last.choices == [] and last.usage.total_tokens > 0, "usage comes last, alone", last)
    plain = list(api.create(**asked))
    check(all(c.choices and c.usage is None for c in plain), "no usage when not asked for")


def one_turn(target, messages, model, streamed):
    """An assistant message, from a stream or whole."""
    api = client(target).chat.completions
    asked = {"model": target.models[model], "messages": messages, "tools": FUNCTIONS}
    if not streamed:
        answer = api.create(**asked)
    else:
        with api.stream(**asked) as stream:
            answer = stream.get_final_completion()
    choice = answer.choices[0]
    expected = "tool_calls" if choice.message.tool_calls else "stop"
    check(choice.finish_reason == expected, "the finish reason", choice.finish_reason)
    return choice.message


def loop(target, model, streamed):
    """Calls tools until the model is done: all calls, those of the first turn, the answer."""
    messages, calls, turns = ask("Paris"), [], []
    for _ in range(5):
        message = one_turn(target, messages, model, streamed)
        if not message.tool_calls:
            return calls, turns, message.content
        messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        turns.append([call.id for call in message.tool_calls])
        for call in message.tool_calls:
            calls.append((call.function.name, cases.json.loads(call.function.arguments)))
            result = call_tool(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise AssertionError(f"it never ends: {calls}")


def tool_loop(target):
    """Two steps, whole and streamed."""
    for streamed in (False, True):
        calls, turns, answer = loop(target, "agent", streamed)
        cases.check_loop(calls, answer)
        check([len(ids) for ids in turns] == [1, 1], "one call a turn", turns)


def parallel_tools(target):
    """Two calls in one turn, whole and streamed."""
    for streamed in (False, True):
        calls, turns, answer = loop(target, "pair", streamed)
        check(len(turns) == 1, "one turn", turns)
        cases.check_pair(calls, turns[0], answer)


def image(target):
    """A picture as a data URL."""
    url = f"data:image/png;base64,{cases.png_base64()}"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    answer = client(target).chat.completions.create(
        model=target.models["echo"], messages=[{"role": "user", "content": parts}]
    )
    said = answer.choices[0].message.content
    check(said.startswith("What is this?"), "the text beside it", said)
    return cases.png_base64()


def structured_output(target):
    """A schema from a class, parsed back into it."""
    answer = client(target).chat.completions.parse(
        model=target.models["echo"], messages=ask("Paris"), response_format=Weather
    )
    parsed = answer.choices[0].message.parsed
    check(isinstance(parsed, Weather), "an object of the class", answer.choices[0].message)


def error(target):
    """A wrong model and a wrong key, as the package's own exceptions."""
    try:
        client(target).chat.completions.create(
            model=target.models["unknown"], messages=ask("x")
        )
        check(False, "no exception")
    except openai.NotFoundError as error:
        check(error.status_code == 404, "status", error.status_code)
        check(error.code == "model_not_found", "code", error.body)
        check(error.body.get("message") and "param" in error.body, "all keys", error.body)
    stranger = openai.OpenAI(base_url=target.v1, api_key="tp-wrong", max_retries=0)
    try:
        stranger.chat.completions.create(model=target.models["echo"], messages=ask("x"))
        check(False, "no exception for a wrong key")
    except openai.AuthenticationError as error:
        check(error.status_code == 401, "status", error.status_code)


def cancelled_stream(target):
    """The application stops reading; the client goes on to serve."""
    api = client(target).chat.completions
    stream = api.create(model=target.models["slow"], messages=ask("Go."), stream=True)
    texts = (c.choices[0].delta.content if c.choices else "" for c in stream)
    cases.cancelled(texts, stream.close)
    text(target)


if __name__ == "__main__":
    cases.main(["openai"], globals())
