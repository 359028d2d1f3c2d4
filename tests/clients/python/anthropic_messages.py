"""The `anthropic` package."""

import anthropic
import pydantic

import cases
from cases import TOOLS, Target, call_tool, check

TOOL_LIST = [
    {"name": name, "description": text, "input_schema": schema} for name, text, schema in TOOLS
]


class Weather(pydantic.BaseModel):
    """What a structured answer holds."""

    city: str
    degrees: int
    windy: bool


def client(target: Target):
    """As applications make it."""
    return anthropic.Anthropic(
        base_url=target.root, api_key=target.key, max_retries=0, timeout=cases.CALL_MAX_S
    )


def asked(target, model, text):
    """A request with one user message."""
    return {
        "model": target.models[model],
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": text}],
    }


def text(target):
    """A whole answer, and the count of its prompt's tokens."""
    prompt = "Say größer and 😀."
    answer = client(target).messages.create(**asked(target, "echo", prompt), system="Be brief.")
    check([block.type for block in answer.content] == ["text"], "one block", answer.content)
    check(answer.content[0].text == prompt, "the text", answer.content[0].text)
    check(answer.stop_reason == "end_turn", "the stop reason", answer.stop_reason)
    check(answer.type == "message" and answer.role == "assistant", "its kind", answer)
    usage = answer.usage
    check(usage.input_tokens > 0 and usage.output_tokens > 0, "usage", usage)
    check(answer._request_id, "a request id", answer._request_id)
    counted = client(target).messages.count_tokens(
        model=target.models["echo"], messages=[{"role": "user", "content": prompt}]
    )
    check(counted.input_tokens > 0, "tokens are counted", counted)


def streaming(target):
    """Every event in its place, and what the package makes of them."""
    prompt = "Stream this, größer and 😀, please."
    raw = client(target).messages.create(**asked(target, "echo", prompt), stream=True)
    kinds = [event.type for event in raw if event.type != "ping"]
    check(kinds[:2] == ["message_start", "content_block_start"], "the opening", kinds[:3])
    closing = ["content_block_stop", "message_delta", "message_stop"]
    check(kinds[-3:] == closing, "the end", kinds[-4:])
    check(kinds.count("content_block_delta") > 2, "more than one piece", kinds)
    with client(target).messages.stream(**asked(target, "echo", prompt)) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    check(said == prompt, "the text", said)
    check(final.content[0].text == prompt, "the text of the whole", final.content)
    check(final.stop_reason == "end_turn", "the stop reason", final.stop_reason)
    usage = final.usage
    check(usage.input_tokens > 0 and usage.output_tokens > 0, "usage", usage)


def one_turn(target, messages, model, streamed):
    """A message, from a stream or whole."""
    api = client(target).messages
    request = {**asked(target, model, ""), "messages": messages, "tools": TOOL_LIST}
    if not streamed:
        return api.create(**request)
    with api.stream(**request) as stream:
        return stream.get_final_message()


def loop(target, model, streamed):
    """Calls tools until the model is done: all calls, those of the first turn, the answer."""
    messages, calls, turns = [{"role": "user", "content": "Paris"}], [], []
    for _ in range(5):
        answer = one_turn(target, messages, model, streamed)
        uses = [block for block in answer.content if block.type == "tool_use"]
        expected = "tool_use" if uses else "end_turn"
        check(answer.stop_reason == expected, "the stop reason", answer.stop_reason)
        if not uses:
            said = "".join(block.text for block in answer.content if block.type == "text")
            return calls, turns, said
        content = [block.model_dump(exclude_none=True) for block in answer.content]
        for block in content:
            block.pop("parsed_output", None)
        messages.append({"role": "assistant", "content": content})
        turns.append([use.id for use in uses])
        results = []
        for use in uses:
            calls.append((use.name, use.input))
            result = call_tool(use.name, use.input)
            results.append({"type": "tool_result", "tool_use_id": use.id, "content": result})
        messages.append({"role": "user", "content": results})
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
    """A picture as base64."""
    source = {"type": "base64", "media_type": "image/png", "data": cases.png_base64()}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    answer = client(target).messages.create(**asked(target, "echo", parts))
    check(answer.content[0].text.startswith("What is this?"), "the text beside it", answer.content)
    return cases.png_base64()


def structured_output(target):
    """A schema from a class, parsed back into it."""
    answer = client(target).messages.parse(
        **asked(target, "echo", "Paris"), output_format=Weather
    )
    check(isinstance(answer.parsed_output, Weather), "an object of the class", answer.content)


def error(target):
    """A wrong model and a wrong key, as the package's own exceptions."""
    for stream in (False, True):
        try:
            client(target).messages.create(**asked(target, "unknown", "x"), stream=stream)
            check(False, "no exception")
        except anthropic.NotFoundError as error:
            check(error.status_code == 404, "status", error.status_code)
            check(error.body["type"] == "error", "the shape", error.body)
            check(error.body["error"]["type"] == "not_found_error", "the type", error.body)
    stranger = anthropic.Anthropic(base_url=target.root, api_key="tp-wrong", max_retries=0)
    try:
        stranger.messages.create(**asked(target, "echo", "x"))
        check(False, "no exception for a wrong key")
    except anthropic.AuthenticationError as error:
        check(error.body["error"]["type"] == "authentication_error", "the type", error.body)


def cancelled_stream(target):
    """The application stops reading; the client goes on to serve."""
    with client(target).messages.stream(**asked(target, "slow", "Go.")) as stream:
        cases.cancelled(stream.text_stream, stream.close)
    text(target)


if __name__ == "__main__":
    cases.main(["anthropic"], globals())
