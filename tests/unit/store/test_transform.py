from __future__ import annotations

import hashlib

import numpy as np
import pytest

from countenance.store.transform import orthogonal

KEY, OTHER = bytes(32), bytes(31) + b"\1"


@pytest.mark.parametrize("d", [1, 2, 3, 128, 130])
def test_the_matrix_is_orthogonal(d: int) -> None:
    matrix = orthogonal(KEY, d)
    assert matrix.shape == (d, d)
    assert matrix.dtype == np.float32
    exact = matrix.astype(np.float64)
    assert np.abs(exact @ exact.T - np.eye(d)).max() < 1e-6


def test_the_same_key_gives_the_same_bits_for_ever() -> None:
    bits = orthogonal(KEY, 128).astype("<f4").tobytes()
    assert hashlib.sha256(bits).hexdigest() == "e0dd378e5b43f0b0362b76b10ec1d8993c01997458428698fae8e007eae3423c"


def templates(n: int, d: int) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_inner_products_stay_what_they_are() -> None:
    x = templates(200, 128)
    rotated = x @ orthogonal(KEY, 128)
    assert np.abs(rotated @ rotated.T - x @ x.T).max() < 1e-5


def test_under_two_keys_one_template_looks_like_two_strangers() -> None:
    d = 128
    x = templates(2000, d)
    cosine = np.sum((x @ orthogonal(KEY, d)) * (x @ orthogonal(OTHER, d)), axis=1)
    assert abs(cosine.mean()) < 4 / np.sqrt(d * len(x)) + 3 / d  # the mean of one pair of matrices varies by 1/d
    assert 0.8 < cosine.std() * np.sqrt(d) < 1.2
    assert np.abs(cosine).max() < 6 / np.sqrt(d)


def test_over_many_keys_the_matrix_favours_no_direction() -> None:
    d, n = 8, 400
    many = np.stack([orthogonal(key.to_bytes(32, "big"), d) for key in range(n)])
    assert np.abs(many.mean(axis=0)).max() < 5 / np.sqrt(d * n)
    assert np.abs((many**2).mean(axis=0) - 1 / d).max() < 5 * np.sqrt(2) / d / np.sqrt(n)
    assert 0.4 < (np.linalg.det(many.astype(np.float64)) > 0).mean() < 0.6
