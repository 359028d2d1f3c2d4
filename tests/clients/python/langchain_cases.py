"""What LangChain's chat models have in common, whichever provider's package they come from."""

import pydantic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool

import cases
from cases import check


class Weather(pydantic.BaseModel):
    """Weather of a city."""

    city: str
    degrees: int
    windy: bool


@tool
def find_city(name: str) -> str:
    """Finds the city that is meant."""
    return cases.find_city(name)


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return cases.get_weather(city)


TOOLS = [find_city, get_weather]


def said(message):
    """The text of a message, whether its content is a text or a list of blocks."""
    return str(message.text)


class Chat:
    """The cases, for a function that makes a chat model: `make(target, model)`."""

    def __init__(self, make, not_found):
        self.make = make
        self.not_found = not_found

    def text(self, target):
        """A whole answer."""
        prompt = "Say größer and 😀."
        answer = self.make(target, "echo").invoke([("system", "Be brief."), ("user", prompt)])
        check(said(answer) == prompt, "the text", answer.content)
        usage = answer.usage_metadata
        total = usage["input_tokens"] + usage["output_tokens"]
        check(usage["total_tokens"] == total > 0, "usage", usage)

    def streaming(self, target):
        """A stream; the usage is counted once."""
        prompt = "Stream this, größer and 😀, please."
        chunks = list(self.make(target, "echo").stream(prompt))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        check(said(whole) == prompt, "the text", whole.content)
        check(len(chunks) > 3, "more than one chunk", len(chunks))
        plain = self.make(target, "echo").invoke(prompt)
        streamed, once = whole.usage_metadata, plain.usage_metadata
        check(streamed and streamed["total_tokens"] == once["total_tokens"],
              "usage as when not streamed", (streamed, once))

    def loop(self, target, model, streamed):
        """Calls tools until the model is done: all calls, those of the turns, the answer."""
        chat = self.make(target, model).bind_tools(TOOLS)
        messages, calls, turns = [HumanMessage("Paris")], [], []
        for _ in range(5):
            if streamed:
                chunks = list(chat.stream(messages))
                answer = chunks[0]
                for chunk in chunks[1:]:
                    answer += chunk
            else:
                answer = chat.invoke(messages)
            check(not answer.invalid_tool_calls, "valid calls", answer.invalid_tool_calls)
            if not answer.tool_calls:
                return calls, turns, said(answer)
            messages.append(answer)
            turns.append([call["id"] for call in answer.tool_calls])
            for call in answer.tool_calls:
                calls.append((call["name"], call["args"]))
                result = cases.call_tool(call["name"], call["args"])
                messages.append(ToolMessage(result, tool_call_id=call["id"]))
        raise AssertionError(f"it never ends: {calls}")

    def tool_loop(self, target):
        """Two steps, whole and streamed."""
        for streamed in (False, True):
            calls, turns, answer = self.loop(target, "agent", streamed)
            cases.check_loop(calls, answer)
            check([len(ids) for ids in turns] == [1, 1], "one call a turn", turns)

    def parallel_tools(self, target):
        """Two calls in one turn, whole and streamed."""
        for streamed in (False, True):
            calls, turns, answer = self.loop(target, "pair", streamed)
            check(len(turns) == 1, "one turn", turns)
            cases.check_pair(calls, turns[0], answer)

    def image(self, target):
        """A picture as LangChain's own content block."""
        parts = [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "base64": cases.png_base64(), "mime_type": "image/png"},
        ]
        answer = self.make(target, "echo").invoke([HumanMessage(content=parts)])
        check(said(answer).startswith("What is this?"), "the text beside it", answer.content)
        return cases.png_base64()

    def structured_output(self, target):
        """A schema from a class, by the provider's own feature and by a forced tool."""
        for method in ("json_schema", "function_calling"):
            chat = self.make(target, "echo").with_structured_output(Weather, method=method)
            answer = chat.invoke("Paris")
            check(isinstance(answer, Weather), f"an object of the class by {method}", answer)

    def error(self, target):
        """A wrong model, as the exception of the provider's package."""
        try:
            self.make(target, "unknown").invoke("x")
            check(False, "no exception")
        except self.not_found as error:
            check(error.status_code in (400, 404), "status", error.status_code)

    def cancelled_stream(self, target):
        """The application stops reading; the client goes on to serve."""
        stream = self.make(target, "slow").stream("Go.")
        cases.cancelled((said(chunk) for chunk in stream), stream.close)
        self.text(target)


def run(packages, make, not_found):
    """All cases with chat models that `make` makes."""
    chat = Chat(make, not_found)
    names = [case.replace(" ", "_") for case in cases.CASES]
    cases.main(packages, {name: getattr(chat, name) for name in names})
