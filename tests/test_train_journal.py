"""What a run says of itself."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from understudy.train.journal import Journal, png, tiled


def test_sheets_are_pictures_that_others_can_read() -> None:
    picture = torch.randint(0, 256, (37, 53, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(picture)))), picture.numpy())


def test_rows_lie_under_each_other_and_small_ones_are_enlarged() -> None:
    large, small = torch.zeros(2, 3, 8, 8), torch.ones(3, 1, 4, 4)
    sheet = tiled([large, small])
    assert sheet.shape == (16, 24, 3) and sheet.dtype == torch.uint8
    assert int(sheet[:8, :16].max()) == 0
    assert int(sheet[:8, 16:].min()) == 255  # paper, where a row is shorter
    assert int(sheet[8:].min()) == 255


def test_a_journal_is_gone_on_with_from_the_step_that_was_saved(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for step in range(1, 6):
        journal.note(step, {"loss": 1 / step})
    journal.sheet(5, "faces", torch.zeros(2, 2, 3, dtype=torch.uint8))
    journal.close()
    again = Journal(tmp_path, step=3)
    again.note(4, {"loss": 7.0})
    assert [(line["step"], line["loss"]) for line in again.read()] == [(1, 1), (2, 0.5), (3, 1 / 3), (4, 7.0)]
    again.close()
    assert (tmp_path / "sheets" / "0000005-faces.png").exists()
