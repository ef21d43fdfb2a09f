"""What a scan of a source tells: how far it is, and at its end what it did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a scan is."""

    done: int
    total: int
    faces: int
    refused: int
    seconds: float

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before there is one."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(slots=True, kw_only=True)
class Added:
    """What one scan did."""

    source_id: str
    looked_at: int = 0
    added: int = 0
    unchanged: int = 0
    vanished: int = 0
    skipped: dict[str, int] = field(default_factory=dict)  # files left out, by a key of sources.SKIPPED
    faces: int = 0  # templates kept
    discarded: int = 0  # faces seen and discarded in memory
    kept_out: int = 0  # faces discarded at the person's own wish
    refused: dict[str, int] = field(default_factory=dict)  # photos not held, by slug
    sentences: dict[str, str] = field(default_factory=dict)  # slug -> sentence
    not_embedded: dict[str, int] = field(default_factory=dict)  # faces without template, by sentence
