"""Earlier and later examples: what is learnt from, and what that is held against."""

from __future__ import annotations

import numpy as np

from presagio.forecasters.base import Examples


def split(found: Examples, horizon: float, border: float) -> tuple[Examples, Examples]:
    """Return the examples before and from `border` on (Unix seconds), purged (López de Prado 2018, chapter 7).

    What is known of an example is known a horizon after it: earlier ones whose horizon reaches beyond the border are
    left out, and so are later ones before a failure that earlier ones are learnt from.
    """
    earlier = found.rows(found.times + horizon < border)
    known = np.unique(earlier.failures[earlier.failed])
    later = (found.times >= border) & ~(found.failed & np.isin(found.failures, known))
    return earlier, found.rows(later)


def border(found: Examples, share: float) -> float:
    """Return the time from which on the latest `share` of the failures began, and no less of the moments is left.

    By failures, since a quarter of the time may hold none of them; by time where there are too few.
    """
    times = np.sort(found.times)
    by_time = float(times[int((1 - share) * (len(times) - 1))]) if len(times) else 0.0
    numbers, first = np.unique(found.failures[found.failed], return_index=True)
    if len(numbers) < 4:
        return by_time
    begins = np.sort(found.times[found.failed][first])
    return float(min(by_time, begins[int(np.floor((1 - share) * len(begins)))]))
