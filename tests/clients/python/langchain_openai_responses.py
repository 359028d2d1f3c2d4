"""The `langchain-openai` package, Responses."""

import openai
from langchain_openai import ChatOpenAI

import cases
import langchain_cases

# OpenAI says 400 here and 404 in Chat.
NOT_FOUND = (openai.NotFoundError, openai.BadRequestError)


def make(target, model):
    """As applications make it that keep no conversation at the provider."""
    return ChatOpenAI(
        model=target.models[model],
        base_url=target.v1,
        api_key=target.key,
        max_retries=0,
        timeout=cases.CALL_MAX_S,
        use_responses_api=True,
        store=False,
    )


if __name__ == "__main__":
    langchain_cases.run(["langchain-openai", "openai"], make, NOT_FOUND)
