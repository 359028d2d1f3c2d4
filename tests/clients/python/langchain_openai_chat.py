"""The `langchain-openai` package, Chat Completions."""

import openai
from langchain_openai import ChatOpenAI

import cases
import langchain_cases


def make(target, model):
    """As applications make it."""
    return ChatOpenAI(
        model=target.models[model],
        base_url=target.v1,
        api_key=target.key,
        max_retries=0,
        timeout=cases.CALL_MAX_S,
        stream_usage=True,
    )


if __name__ == "__main__":
    langchain_cases.run(["langchain-openai", "openai"], make, openai.NotFoundError)
