"""The `openai` package, embeddings.

The driver's "echo" is an embedding model here, whose vectors are the same for the same text;
"unknown" does not exist.
"""

import math

import openai

import cases
from cases import check
from openai_chat import client


def one(target):
    """One text. The package asks for base64 and decodes it."""
    answer = client(target).embeddings.create(model=target.models["echo"], input="the cat sat")
    (item,) = answer.data
    length = math.sqrt(sum(number * number for number in item.embedding))
    check(abs(length - 1) < 1e-4, "a vector of length one", length)
    check(item.index == 0 and answer.object == "list", "the list", answer.object)
    check(answer.usage.prompt_tokens == answer.usage.total_tokens > 0, "usage", answer.usage)


def many(target):
    """Several texts, in order, as floats, of a chosen size."""
    api = client(target).embeddings
    texts = ["the cat sat", "the cat ran", "blue moon"]
    asked = {"model": target.models["echo"], "input": texts, "dimensions": 256}
    answer = api.create(**asked, encoding_format="float")
    check([item.index for item in answer.data] == [0, 1, 2], "the order", answer.data[0].index)
    check(all(len(item.embedding) == 256 for item in answer.data), "the size")
    first, alike, other = (item.embedding for item in answer.data)
    near = sum(a * b for a, b in zip(first, alike))
    far = sum(a * b for a, b in zip(first, other))
    check(near > 0.5 > far, "alike texts are near", (near, far))
    coded = api.create(**asked).data[0].embedding
    check(max(abs(a - b) for a, b in zip(first, coded)) < 1e-6, "base64 says the same")


def errors(target):
    """A model that is not there, as the package's own exception."""
    try:
        client(target).embeddings.create(model=target.models["unknown"], input="x")
        check(False, "no exception for an unknown model")
    except openai.NotFoundError as error:
        check(error.code == "model_not_found", "an unknown model", error.code)


if __name__ == "__main__":
    cases.run(["openai"], {f.__name__: f for f in (one, many, errors)})
