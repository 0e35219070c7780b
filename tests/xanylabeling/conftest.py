"""The slow lane: against the real app, in its own environment (``make test-xanylabeling``)."""

from __future__ import annotations

import importlib.util

import pytest

HAVE_APP = all(
    importlib.util.find_spec(name) for name in ("anylabeling", "PyQt6", "impose_xanylabeling")
)
collect_ignore = [] if HAVE_APP else ["driver.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if HAVE_APP:
        return
    reason = "X-AnyLabeling is not installed here: make test-xanylabeling makes its environment"
    for item in items:
        if "/xanylabeling/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))
