"""What the tests of vision share."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from countenance.records import Admitted
from countenance.vision import examine


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared models."""
    folder = tmp_path_factory.mktemp("models")
    examine.prepare(folder)
    return folder


@pytest.fixture(scope="session")
def portrait() -> bytes:
    """A public-domain picture of 512 x 512 pixels with one face, a PNG."""
    path = Path(str(metadata.distribution("scikit-image").locate_file("skimage/data/astronaut.png")))
    return path.read_bytes()


def admit(content: bytes) -> Admitted:
    return Admitted(
        collection_id="col_a",
        purpose="tests",
        art6="consent",
        art9="explicit-consent",
        notice="none needed",
        expires_at=datetime(2999, 1, 1, tzinfo=UTC),
        content=content,
    )


@pytest.fixture(scope="session")
def admitted():
    """Turn bytes into an Admitted photo, as the gate would."""
    return admit
