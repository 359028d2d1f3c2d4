"""The `google-genai` package."""

import functools

import pydantic
from google import genai
from google.genai import errors, types

import cases
from cases import TOOLS, Target, call_tool, check

DECLARATIONS = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name=name, description=text, parameters_json_schema=schema)
        for name, text, schema in TOOLS
    ]
)


class Weather(pydantic.BaseModel):
    """What a structured answer holds."""

    city: str
    degrees: int
    windy: bool


@functools.cache
def client(target: Target, key=None):
    """As applications make it; kept, since it closes its connections when it is dropped."""
    options = types.HttpOptions(base_url=target.root, timeout=cases.CALL_MAX_S * 1000)
    return genai.Client(api_key=key or target.key, http_options=options)


def text(target):
    """A whole answer, and the count of its prompt's tokens."""
    prompt = "Say größer and 😀."
    api = client(target)
    answer = api.models.generate_content(
        model=target.models["echo"],
        contents=prompt,
        config=types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5),
    )
    check(answer.text == prompt, "the text", answer.text)
    finish = answer.candidates[0].finish_reason
    check(finish == types.FinishReason.STOP, "the finish reason", finish)
    usage = answer.usage_metadata
    check(usage.prompt_token_count > 0 and usage.candidates_token_count > 0, "usage", usage)
    check(usage.total_token_count >= usage.prompt_token_count, "the total", usage)
    counted = api.models.count_tokens(model=target.models["echo"], contents=prompt)
    check(counted.total_tokens > 0, "tokens are counted", counted)


def streaming(target):
    """A stream, to its finish and usage."""
    prompt = "Stream this, größer and 😀, please."
    api = client(target)
    chunks = list(
        api.models.generate_content_stream(model=target.models["echo"], contents=prompt)
    )
    said = "".join(chunk.text or "" for chunk in chunks)
    check(said == prompt, "the text", said)
    check(len(chunks) > 1, "more than one chunk", len(chunks))
    last = chunks[-1]
    finish = last.candidates[0].finish_reason
    check(finish == types.FinishReason.STOP, "the finish reason", finish)
    check(last.usage_metadata.total_token_count > 0, "usage", last.usage_metadata)


def one_turn(target, contents, model, streamed):
    """The model's parts, from a stream or whole."""
    api = client(target).models
    config = types.GenerateContentConfig(
        tools=[DECLARATIONS],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked = {"model": target.models[model], "contents": contents, "config": config}
    if not streamed:
        return api.generate_content(**asked).candidates[0].content.parts
    parts = []
    for chunk in api.generate_content_stream(**asked):
        content = chunk.candidates[0].content if chunk.candidates else None
        parts += (content and content.parts) or []
    # The last chunk often has a part with nothing in it, which Google does not take back.
    return [part for part in parts if part.text != "" or part.thought_signature]


def loop(target, model, streamed):
    """Calls tools until the model is done: all calls, those of the first turn, the answer."""
    contents = [types.Content(role="user", parts=[types.Part(text="Paris")])]
    calls, turns = [], []
    for _ in range(5):
        parts = one_turn(target, contents, model, streamed)
        asked = [part.function_call for part in parts if part.function_call]
        if not asked:
            return calls, turns, "".join(part.text or "" for part in parts if not part.thought)
        contents.append(types.Content(role="model", parts=parts))
        turns.append([call.id or f"{index}" for index, call in enumerate(asked)])
        results = []
        for call in asked:
            calls.append((call.name, call.args))
            result = {"result": call_tool(call.name, call.args)}
            response = types.FunctionResponse(id=call.id, name=call.name, response=result)
            results.append(types.Part(function_response=response))
        contents.append(types.Content(role="user", parts=results))
    raise AssertionError(f"it never ends: {calls}")


def tool_loop(target):
    """Two steps, whole and streamed."""
    for streamed in (False, True):
        calls, turns, answer = loop(target, "agent", streamed)
        check([len(ids) for ids in turns] == [1, 1], "one call a turn", turns)
        cases.check_loop(calls, answer)


def parallel_tools(target):
    """Two calls in one turn, whole and streamed."""
    for streamed in (False, True):
        calls, turns, answer = loop(target, "pair", streamed)
        check(len(turns) == 1, "one turn", turns)
        cases.check_pair(calls, turns[0], answer)


def image(target):
    """A picture as inline data."""
    picture = types.Part.from_bytes(data=cases.png(), mime_type="image/png")
    answer = client(target).models.generate_content(
        model=target.models["echo"], contents=[picture, "What is this?"]
    )
    check(answer.text.startswith("What is this?"), "the text beside it", answer.text)
    return cases.png_base64()


def structured_output(target):
    """A schema from a class, parsed back into it."""
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Weather
    )
    answer = client(target).models.generate_content(
        model=target.models["echo"], contents="Paris", config=config
    )
    check(isinstance(answer.parsed, Weather), "an object of the class", answer.text)


def error(target):
    """A wrong model and a wrong key, as the package's own exceptions."""
    def expect(api, model, status, word):
        try:
            api.models.generate_content(model=target.models[model], contents="x")
            check(False, "no exception")
        except errors.ClientError as error:
            check(error.code == status, "status", error.code)
            check(error.status == word, "the word for it", error.details)

    expect(client(target), "unknown", 404, "NOT_FOUND")
    try:
        stranger = client(target, "tp-wrong")
        stranger.models.generate_content(model=target.models["echo"], contents="x")
        check(False, "no exception for a wrong key")
    except errors.ClientError as error:
        # Google itself says 400 INVALID_ARGUMENT with the reason API_KEY_INVALID.
        check(error.code in (400, 401), "status", error.code)


def cancelled_stream(target):
    """The application stops reading; the client goes on to serve."""
    api = client(target)
    stream = api.models.generate_content_stream(model=target.models["slow"], contents="Go.")
    cases.cancelled((chunk.text for chunk in stream), stream.close)
    text(target)


if __name__ == "__main__":
    cases.main(["google-genai"], globals())
