"""What a policy in Python uses: `from turnpike import Findings, Span`. Plain Python, so that a
policy's own unit tests run without a host.
"""

from dataclasses import dataclass, field
from typing import List, Optional

_DECIMALS = 12


class Abstain(Exception):
    """Raised by a policy that leaves the decision to the built-in; returning None does the same."""


class Invalid(Exception):
    """Raised when the request or the configuration is at fault."""


@dataclass
class Span:
    """An entity: characters `start` to `end` of the text, and what shall become of it."""

    start: int
    end: int
    kind: str
    #: note, mask, pseudonymize, replace or block
    action: str = "pseudonymize"
    #: What stands there instead, or why the request is refused.
    text: Optional[str] = None


@dataclass
class Findings:
    """In order, not overlapping."""

    spans: List[Span] = field(default_factory=list)
    #: Characters at the end that may begin an entity; 0 when the text was the last.
    hold: int = 0
    data_class: str = ""


@dataclass
class Line:
    """A line of a bill; the amount is count times unit price if it is left out."""

    item: str
    count: int
    unit_price: str
    amount: Optional[str] = None
    note: str = ""


def usd_parse(text):
    """Exact decimal US dollars as an integer of 10^-12: money is never a float."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (whole and digits.isascii() and digits.isdigit() and len(fraction) <= _DECIMALS):
        raise ValueError(f"{text} is no decimal amount of US dollars")
    return int(whole + fraction.ljust(_DECIMALS, "0"))


def usd_print(pico):
    """The shortest exact text of an amount."""
    digits = str(pico).rjust(_DECIMALS + 1, "0")
    whole, fraction = digits[:-_DECIMALS], digits[-_DECIMALS:].rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
