"""The forms in which CVAT says where somebody is, and back.

====================  ==========================================================================
form                  shape
====================  ==========================================================================
``list``              ``[x1, y1, x2, y2]`` or ``[x, y] * K``: CVAT before 2.40
``points``            ``{"type": "rectangle" | "skeleton", "points": [...]}``
``elements``          ``{"type": "skeleton", "elements": [{"label" | "label_id", "points": [x, y],
                      "outside", "occluded"}]}``, as CVAT's API has it
====================  ==========================================================================

``Shape.rest`` is what a shape carries besides its points, unknown keys included; it comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from cvat_function.errors import BadRequest, TooLarge
from cvat_function.fields import expected, flag, label_name, listed, number, numbers, plain
from cvat_function.limits import KEYPOINTS, SHAPE_BYTES, with_keypoints
from impose_core.skeleton import Skeleton

Floats = NDArray[np.float64]
Form = Literal["list", "points", "elements"]
FORMS: Final[tuple[Form, ...]] = ("list", "points", "elements")
DIGITS: Final = 3
"""Of a coordinate in an answer, after the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A box or a pose, and the form it came in.

    Attributes:
        form: see the module.
        rest: the shape without its points; None in form ``list``.
        points: [K, 2] px; of a box, two corners. Of a joint that is outside, where it last was.
        box: whether it is one.
        names: K joint names, empty for a box.
        outside: [K] whether a joint is not on the image.
        occluded: [K] whether a joint is hidden there.
    """

    form: Form
    rest: dict[str, Any] | None
    points: Floats
    box: bool
    names: tuple[str, ...]
    outside: NDArray[np.bool_]
    occluded: NDArray[np.bool_]

    @property
    def xy(self) -> Floats:
        """[K, 2] px of the joints; NaN where they are outside."""
        return np.where(self.outside[:, None], np.nan, self.points)

    def written(self) -> Any:
        """As CVAT takes it, in the form it came in."""
        flat = [_plain_number(v) for v in self.points.ravel()]
        if self.form == "list" or self.rest is None:
            return flat
        everywhere_outside = bool(self.outside.all())
        hidden = ~self.outside & self.occluded
        state = {
            "outside": everywhere_outside,
            "occluded": bool(not everywhere_outside and (hidden | self.outside).all()),
        }
        if self.form == "points":
            return {**self.rest, "points": flat, **state}
        elements = [
            {
                **element,
                "points": flat[2 * k : 2 * k + 2],
                "outside": bool(self.outside[k]),
                "occluded": bool(hidden[k]),
            }
            for k, element in enumerate(self.rest["elements"])
        ]
        return {**self.rest, "points": [], "elements": elements, **state}


def read_shape(value: object, name: str, *, skeleton: Skeleton, labels: Mapping[int, str]) -> Shape:
    """The shape ``value``, in whatever form.

    Args:
        value: from the request.
        name: of the field, for messages.
        skeleton: whose joints are meant where the shape does not say.
        labels: names of sub-labels by id, where the request gives them.

    Raises:
        BadRequest: if it is none of the forms.
        TooLarge: if it has too many joints or too much else.
    """
    if isinstance(value, list):
        points = numbers(value, name, most=2 * KEYPOINTS)
        return _flat(points, name, form="list", rest=None, box=len(points) == 4, skeleton=skeleton)
    if not isinstance(value, dict):
        raise expected(name, "a shape (a list of numbers, or an object)", value)
    kind = value.get("type")
    if kind not in ("rectangle", "skeleton"):
        raise expected(f"{name}.type", "'rectangle' or 'skeleton'", kind)
    if kind == "skeleton" and value.get("elements"):
        return _elements(
            value, name, skeleton=skeleton, labels={**labels, **own_labels(value, name)}
        )
    points = numbers(value.get("points"), f"{name}.points", most=2 * KEYPOINTS)
    most = with_keypoints(SHAPE_BYTES, len(points) // 2)
    rest = plain({k: v for k, v in value.items() if k != "points"}, name, most=most)
    box = kind == "rectangle"
    return _flat(points, f"{name}.points", form="points", rest=rest, box=box, skeleton=skeleton)


def own_labels(value: Mapping[str, Any], name: str) -> dict[int, str]:
    """Names by id of the sub-labels that ``value`` (a shape, a label, a request) speaks of."""
    found: dict[int, str] = {}
    label = value.get("label")
    if isinstance(label, dict):
        found |= own_labels(label, f"{name}.label")
    for i, one in enumerate(_maybe_list(value.get("labels"), f"{name}.labels")):
        if isinstance(one, dict):
            found |= _sublabels(one.get("sublabels"), f"{name}.labels[{i}].sublabels")
    return found | _sublabels(value.get("sublabels"), f"{name}.sublabels")


def _sublabels(value: object, name: str) -> dict[int, str]:
    found = {}
    for i, one in enumerate(_maybe_list(value, name)):
        if not isinstance(one, dict):
            raise expected(f"{name}[{i}]", "an object with 'id' and 'name'", one)
        if _is_id(one.get("id")):
            found[one["id"]] = label_name(one.get("name"), f"{name}[{i}].name")
    return found


def _maybe_list(value: object, name: str) -> list[Any]:
    return [] if value is None else listed(value, name)


def _flat(
    points: Sequence[float],
    name: str,
    *,
    form: Form,
    rest: dict[str, Any] | None,
    box: bool,
    skeleton: Skeleton,
) -> Shape:
    if not points or len(points) % 2:
        raise BadRequest(f"Expected '{name}' to hold pairs of x and y, got {len(points)} numbers.")
    xy = np.asarray(points, np.float64).reshape(-1, 2)
    names: tuple[str, ...] = ()
    if box:
        if len(xy) != 2:
            raise BadRequest(
                f"Expected '{name}' of a rectangle to hold 4 numbers, got {len(points)}."
            )
        xy = np.sort(xy, axis=0)
        if (np.ptp(xy, axis=0) < 1).any():
            raise expected(name, "a rectangle at least a pixel wide and high", list(points))
    else:
        names = _names_in_order(len(xy), skeleton)
    return _all_there(form=form, rest=rest, points=xy, box=box, names=names)


def _all_there(
    *, form: Form, rest: dict[str, Any] | None, points: Floats, box: bool, names: tuple[str, ...]
) -> Shape:
    nowhere = np.zeros(len(points), bool)
    return Shape(
        form=form,
        rest=rest,
        points=points,
        box=box,
        names=names,
        outside=nowhere,
        occluded=nowhere,
    )


def _names_in_order(count: int, skeleton: Skeleton) -> tuple[str, ...]:
    """Of joints that come without names: CVAT's order is that of the label."""
    if count == len(skeleton):
        return skeleton.keypoints
    return tuple(f"joint_{k}" for k in range(count))


