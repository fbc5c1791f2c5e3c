"""The points of a range answer, taken out of its JSON before that is decoded.

Two weeks of history are millions of [time, "value"]. Decoded with the rest, each takes 200 bytes and five times as
long as one of a plain list of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import orjson

Floats = npt.NDArray[np.float64]

_BEGIN, _END = b'"values":[[', b"]]"


def lift(body: bytes) -> tuple[bytes, list[bytes]]:
    """Return the JSON with a number in place of the points of each series, and the points that each number means.

    Within a text of JSON the quotes would be escaped: what looks like points is points.
    """
    rest: list[bytes] = []
    lifted: list[bytes] = []
    place = 0
    while (begin := body.find(_BEGIN, place)) >= 0 and (end := body.find(_END, begin)) >= 0:
        rest.append(body[place:begin] + b'"values":%d' % len(lifted))
        lifted.append(body[begin + len(_BEGIN) : end])
        place = end + len(_END)
    return b"".join([*rest, body[place:]]), lifted


def points(told: int | Sequence[Sequence[float | str]], lifted: Sequence[bytes]) -> Floats:
    """Return [t, 2], times and values, of what stands under "values". Raises ValueError, LookupError or TypeError.

    They are lists where they were not lifted, as in JSON with spaces.
    """
    flat: Iterable[float | str | bytes] = (
        _numbers(lifted[told]) if isinstance(told, int) else chain.from_iterable(told)
    )
    return np.fromiter(map(float, flat), dtype=np.float64).reshape(-1, 2)


def _numbers(text: bytes) -> Iterable[float | bytes]:
    flat = text.translate(None, b'[]"')
    try:
        # JSON knows no negative zero that is whole; but to the bit is what an instant query gives.
        found: Iterable[float] = orjson.loads(b"[%b]" % flat) if b'"-0"' not in text else ()
    except orjson.JSONDecodeError:
        found = ()  # NaN and Inf are no numbers of JSON
    return found or flat.split(b",")
