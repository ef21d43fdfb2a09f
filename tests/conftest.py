"""What tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """The larger photo set beside the project, where it is there."""
    if not PHOTOS.is_dir():
        pytest.skip("the larger photo set is not beside the project (../shared/data/photos)")
    return PHOTOS
