"""Turn a carried model file into one that onnxruntime runs, and runs fast.

As carried, weights are block-quantised int8 listed as required inputs, which onnxruntime 1.32 refuses and OpenCV 5
asserts on. Folding them to float32 costs nothing in accuracy (cosine >= 0.9999998). Rewriting PReLU keeps onnxruntime
in its blocked layout (53 reorders become 1): SFace runs 2.5 times faster on one thread, with the same answers.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write(source: Path, target: Path, *, rewrite: bool = True) -> None:
    """Write the prepared form of the model at `source` to `target`, whole or not at all, with its sha256 beside it.

    `rewrite` False leaves PReLU as it is: the plain reference that tests and benchmarks compare with.
    """
    import onnx  # noqa: PLC0415

    model = onnx.load(source)
    graph = model.graph
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = _folded(graph.node, weights)
    if rewrite:
        nodes = [new for node in nodes for new in _rewritten(node, weights)]
    _free_batch(nodes, weights)
    used = {name for node in nodes for name in node.input}
    inputs = [value for value in graph.input if value.name in used and value.name not in weights]
    for value in [*inputs, *graph.output]:
        _free_shape(value, keep_size=not any(node.op_type == "Resize" for node in nodes))
    kept = onnx.helper.make_graph(
        nodes,
        graph.name,
        inputs,
        list(graph.output),
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items() if name in used],
    )
    clean = onnx.helper.make_model(kept, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.checker.check_model(clean, full_check=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, clean.SerializeToString(deterministic=True))
    _replace(digest_path(target), digest(target).encode("ascii"))


def _folded(nodes: Any, weights: dict[str, NDArray[Any]]) -> list[Any]:
    """Compute every DequantizeLinear and Reshape whose inputs are all constants; return the nodes that remain."""
    kept = []
    for node in nodes:
        constant = all(name in weights for name in node.input)
        if constant and node.op_type == "DequantizeLinear":
            settings = {attribute.name: attribute.i for attribute in node.attribute}
            weights[node.output[0]] = _dequantised(
                *(weights[name] for name in node.input), axis=settings.get("axis", 1), block=settings["block_size"]
            )
        elif constant and node.op_type == "Reshape":
            weights[node.output[0]] = weights[node.input[0]].reshape(weights[node.input[1]])
        else:
            kept.append(node)
    return kept


def _dequantised(
    values: NDArray[Any], scales: NDArray[Any], zeros: NDArray[Any], *, axis: int, block: int
) -> NDArray[np.float32]:
    """Return (value - zero) * scale with one scale per `block` values along `axis` (ONNX DequantizeLinear)."""

    def spread(array: NDArray[Any]) -> NDArray[np.float32]:
        return np.repeat(array, block, axis).take(range(values.shape[axis]), axis).astype(np.float32)

    return (values.astype(np.float32) - spread(zeros)) * spread(scales)


def _rewritten(node: Any, weights: dict[str, NDArray[Any]]) -> list[Any]:
    """Replace PReLU(x) by a * x + (1 - a) * relu(x), each product a depthwise 1x1 convolution.

    Where no slope a is above 1, (1 - a) * relu(x) is relu((1 - a) * x), and the runtime fuses the convolution with it.
    """
    import onnx  # noqa: PLC0415

    slope = weights.get(node.input[1]) if node.op_type == "PRelu" else None
    if slope is None or slope.shape[1:] != (1, 1):
        return [node]
    (out,) = node.output
    channels = slope.shape[0]
    weights[f"{out}_below"] = slope.reshape(channels, 1, 1, 1)
    weights[f"{out}_above"] = 1 - weights[f"{out}_below"]
    shape = {"kernel_shape": [1, 1], "group": channels}
    below = onnx.helper.make_node("Conv", [node.input[0], f"{out}_below"], [f"{out}_a"], **shape)
    steps = [("Conv", [f"{out}_above"]), ("Relu", [])]
    if (slope > 1).any():
        steps.reverse()
    first, second = (
        onnx.helper.make_node(kind, [source, *weight], [target], **(shape if weight else {}))
        for (kind, weight), source, target in zip(
            steps, (node.input[0], f"{out}_c"), (f"{out}_c", f"{out}_b"), strict=True
        )
    )
    return [below, first, second, onnx.helper.make_node("Add", [f"{out}_a", f"{out}_b"], [out])]


def _free_batch(nodes: list[Any], weights: dict[str, NDArray[Any]]) -> None:
    """Let a Reshape to (1, …) keep whatever batch it gets."""
    for node in nodes:
        shape = weights.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape[0] == 1:
            weights[node.input[1]] = np.concatenate([[0], shape[1:]]).astype(np.int64)


def _free_shape(value: Any, *, keep_size: bool) -> None:
    """Make the first dimension dynamic, and the others too where the network is fully convolutional."""
    for position, dimension in enumerate(value.type.tensor_type.shape.dim):
        last = len(value.type.tensor_type.shape.dim) - 1
        if position == 0:
            dimension.dim_param = "batch"
        elif not keep_size and position != (1 if last == 3 else last):  # noqa: PLR2004  (3: an image, channels second)
            dimension.dim_param = f"{value.name}_{position}"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return the file's sha256 in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_path(path: Path) -> Path:
    """Return where the prepared file's own sha256 is kept."""
    return path.with_name(path.name + ".sha256")
