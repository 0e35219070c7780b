"""From a Nuclio event to a Nuclio response: JSON both ways, and one table of status codes."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

from cvat_function.requests import body_of
from impose_core.errors import ImposeError

STATUS: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "usage": 400,
    "skeleton_mismatch": 400,
    "state": 409,
    "too_large": 413,
    "bad_image": 422,
}
"""By an error's ``code``; every other error is the function's own fault: 500."""


def answered(context: Any, event: Any, work: Callable[[Mapping[str, Any]], Any]) -> Any:
    """The response of ``context`` to ``event``, whose JSON body ``work`` answers.

    Nothing is raised: CVAT shows a response's status and text to the annotator, while Nuclio
    would answer an exception with a traceback.
    """
    try:
        return _response(context, 200, work(body_of(event.body)))
    except ImposeError as error:
        status = STATUS.get(error.code, 500)
        if status == 500:
            _log(context, error)
        told = {"error": error.code, "message": error.message}
        return _response(context, status, told | ({"hint": error.hint} if error.hint else {}))
    except Exception as error:  # noqa: BLE001 the last frame before Nuclio's own
        _log(context, error)
        message = "The function failed on this request; its log has the details."
        return _response(context, 500, {"error": "internal", "message": message})


def _response(context: Any, status: int, value: Any) -> Any:
    # a body that is no text would be sent as Python writes it, a list as several responses
    return context.Response(
        body=json.dumps(value, allow_nan=False),
        headers={},
        content_type="application/json",
        status_code=status,
    )


def _log(context: Any, error: Exception) -> None:
    context.logger.error("".join(traceback.format_exception(error)))
