"""What a slide keeps open is given back: a service opens thousands."""

from pathlib import Path

import numpy as np
import pytest

from inference.errors import Refused
from tests.opened import open_slide

OPEN = Path("/proc/self/fd")


@pytest.mark.skipif(not OPEN.is_dir(), reason="only Linux tells which files a process has open")
def test_no_file_stays_open_after_a_slide_is_closed_or_refused(kit, tmp_path):
    rgb = kit.picture(256, 192)
    half = np.ascontiguousarray(rgb[::2, ::2])
    for number, pixels, um in (("1", rgb, 0.5), ("2", half, 1.0), ("3", half[:, ::-1].copy(), 1.0)):
        kit.level(pixels, number=number, um=(um, um)).write(tmp_path / f"{number}.dcm")
    before = len(list(OPEN.iterdir()))
    for _ in range(3):
        slide = open_slide(tmp_path)
        slide.close()
        slide.close()
        with pytest.raises(Refused):
            open_slide(tmp_path, mpp=5.0)
    assert len(list(OPEN.iterdir())) == before
