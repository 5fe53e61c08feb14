"""Two pictures of the page, held to what was looked at and found good; fonts may differ, layout and colours may not."""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest

from .conftest import PATIENCE

BASELINES = Path(__file__).parent / "baselines"
# Pictures are compared at a quarter of their size, where letters are grey and lines are lines.
SHRINK = 4
# Mean difference of brightness, and share of places that differ by more than a quarter of the scale: a missing curve,
# a moved panel or another palette is several times more; another font is less.
MEAN, STRAY = 3.0, 0.02

LOOKS = {
    "slope": "",
    "landscape": "#landscape?f=(1-x)**2%2B100*(y-x**2)**2&x=-1.2,1&window=-2,2,-1,3&on=BFGS",
}


@pytest.mark.parametrize("name", LOOKS)
def test_the_page_looks_as_it_did(open_page, name):
    from PIL import Image

    page = open_page(LOOKS[name], width=1000, height=720)
    page.wait_for_selector("path.curve" if name == "slope" else "g.path")
    kept = BASELINES / f"{name}.png"
    if os.environ.get("STEEPEST_BASELINES"):
        page.wait_for_timeout(2_000)
        kept.parent.mkdir(exist_ok=True)
        Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(kept, optimize=True)
    before = Image.open(kept).convert("RGB")
    size = [side // SHRINK for side in before.size]
    end = time.monotonic() + PATIENCE
    mean, stray = np.inf, 1.0
    # A machine busy with other things draws later; what is wrong stays wrong.
    while (mean >= MEAN or stray >= STRAY) and time.monotonic() < end:
        page.wait_for_timeout(300)
        seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        assert seen.size == before.size
        small = [np.asarray(image.resize(size, Image.BOX), float) for image in (seen, before)]
        difference = np.abs(small[0] - small[1]).max(axis=-1)
        mean, stray = difference.mean(), (difference > 64).mean()
    assert mean < MEAN
    assert stray < STRAY
