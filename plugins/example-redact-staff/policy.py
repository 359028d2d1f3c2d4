"""Employee numbers and project code names, by an organization's own patterns.

A pattern is a regular expression that matches within one word; a code name is one or more words,
in any case. Both become placeholders, which the gateway puts back into the answer, or masks.
"""

import re

from turnpike import Findings, Span

MANIFEST = {
    "name": "example-redact-staff",
    "version": "0.1.0",
    "summary": "an organization's own patterns and code names",
    "config_schema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "patterns": {
                "type": "object",
                "description": "kind to a regular expression of one word, without blanks",
                "additionalProperties": {"type": "string"},
            },
            "code_names": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "action": {"enum": ["pseudonymize", "mask", "note"]},
        },
    },
}

# The gateway holds back at most 4096 bytes, and a character has up to four.
HOLD_MAX = 1000

rules = []
action = "pseudonymize"
longest_name = 1


def configure(config):
    global action, longest_name
    action = config.get("action", "pseudonymize")
    for kind, pattern in config.get("patterns", {}).items():
        if re.search(r"\\s|\s", pattern):
            raise ValueError(f"{kind}: a pattern matches within one word; it has no blanks")
        rules.append((kind, re.compile(rf"(?<!\S)\W*?(?P<it>{pattern})(?=\W*(?!\S))")))
    for name in config.get("code_names", []):
        words = name.split()
        longest_name = max(longest_name, len(words))
        spaced = r"\s+".join(re.escape(word) for word in words)
        rules.append(("code-name", re.compile(rf"(?<!\w)(?P<it>{spaced})(?!\w)", re.IGNORECASE)))


def redact(place, text, last):
    found = []
    for kind, rule in rules:
        for match in rule.finditer(text):
            if match["it"]:
                found.append(Span(match.start("it"), match.end("it"), kind, action))
    # The first of those that overlap stays, the longer of two that begin together.
    found.sort(key=lambda span: (span.start, -span.end))
    spans = []
    for span in found:
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    settled = len(text) if last else settled_end(text, spans)
    return Findings([span for span in spans if span.end <= settled], len(text) - settled)


def settled_end(text, spans):
    """Where what may still change begins: the last words, as many as a code name has, and the
    whole of anything that reaches into them."""
    words = [match.start() for match in re.finditer(r"(?<!\S)\S", text)]
    end = words[-longest_name] if len(words) >= longest_name else 0
    for span in reversed(spans):
        if span.start < end < span.end:
            end = max((start for start in words if start <= span.start), default=0)
    return max(end, len(text) - HOLD_MAX)
