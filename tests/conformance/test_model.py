"""What a model must pass before its table may stay in models.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from countenance.vision import embed, models, session

if TYPE_CHECKING:
    from pathlib import Path

EMBEDDING = [model.name for model in models.table().values() if model.role == "embed"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def faces(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", models.table())
def test_its_table_says_licence_training_data_and_publication(name: str):
    model = models.named(name)
    assert model.licence
    assert model.publication
    assert "not asked" in model.training or "consent" in model.training
    assert len(model.sha256) == 64
    assert model.role in ("detect", "embed")


@pytest.mark.parametrize("name", models.table())
def test_its_file_is_found_whole_and_prepares_to_something_that_runs(name: str, folder: Path):
    assert models.find(models.named(name)).is_file()
    assert len(session.opened(name, folder).get_inputs()) == 1


@pytest.mark.parametrize("name", EMBEDDING)
def test_it_gives_unit_templates_of_the_stated_dimension(name: str, folder: Path):
    model = models.named(name)
    vectors = embed.templates(faces(3, model.size), name, folder)
    assert vectors.shape == (3, model.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", EMBEDDING)
def test_a_face_gets_the_same_template_alone_and_among_others(name: str, folder: Path):
    many = faces(11, models.named(name).size)
    together = embed.templates(many, name, folder)
    alone = np.concatenate([embed.templates(many[i : i + 1], name, folder) for i in range(11)])
    assert (together * alone).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize("name", EMBEDDING)
def test_the_order_of_colours_matters_to_it(name: str, folder: Path):
    face = faces(1, models.named(name).size)
    face[..., 0] //= 4
    a, b = (embed.templates(each, name, folder)[0] for each in (face, np.ascontiguousarray(face[..., ::-1])))
    assert float(a @ b) < 0.999


@pytest.mark.parametrize("name", EMBEDDING)
def test_no_faces_give_no_templates(name: str, folder: Path):
    model = models.named(name)
    assert embed.templates(faces(0, model.size), name, folder).shape == (0, model.dimension)
