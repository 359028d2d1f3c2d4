"""The `llama-index-llms-openai` package, by its class for servers with OpenAI's protocol."""

import openai
import pydantic
from llama_index.core.base.llms.types import (
    ChatMessage, ImageBlock, MessageRole, TextBlock,
)
from llama_index.core.llms import LLMMetadata
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI

import cases
from cases import check


class Weather(pydantic.BaseModel):
    """Weather of a city."""

    city: str
    degrees: int
    windy: bool


def find_city(name: str) -> str:
    """Finds the city that is meant."""
    return cases.find_city(name)


def get_weather(city: str) -> str:
    """Weather of a city."""
    return cases.get_weather(city)


TOOLS = [FunctionTool.from_defaults(tool) for tool in (find_city, get_weather)]


class Gateway(OpenAI):
    """As applications make it for names of models that the package has no table of."""

    @property
    def metadata(self) -> LLMMetadata:
        """What the table would say."""
        return LLMMetadata(
            model_name=self.model,
            context_window=128_000,
            num_output=1000,
            is_chat_model=True,
            is_function_calling_model=True,
        )


def make(target, model):
    """A model of the gateway."""
    return Gateway(
        model=target.models[model],
        api_base=target.v1,
        api_key=target.key,
        max_retries=0,
        timeout=cases.CALL_MAX_S,
        reuse_client=False,
    )


def ask(text):
    """One user message."""
    return [ChatMessage(role=MessageRole.USER, content=text)]


def text(target):
    """A whole answer, as chat and as completion."""
    prompt = "Say größer and 😀."
    llm = make(target, "echo")
    answer = llm.chat([ChatMessage(role=MessageRole.SYSTEM, content="Be brief."), *ask(prompt)])
    check(answer.message.content == prompt, "the text", answer.message.content)
    check(answer.raw.usage.total_tokens > 0, "usage", answer.raw.usage)
    check(llm.complete(prompt).text == prompt, "a completion")


def streaming(target):
    """A stream of pieces."""
    prompt = "Stream this, größer and 😀, please."
    pieces = list(make(target, "echo").stream_chat(ask(prompt)))
    said = "".join(piece.delta or "" for piece in pieces)
    check(said == prompt, "the text", said)
    check(pieces[-1].message.content == prompt, "the whole at the end", pieces[-1].message)
    check(len(pieces) > 3, "more than one piece", len(pieces))


def loop(target, model, streamed):
    """Calls tools until the model is done: all calls, those of the turns, the answer."""
    llm = make(target, model)
    messages, calls, turns = ask("Paris"), [], []
    for _ in range(5):
        asked = {"tools": TOOLS, "chat_history": messages, "allow_parallel_tool_calls": True}
        if streamed:
            answer = list(llm.stream_chat_with_tools(**asked))[-1]
        else:
            answer = llm.chat_with_tools(**asked)
        chosen = llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        if not chosen:
            return calls, turns, answer.message.content
        messages = [*messages, answer.message]
        turns.append([call.tool_id for call in chosen])
        for call in chosen:
            calls.append((call.tool_name, call.tool_kwargs))
            messages.append(
                ChatMessage(
                    role=MessageRole.TOOL,
                    content=cases.call_tool(call.tool_name, call.tool_kwargs),
                    additional_kwargs={"tool_call_id": call.tool_id},
                )
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
    """A picture as a block."""
    blocks = [
        TextBlock(text="What is this?"),
        ImageBlock(image=cases.png(), image_mimetype="image/png"),
    ]
    answer = make(target, "echo").chat([ChatMessage(role=MessageRole.USER, blocks=blocks)])
    check(answer.message.content.startswith("What is this?"), "the text beside it", answer.message)
    return cases.png_base64()


def structured_output(target):
    """An object of a class; the package asks by a forced tool."""
    answer = make(target, "echo").as_structured_llm(Weather).chat(ask("Paris"))
    check(isinstance(answer.raw, Weather), "an object of the class", answer.raw)


def error(target):
    """A wrong model, as the exception of OpenAI's package."""
    try:
        make(target, "unknown").chat(ask("x"))
        check(False, "no exception")
    except openai.NotFoundError as error:
        check(error.status_code == 404, "status", error.status_code)


def cancelled_stream(target):
    """The application stops reading; the client goes on to serve."""
    stream = make(target, "slow").stream_chat(ask("Go."))
    cases.cancelled((piece.delta for piece in stream), stream.close)
    text(target)


if __name__ == "__main__":
    cases.main(["llama-index-llms-openai", "llama-index-core", "openai"], globals())
