"""Names of models, and what can be known of them at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from understudy import models
from understudy.errors import UnknownModel


def test_names_are_found_and_near_misses_are_named() -> None:
    assert [models.named(model.name) for model in models.ALL] == list(models.ALL)
    with pytest.raises(UnknownModel, match="x-portrait-2-small"):
        models.named("x-portait-2-smal")


def test_listing_is_quick() -> None:
    """Nothing heavy is imported to answer `understudy models`."""
    script = "import sys; from understudy import models; models.listing(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "diffusers", "transformers", "numpy", "cv2"} & set(eval(done.stdout))


def test_rows_have_what_the_table_shows() -> None:
    rows = {row["name"]: row for row in models.listing()}
    assert rows.keys() == {model.name for model in models.ALL}
    assert rows["warp"]["here"] is True
    assert all({"name", "here", "draws", "needs", "licence", "commercial"} == set(row) for row in rows.values())


def test_weights_are_found_where_they_are_put(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    assert models.weights_file("x-portrait.safetensors") is None and not models.X_PORTRAIT.here
    (tmp_path / "x-portrait.safetensors").write_bytes(b"")
    assert models.weights_file("x-portrait.safetensors") == tmp_path / "x-portrait.safetensors"
    assert models.X_PORTRAIT.here
    shipped = models.SHIPPED / "x-portrait-small.safetensors"
    assert models.weights_file(shipped.name) == shipped
    (tmp_path / shipped.name).write_bytes(b"")
    assert models.weights_file(shipped.name) == tmp_path / shipped.name, "one's own, where one says so"


def test_published_manners() -> None:
    """What the released scripts do: 31 evaluations and guidance 5; 35 and 2.5."""
    first, second = models.published_manner(), models.published_manner_2()
    assert (first.steps, first.guidance, first.spacing) == (30, 5.0, "latent_diffusion")
    assert (second.steps, second.guidance, second.spacing) == (35, 2.5, "leading")
    assert (models.x_portrait().window, models.x_portrait().overlap) == (16, 4)
    assert (models.x_portrait_2().window, models.x_portrait_2().overlap) == (24, 4)
