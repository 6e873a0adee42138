"""The routine model as its users load it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.runs.errors import ModelFileError


@dataclass(frozen=True)
class RoutineModel:
    """The hour at which each entity is used most; ``otherwise`` is the answer for an entity that has none."""

    hours: Mapping[str, int]
    otherwise: int
    provenance: dict[str, Any] = field(default_factory=dict)

    def hour(self, entity_id: str) -> int:
        """The hour of the day, 0 to 23."""
        return self.hours.get(entity_id, self.otherwise)

    def to_bytes(self) -> bytes:
        """The model file: equal models give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def load(cls, path: str | Path) -> RoutineModel:
        """Read a model file. Raises ModelFileError."""
        try:
            return cls(**json.loads(Path(path).read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise ModelFileError(f"{path}: is no routine model ({error!s:.100})") from error
