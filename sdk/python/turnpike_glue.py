"""The SDK of policies in Python: `turnpike plugin build` puts it around what `policy.py` defines.

It turns the contract's values into plain ones and back, catches what a policy raises, logs it and
answers `internal`. It decides nothing.
"""

import json
import traceback

from turnpike import Abstain, Invalid, usd_parse, usd_print


def _value(types, value):
    if isinstance(value, bool):
        return types.Value_Flag(value)
    if isinstance(value, str):
        return types.Value_Text(value)
    if isinstance(value, (int, float)):
        return types.Value_Number(float(value))
    raise TypeError(f"an attribute is a text, a number or a flag, not {type(value).__name__}")


def _attrs(types, attrs):
    return [(name, _value(types, value)) for name, value in attrs.items()]


class _Request:
    """The request in hand. Every method asks the host; nothing is copied before."""

    def __init__(self, given):
        self._given = given

    def __getattr__(self, name):
        return getattr(self._given, name)

    def attr(self, name, default=None):
        found = self._given.attr(name)
        return default if found is None else found.value

    def last_user_text(self, length=4096):
        """The end of the last user message, where the question stands."""
        for index in reversed(range(self._given.messages())):
            if self._given.message_role(index) == "user":
                start = max(0, self._given.message_length(index) - length)
                return self._given.message_text(index, start, length)
        return ""


class _Candidates:
    def __init__(self, given):
        self._given = given

    def count(self):
        return self._given.count()

    def offer(self, index):
        return self._given.offer(index)

    def attr(self, index, name, default=None):
        found = self._given.attr(index, name)
        return default if found is None else found.value


class Glue:
    """The component's exports around a policy's module."""

    def __init__(self, policy, types, err, given):
        self._policy, self._types, self._err = policy, types, err
        self._log = given["log"]
        self._request = _Request(given["request"])
        self._candidates = _Candidates(given["candidates"]) if "candidates" in given else None

    def _write(self, level, message):
        self._log.write(getattr(self._log.Level, level), message)

    def _decide(self, name, work):
        """Runs a decision. None is an abstention; anything raised is a refusal."""
        try:
            found = work()
        except Abstain:
            found = None
        except Invalid as refused:
            raise self._err(self._types.Refusal_Invalid(str(refused)))
        except Exception as error:
            self._write("ERROR", f"{name}: {traceback.format_exc()}")
            raise self._err(self._types.Refusal_Internal(str(error)[:512]))
        if found is None:
            raise self._err(self._types.Refusal_Abstain())
        return found

    def manifest(self):
        given = self._policy.MANIFEST
        schema = given.get("config_schema", "")
        return {
            "name": given["name"],
            "version": given["version"],
            "summary": given.get("summary", ""),
            "config_schema": schema if isinstance(schema, str) else json.dumps(schema),
        }

    def configure(self, config):
        try:
            self._policy.configure(json.loads(config))
        except Exception as error:
            raise self._err(str(error))

    def classify(self, types):
        def work():
            found = self._policy.classify(self._request)
            return found and types.Classification(
                task=found["task"],
                difficulty=float(found.get("difficulty", 0.5)),
                confidence=float(found.get("confidence", 0.5)),
                needs=list(found.get("needs", [])),
                context_tokens=int(found.get("context_tokens", 0)),
                attrs=_attrs(types, found.get("attrs", {})),
            )

        return self._decide("classify", work)

    def route(self, _types, task, figures, objective):
        def work():
            return self._policy.route(task, figures, objective, self._candidates)

        return self._decide("route", work)

    def reason(self, index):
        try:
            return str(self._policy.reason(index))
        except Exception:
            self._write("ERROR", f"reason: {traceback.format_exc()}")
            return ""

    def redact(self, types, place, text, last):
        def work():
            found = self._policy.redact(place, text, last)
            return None if found is None else _findings(types, text, found)

        return self._decide("redact", work)

    def bill(self, types, call):
        def work():
            lines = self._policy.bill(call)
            return None if lines is None else [_line(types, it) for it in lines]

        return self._decide("bill", work)


def _findings(types, text, found):
    """A policy counts in characters, the contract in UTF-8 bytes."""
    if text.isascii():
        size = len
    else:

        def size(part):
            return len(part.encode())

    spans, at, offset = [], 0, 0
    for span in found.spans:
        offset += size(text[at : span.start])
        length = size(text[span.start : span.end])
        action = getattr(types, "Action_" + span.action.capitalize())
        action = action() if span.text is None else action(span.text)
        spans.append(types.Span(start=offset, length=length, kind=span.kind, action=action))
        offset, at = offset + length, span.end
    hold = size(text[len(text) - found.hold :]) if found.hold else 0
    return types.Findings(spans=spans, hold=hold, data_class=found.data_class)


def _line(types, it):
    amount = it.amount
    if amount is None:
        amount = usd_print(usd_parse(it.unit_price) * it.count)
    return types.Line(
        item=it.item, count=it.count, unit_price=it.unit_price, amount=amount, note=it.note
    )

