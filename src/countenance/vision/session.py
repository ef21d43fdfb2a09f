"""Models loaded into onnxruntime: once per process, one thread each, because two processes of one beat one of two."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from countenance.vision import models

if TYPE_CHECKING:
    from pathlib import Path


@lru_cache(maxsize=4)
def opened(name: str, folder: Path) -> Any:
    """Return an onnxruntime session over the prepared file of the model `name` in the cache `folder`.

    Raises ModelError.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    ort.disable_telemetry_events()
    path = models.prepared(models.named(name), folder)
    return ort.InferenceSession(path, options, providers=[models.PROVIDER])
