"""The label and the poses in the models of CVAT's own SDK; skipped where that is not installed."""

from __future__ import annotations

import pytest
from cvat_calls import SceneReader, image

from cvat_function.detecting import Detector
from cvat_function.spec import label_spec
from impose_core.skeleton import PRESETS
from impose_core.synthesis import SceneConfig, render

models = pytest.importorskip("cvat_sdk.models", reason="needs cvat-sdk")


@pytest.mark.parametrize("skeleton", PRESETS.values(), ids=lambda s: s.name)
def test_the_label_is_one_the_sdk_sends(skeleton):
    label = label_spec(skeleton)
    sublabels = [models.SublabelRequest(**one) for one in label.pop("sublabels")]
    request = models.PatchedLabelRequest(**label, sublabels=sublabels)
    assert request.type == "skeleton"
    assert len(request.sublabels) == len(skeleton)
    assert all(len(sublabel.name) <= 64 for sublabel in request.sublabels)


def test_a_found_person_is_a_shape_the_sdk_sends():
    scene = render(SceneConfig(seed=4, frames=1, persons=1))
    (found,) = Detector(reader=SceneReader(scene), skeleton=SceneReader.skeleton).answer(
        {"image": image(scene.frames[0])}
    )
    elements = [
        models.SubLabeledShapeRequest(
            type=element["type"],
            frame=0,
            label_id=k,
            points=element["points"],
            outside=bool(element["outside"]),
        )
        for k, element in enumerate(found["elements"])
    ]
    shape = models.LabeledShapeRequest(
        type=found["type"], frame=0, label_id=1, points=[], elements=elements
    )
    assert len(shape.elements) == 17
