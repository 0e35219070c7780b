"""``impose cvat watch``: what somebody saved is carried on, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from cvat_function.client.errors import CvatError, NotAllowed
from cvat_function.client.estimators import Estimator
from cvat_function.client.flows import propagate
from cvat_function.client.persons import read_persons
from cvat_function.client.shapes import with_shapes
from cvat_function.client.work import Options, Place


def watch(
    place: Place,
    options: Options,
    estimator: Estimator,
    *,
    every: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """A line per event, for ever. Looks every ``every`` seconds whether somebody saved.

    Raises:
        NotAllowed: if the server no longer lets this user.
        ImposeError: if the job cannot be worked on.
    """
    seen: str | None = None
    number = place.job.number
    while True:
        try:
            updated = str(place.server.job(number).get("updated_date", ""))
            if updated != seen:
                new = _new_marks(place)
                if new:
                    outcome = propagate(place, replace(options), estimator, lambda _: None)
                    yield (
                        f"{new} new keyframes of humans: carried on for "
                        f"{', '.join(outcome.persons) or 'nobody'}, "
                        f"{outcome.count.written} keyframes"
                        + ("; reload the job in CVAT" if outcome.written else ", nothing changed")
                    )
                    # what this write itself changed is no news
                    updated = str(place.server.job(number).get("updated_date", ""))
                    if _new_marks(place):
                        continue
                seen = updated
        except NotAllowed:
            raise
        except CvatError as error:
            yield f"{error.message} Trying again."
        sleep(every)


def _new_marks(place: Place) -> int:
    """Keyframes of joints on the job's frames that nothing here has seen."""
    annotations = place.server.annotations(place.job.number)
    persons, _ = with_shapes(read_persons(annotations, place.label), annotations, place.label)
    frames = set(place.job.frames.tolist())
    new = sum(
        one.kind is None and frame in frames
        for person in persons
        for joint in person.joints
        for frame, one in joint.items()
    )
    confirmed = sum(len(person.confirmed & frames) for person in persons)
    return new or confirmed or sum(len(person.copies) for person in persons)
