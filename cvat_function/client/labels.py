"""The skeleton label of a job, and the three attributes by which persons survive in CVAT.

A track's number changes with every save, and nothing else in CVAT says who made a keyframe:

- ``id``, text, immutable: who the person is.
- ``origin``, select, mutable: whether a keyframe is ``manual`` or ``auto``.
- ``impose``, text, mutable: which joints of it were written here (:mod:`.record`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cvat_function.client.connection import Server
from cvat_function.client.errors import BadJob, NotAllowed
from cvat_function.client.job import Job
from cvat_function.spec import label_spec
from impose_core.skeleton import Skeleton, skeleton_from_names

MANUAL: Final = "manual"
AUTO: Final = "auto"

ATTRIBUTES: Final[Sequence[Mapping[str, Any]]] = (
    {"name": "id", "mutable": False, "input_type": "text", "default_value": "", "values": [""]},
    {
        "name": "origin",
        "mutable": True,
        "input_type": "select",
        "default_value": MANUAL,
        "values": [MANUAL, AUTO],
    },
    {"name": "impose", "mutable": True, "input_type": "text", "default_value": "", "values": [""]},
)
"""As CVAT's raw label editor takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkeletonLabel:
    """A label of type skeleton.

    Attributes:
        number: its id.
        name: its name.
        skeleton: its joints, in the order CVAT shows them.
        joints: the ids of its sub-labels, in the same order.
        specs: ids of the attributes above that it has, by name.
    """

    number: int
    name: str
    skeleton: Skeleton
    joints: tuple[int, ...]
    specs: Mapping[str, int]

    @property
    def missing(self) -> list[str]:
        """Names of the attributes it lacks."""
        return [str(one["name"]) for one in ATTRIBUTES if one["name"] not in self.specs]


def client_label(skeleton: Skeleton) -> dict[str, Any]:
    """The label for CVAT's raw editor, with everything ``impose cvat`` needs."""
    return {**label_spec(skeleton), "attributes": [dict(one) for one in ATTRIBUTES]}


def read_label(server: Server, job: Job, *, name: str | None) -> SkeletonLabel:
    """The skeleton label called ``name``, or the only one of the job.

    Raises:
        BadJob: if there is none, there are several, or an attribute of it is of another kind.
        CvatError: if the server does not answer.
    """
    labels = server.labels(job.number, job.organization)
    found = {one["name"]: one for one in labels if one.get("type") == "skeleton"}
    if name is None and len(found) != 1:
        raise BadJob(
            f"Expected {job.name} to have one skeleton label, got {len(found)}: "
            f"{', '.join(found) or 'none'}.",
            hint="Choose one with --label." if found else "'impose cvat label-spec' prints one.",
        )
    if name is not None and name not in found:
        raise BadJob(
            f"Expected '--label' to be a skeleton label of {job.name} "
            f"({', '.join(found) or 'there is none'}), got {name!r}."
        )
    label = found[name] if name is not None else next(iter(found.values()))
    joints = sorted(label["sublabels"], key=lambda one: int(one["id"]))
    return SkeletonLabel(
        number=int(label["id"]),
        name=label["name"],
        skeleton=skeleton_from_names(label["name"], [one["name"] for one in joints]),
        joints=tuple(int(one["id"]) for one in joints),
        specs=_specs(label),
    )


def with_attributes(
    server: Server, job: Job, label: SkeletonLabel, *, create: bool
) -> SkeletonLabel:
    """``label`` with all three attributes; the missing ones are made if ``create``.

    Raises:
        BadJob: if some are missing and must not be made.
        NotAllowed: if the user may not change the label.
    """
    if not label.missing:
        return label
    how = (
        f"Add text 'id' (immutable), select 'origin' (mutable, {MANUAL} and {AUTO}) and text "
        f"'impose' (mutable) to label {label.name!r} in CVAT"
    )
    if not create:
        raise BadJob(
            f"Expected label {label.name!r} to have the attributes that keep persons apart, "
            f"got none called {', '.join(label.missing)}.",
            hint=f"Let --add-attributes make them. Or: {how}.",
        )
    try:
        server.add_attributes(
            label.number, [one for one in ATTRIBUTES if one["name"] in label.missing]
        )
    except NotAllowed as error:
        raise NotAllowed(
            error.message, hint=f"{how}, or ask the owner of the task or project to."
        ) from None
    return read_label(server, job, name=label.name)


def _specs(label: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for wanted in ATTRIBUTES:
        for one in label.get("attributes", ()):
            if one["name"] != wanted["name"]:
                continue
            if (bool(one["mutable"]), one["input_type"]) != (
                wanted["mutable"],
                wanted["input_type"],
            ):
                raise BadJob(
                    f"Expected attribute {one['name']!r} of label {label['name']!r} to be "
                    f"{wanted['input_type']} and {_mutable(wanted)}, got {one['input_type']} and "
                    f"{_mutable(one)}.",
                    hint="Rename the one that is there.",
                )
            found[str(one["name"])] = int(one["id"])
    return found


def _mutable(attribute: Mapping[str, Any]) -> str:
    return "mutable" if attribute["mutable"] else "immutable"
