"""The `openai` package, Responses, as a stateless caller uses them."""

import json

import openai
import pydantic

import cases
from cases import TOOLS, Target, call_tool, check

FUNCTIONS = [
    {"type": "function", "name": name, "description": text, "parameters": schema, "strict": True}
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


def text(target):
    """A whole answer."""
    prompt = "Say größer and 😀."
    answer = client(target).responses.create(
        model=target.models["echo"], input=prompt, instructions="Be brief.", store=False
    )
    check(answer.output_text == prompt, "the text", answer.output_text)
    check(answer.status == "completed", "the status", answer.status)
    check(answer.id and answer.object == "response", "an id", answer)
    usage = answer.usage
    check(usage.total_tokens == usage.input_tokens + usage.output_tokens > 0, "usage", usage)
    check(answer._request_id, "a request id", answer._request_id)


def streaming(target):
    """Every event in its place."""
    prompt = "Stream this, größer and 😀, please."
    events = list(
        client(target).responses.create(
            model=target.models["echo"], input=prompt, store=False, stream=True
        )
    )
    kinds = [event.type for event in events]
    said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    check(said == prompt, "the text", said)
    opening = ["response.created", "response.in_progress", "response.output_item.added",
               "response.content_part.added", "response.output_text.delta"]
    check(kinds[:5] == opening, "the opening", kinds[:6])
    closing = ["response.output_text.done", "response.content_part.done",
               "response.output_item.done", "response.completed"]
    check(kinds[-4:] == closing, "the end", kinds[-5:])
    numbers = [event.sequence_number for event in events]
    check(numbers == sorted(set(numbers)), "rising sequence numbers", numbers)
    whole = events[-1].response
    check(whole.output_text == prompt, "the whole text at the end", whole.output)
    check(whole.usage.total_tokens > 0, "usage at the end", whole.usage)
    check(len({events[0].response.id, whole.id}) == 1, "one id", whole.id)


def one_turn(target, items, model, streamed):
    """A response, from a stream or whole."""
    api = client(target).responses
    asked = {"model": target.models[model], "input": items, "tools": FUNCTIONS, "store": False}
    if not streamed:
        return api.create(**asked)
    with api.stream(**asked) as stream:
        return stream.get_final_response()


def loop(target, model, streamed):
    """Calls tools until the model is done: all calls, those of the first turn, the answer."""
    items, calls, turns = [{"role": "user", "content": "Paris"}], [], []
    for _ in range(5):
        answer = one_turn(target, items, model, streamed)
        asked = [item for item in answer.output if item.type == "function_call"]
        if not asked:
            return calls, turns, answer.output_text
        items += [
            item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
            for item in answer.output
        ]
        turns.append([call.call_id for call in asked])
        for call in asked:
            calls.append((call.name, json.loads(call.arguments)))
            result = call_tool(call.name, call.arguments)
            items.append(
                {"type": "function_call_output", "call_id": call.call_id, "output": result}
            )
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
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    answer = client(target).responses.create(
        model=target.models["echo"], input=[{"role": "user", "content": parts}], store=False
    )
    check(answer.output_text.startswith("What is this?"), "the text beside it", answer.output_text)
    return cases.png_base64()


def structured_output(target):
    """A schema from a class, parsed back into it."""
    answer = client(target).responses.parse(
        model=target.models["echo"], input="Paris", text_format=Weather, store=False
    )
    check(isinstance(answer.output_parsed, Weather), "an object of the class", answer.output)


def error(target):
    """A wrong model, as the package's own exception."""
    for stream in (False, True):
        try:
            client(target).responses.create(
                model=target.models["unknown"], input="x", store=False, stream=stream
            )
            check(False, "no exception")
        except (openai.NotFoundError, openai.BadRequestError) as error:
            # OpenAI says 400 here and 404 in Chat, with the same code.
            check(error.code == "model_not_found", "code", error.body)


def cancelled_stream(target):
    """The application stops reading; the client goes on to serve."""
    stream = client(target).responses.create(
        model=target.models["slow"], input="Go.", store=False, stream=True
    )
    texts = (e.delta if e.type == "response.output_text.delta" else "" for e in stream)
    cases.cancelled(texts, stream.close)
    text(target)


if __name__ == "__main__":
    cases.main(["openai"], globals())
