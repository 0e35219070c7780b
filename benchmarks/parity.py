"""``python -m benchmarks.parity``: how far our networks are from the official ones, as a page.

It reads the golden arrays (``../shared/golden``, or the folder IMPOSE_GOLDEN) and writes
``docs/parity.md``. It ends with 1 if anything is outside its tolerance, or the arrays are absent.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import torch

from benchmarks import parity_identity, parity_layers, parity_networks, parity_training
from benchmarks.parity_fixtures import FOLDER, Deviation

PAGE: Final = Path(__file__).parent.parent / "docs" / "parity.md"
PARTS: Final[tuple[Callable[[], Iterator[Deviation]], ...]] = (
    parity_layers.deviations,
    parity_networks.deviations,
    parity_training.deviations,
    parity_identity.deviations,
)
HEAD: Final = """# Parity

Our networks against numbers that the official code computed (seeded random weights; no trained
weight is involved). Written by `make parity`; `tests/test_parity.py` holds the same comparisons
to the same tolerances.

Each row is the largest absolute deviation over all comparisons of one fixture; what is counted
(classes, matches, masks, names) must agree exactly and is a row of its own. Fixtures: Click-Pose
`31d72bb`, ED-Pose `4afc5be`, MOTIP `5cfbcd4`, each in float32 on a CPU.

| fixture | comparisons | furthest off | largest deviation | tolerance | |
|---|---|---|---|---|---|
"""


def page(deviations: Iterable[Deviation]) -> str:
    """The page: the largest deviation of each fixture and tolerance."""
    groups: dict[tuple[str, float], list[Deviation]] = {}
    for deviation in deviations:
        groups.setdefault((deviation.fixture, deviation.tolerance), []).append(deviation)
    return HEAD + "".join(_row(group) for _, group in sorted(groups.items()))


def _row(group: list[Deviation]) -> str:
    worst = max(group, key=lambda deviation: deviation.largest)
    counted = worst.tolerance == 0
    kinds = dict.fromkeys(re.sub(r" of image \d.*|^\S+: ", "", d.what) for d in group)
    what = ", ".join(kinds) if counted else worst.what
    fits = "ok" if all(deviation.fits for deviation in group) else "**off**"
    off = f"{worst.largest:.0f} differ" if counted else f"{worst.largest:.1e}"
    tolerance = "exact" if counted else f"{worst.tolerance:.0e}"
    return f"| `{worst.fixture}` | {len(group)} | {what} | {off} | {tolerance} | {fits} |\n"


def main() -> int:
    """Compare, write the page, say how it ended."""
    if not (FOLDER / "msdeform_core.npz").is_file():
        print(f"no golden arrays in {FOLDER}; set IMPOSE_GOLDEN", file=sys.stderr)
        return 1
    with torch.no_grad():
        found = [deviation for part in PARTS for deviation in part()]
    PAGE.write_text(page(found), encoding="utf-8")
    wrong = [deviation for deviation in found if not deviation.fits]
    for deviation in wrong:
        print(f"off: {deviation}", file=sys.stderr)
    print(f"{len(found)} comparisons, {len(wrong)} off -> {PAGE}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