def _elements(
    value: dict[str, Any], name: str, *, skeleton: Skeleton, labels: Mapping[int, str]
) -> Shape:
    elements = listed(value["elements"], f"{name}.elements")
    if len(elements) > KEYPOINTS:
        raise TooLarge(
            f"Expected '{name}.elements' to hold at most {KEYPOINTS} joints, got {len(elements)}."
        )
    if value.get("points"):  # CVAT sends none beside elements; they come back, so they must be JSON
        numbers(value["points"], f"{name}.points", most=2 * KEYPOINTS)
    points, outside, occluded, rests = [], [], [], []
    for k, element in enumerate(elements):
        field = f"{name}.elements[{k}]"
        if not isinstance(element, dict):
            raise expected(field, "an object", element)
        if element.get("type", "points") != "points":
            raise expected(f"{field}.type", "'points'", element["type"])
        outside.append(flag(element.get("outside"), f"{field}.outside"))
        occluded.append(flag(element.get("occluded"), f"{field}.occluded"))
        points.append(_place(element.get("points"), f"{field}.points", outside=outside[-1]))
        rests.append({key: v for key, v in element.items() if key != "points"})
    xy = np.array(points)
    known = np.isfinite(xy).all(-1)
    # a joint that is outside may come without a place, but CVAT wants one for each
    xy[~known] = xy[known].mean(0) if known.any() else 0.0
    rest = {key: v for key, v in value.items() if key not in ("points", "elements")}
    return Shape(
        form="elements",
        rest=plain(
            {**rest, "elements": rests}, name, most=with_keypoints(SHAPE_BYTES, len(elements))
        ),
        points=xy,
        box=False,
        names=_element_names(elements, f"{name}.elements", skeleton=skeleton, labels=labels),
        outside=np.array(outside, bool),
        occluded=np.array(occluded, bool),
    )


def _place(value: object, name: str, *, outside: bool) -> tuple[float, float]:
    if outside and not value:
        return np.nan, np.nan
    if not isinstance(value, list) or len(value) != 2:
        raise expected(name, "two numbers, x and y", value)
    return number(value[0], f"{name}[0]"), number(value[1], f"{name}[1]")


def _element_names(
    elements: Sequence[Mapping[str, Any]],
    name: str,
    *,
    skeleton: Skeleton,
    labels: Mapping[int, str],
) -> tuple[str, ...]:
    """By the elements' labels; by their ids among ``labels``; by the order of their ids."""
    given = [_label(element, f"{name}[{k}]") for k, element in enumerate(elements)]
    twice = {label for label in given if label is not None and given.count(label) > 1}
    if twice:
        k = max(k for k, label in enumerate(given) if label in twice)
        raise expected(f"{name}[{k}]", "a joint no other element is", given[k])
    found = [labels.get(label) if isinstance(label, int) else label for label in given]
    if all(found) and len(set(found)) == len(found):
        return cast("tuple[str, ...]", tuple(found))
    if all(isinstance(label, int) for label in given):  # sub-labels get their ids in order
        rank = np.argsort(np.argsort([cast("int", label) for label in given]))
        return tuple(_names_in_order(len(given), skeleton)[r] for r in rank)
    if not any(label is not None for label in given):
        return _names_in_order(len(given), skeleton)
    return tuple(one or f"joint_{k}" for k, one in enumerate(found))


def _label(element: Mapping[str, Any], name: str) -> str | int | None:
    label = element.get("label")
    if isinstance(label, dict):
        name, label = f"{name}.label", label.get("name", label.get("id"))
    if label is None:
        label = element.get("label_id")
    if label is None or _is_id(label):
        return cast("int | None", label)
    return label_name(label, f"{name}.label")


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _plain_number(value: float) -> float:
    return round(float(value), DIGITS) + 0.0
