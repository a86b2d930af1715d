"""JSON values: what a dict, a list or a Json becomes, and what comes back."""

import json


class Json:
    """Wraps anything that JSON can hold, to be written as JSON: Json(None) is null, Json("text") a JSON text.

    What is read is never a Json: null reads as None.
    """

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"Json({self.value!r})"

    def __eq__(self, other):
        return isinstance(other, Json) and self.value == other.value

    def __hash__(self):
        return hash(dumps(self))


def dumps(value):
    """The text of a value. ValueError: nan and infinities, which JSON does not have."""
    if isinstance(value, Json):
        value = value.value
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


loads = json.loads
