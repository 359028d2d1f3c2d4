"""The `langgraph` package: a graph of a model and its tools, with `langchain-openai` below."""

import asyncio
import contextlib
import operator
from typing import Annotated, TypedDict

import openai
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

import cases
from cases import check
from langchain_cases import TOOLS, Weather, said
from langchain_openai_chat import make


class State(TypedDict):
    """The messages so far."""

    messages: Annotated[list[AnyMessage], operator.add]


def graph(target, model, tools=TOOLS):
    """A model that may call tools, the tools, and a memory of the conversation."""
    chat = make(target, model)
    # The package's limit on the wait for each piece is `asyncio.wait_for`, which up to Python 3.11
    # loses a cancellation that meets a piece; the graph would then read a stream to its end.
    chat.stream_chunk_timeout = None
    chat = chat.bind_tools(tools) if tools else chat

    async def say(state):
        return {"messages": [await chat.ainvoke(state["messages"])]}

    out = StateGraph(State)
    out.add_node("model", RunnableLambda(
        lambda state: {"messages": [chat.invoke(state["messages"])]}, afunc=say
    ))
    out.add_edge(START, "model")
    if tools:
        out.add_node("tools", ToolNode(tools))
        out.add_conditional_edges("model", tools_condition)
        out.add_edge("tools", "model")
    return out.compile(checkpointer=InMemorySaver())


CONVERSATION = {"configurable": {"thread_id": "one"}, "recursion_limit": 12}


def ask(content):
    """The state that a conversation goes on with."""
    return {"messages": [HumanMessage(content)]}


def text(target):
    """Two turns of a conversation that the graph remembers."""
    app = graph(target, "echo", tools=None)
    for prompt in ("Say größer and 😀.", "And once more."):
        state = app.invoke(ask(prompt), CONVERSATION)
        check(said(state["messages"][-1]) == prompt, "the text", state["messages"][-1])
    check(len(state["messages"]) == 4, "all four messages", state["messages"])


def streaming(target):
    """The model's tokens come out of the graph as they come in."""
    prompt = "Stream this, größer and 😀, please."
    app = graph(target, "echo", tools=None)
    pieces = [
        said(message)
        for message, _ in app.stream(ask(prompt), CONVERSATION, stream_mode="messages")
    ]
    check("".join(pieces) == prompt, "the text", pieces)
    check(len(pieces) > 3, "more than one piece", len(pieces))


def run_tools(target, model, streamed):
    """The calls of a run, turn by turn, and the answer."""
    app = graph(target, model)
    if streamed:
        for _ in app.stream(ask("Paris"), CONVERSATION, stream_mode="messages"):
            pass
        messages = app.get_state(CONVERSATION).values["messages"]
    else:
        messages = app.invoke(ask("Paris"), CONVERSATION)["messages"]
    turns = [m.tool_calls for m in messages if isinstance(m, AIMessage) and m.tool_calls]
    return turns, said(messages[-1])


def tool_loop(target):
    """Two steps, whole and streamed."""
    for streamed in (False, True):
        turns, answer = run_tools(target, "agent", streamed)
        check([len(turn) for turn in turns] == [1, 1], "one call a turn", turns)
        calls = [(call["name"], call["args"]) for turn in turns for call in turn]
        cases.check_loop(calls, answer)


def parallel_tools(target):
    """Two calls in one turn, whole and streamed."""
    for streamed in (False, True):
        turns, answer = run_tools(target, "pair", streamed)
        check(len(turns) == 1, "one turn", turns)
        calls = [(call["name"], call["args"]) for call in turns[0]]
        cases.check_pair(calls, [call["id"] for call in turns[0]], answer)


def image(target):
    """A picture in the state."""
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "base64": cases.png_base64(), "mime_type": "image/png"},
    ]
    state = graph(target, "echo", tools=None).invoke(ask(parts), CONVERSATION)
    last = state["messages"][-1]
    check(said(last).startswith("What is this?"), "the text", last)
    return cases.png_base64()


def structured_output(target):
    """A node that writes an object into the state."""
    class Typed(TypedDict):
        weather: Weather

    chat = make(target, "echo").with_structured_output(Weather)
    out = StateGraph(Typed)
    out.add_node("model", lambda _: {"weather": chat.invoke("Paris")})
    out.add_edge(START, "model")
    state = out.compile().invoke({})
    check(isinstance(state["weather"], Weather), "an object of the class", state)


def error(target):
    """A wrong model, as the exception of the provider's package, out of the graph."""
    try:
        graph(target, "unknown").invoke(ask("x"), CONVERSATION)
        check(False, "no exception")
    except openai.NotFoundError as error:
        check(error.status_code == 404, "status", error.status_code)


async def stop_early(target):
    """Reads a little of what a graph says, and leaves."""
    app = graph(target, "slow", tools=None)
    said_so_far = ""
    heard = app.astream(ask("Go."), CONVERSATION, stream_mode="messages")
    # Closed here and awaited, rather than whenever the event loop ends.
    async with contextlib.aclosing(heard):
        async for message, _ in heard:
            said_so_far += said(message)
            if len(said_so_far) > 20:
                break
    return said_so_far


def cancelled_stream(target):
    """The application stops reading; the graph goes on to serve.

    Asynchronously: a graph that runs in threads waits for its node's end, whatever is closed.
    """
    text_so_far = asyncio.run(asyncio.wait_for(stop_early(target), cases.CANCEL_MAX_S))
    check(len(text_so_far) > 20, "something was said", text_so_far)
    text(target)


if __name__ == "__main__":
    cases.main(["langgraph", "langchain-openai"], globals())
