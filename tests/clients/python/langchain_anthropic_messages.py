"""The `langchain-anthropic` package."""

import anthropic
from langchain_anthropic import ChatAnthropic

import cases
import langchain_cases


def make(target, model):
    """As applications make it."""
    return ChatAnthropic(
        model=target.models[model],
        base_url=target.root,
        api_key=target.key,
        max_retries=0,
        timeout=cases.CALL_MAX_S,
        max_tokens=1000,
    )


if __name__ == "__main__":
    langchain_cases.run(["langchain-anthropic", "anthropic"], make, anthropic.NotFoundError)
