"""A redact policy: replaces staff numbers such as E-123456 by placeholders, which the gateway puts
back into the answer.
"""

import re

from turnpike import Findings, Span

MANIFEST = {
    "name": "policy-name",
    "version": "0.1.0",
    "summary": "replaces staff numbers by placeholders",
    "config_schema": {"type": "object", "additionalProperties": False, "properties": {}},
}

# Not inside a longer word or number.
STAFF = re.compile(r"(?<![\w-])E-\d{6}(?![\w-])", re.ASCII)
WORD = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
# The gateway holds back at most 4096 bytes; no word is longer.
LONGEST = 4000


def configure(config):
    """Nothing to configure yet."""


def redact(place, text, last):
    """Called with a whole text (`last`), or with a piece of a stream and what was held back."""
    hold = 0 if last else held_back(text)
    settled = len(text) - hold
    found = STAFF.finditer(text)
    spans = [Span(it.start(), it.end(), "staff-number") for it in found if it.end() <= settled]
    return Findings(spans, hold)


def held_back(text):
    """The word at the end may go on in the next piece, so it waits as a whole."""
    start = len(text)
    while start > 0 and text[start - 1] in WORD:
        start -= 1
    return min(len(text) - start, LONGEST)
