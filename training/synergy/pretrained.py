"""The base model that ships with the project: what many homes taught, for a home that has little of its own.

Two files: ``<stem>.safetensors`` (counts, network weights, calibration) and ``<stem>.json`` beside it, the card: texts
that the model knows, what it was trained on and under which licences, and the SHA-256 of the first file. No text is in
it that fewer than ``MIN_HOMES`` homes use, so that no name of a person gets out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from training.judging.calibration import Calibration
from training.runs.artifacts import write_atomically
from training.runs.errors import ModelFileError
from training.synergy.encoded_home import Vocabulary
from training.synergy.features import FEATURES
from training.synergy.pair_statistics import PairStatistics

FORMAT = "gnn_synergy_base"
FORMAT_VERSION = 3
MIN_HOMES = 3


@dataclass(frozen=True)
class SynergyBase:
    """Counts and weights to start from.

    ``network`` is the state dict of a ``SynergyNetwork`` of the given size, ``names`` the kind of encoder that it read
    names with (``training.synergy.name_encoders``), and ``meaning`` what their vectors say (``LogOdds.meaning``).
    """

    name: str
    hidden_dim: int
    num_layers: int
    acting: tuple[str, ...]
    statistics: PairStatistics
    network: Mapping[str, Tensor]
    names: str
    meaning: Tensor
    calibration: Calibration
    card: Mapping[str, Any]

    @property
    def vocabulary(self) -> Vocabulary:
        """The texts that the base knows."""
        return self.statistics.vocabulary

    @property
    def home_ids(self) -> frozenset[str]:
        """Homes that the base was trained on, generated ones left out."""
        return frozenset(home["home_id"] for home in self.card.get("homes", ()))

    def describe(self) -> dict[str, Any]:
        """What a summary says of the base that a training started from."""
        return {"name": self.name, "sha256": self.card["sha256"]}

    def save(self, path: Path) -> None:
        """Write both files, all or nothing; equal models give equal bytes. Raises ArtifactError."""
        tensors = {f"counts.{k}": v.half() for k, v in self.statistics.counts.items()}
        tensors |= {f"network.{k}": v.half() for k, v in self.network.items()}
        tensors["meaning"] = self.meaning.half()
        content = save_tensors({k: v.contiguous() for k, v in sorted(tensors.items())})
        card = {
            **self.card,
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "hidden_dim": self.hidden_dim,
            "num_layers": self.num_layers,
            "evidence": list(FEATURES),
            "names": self.names,
            "calibration": vars(self.calibration),
            "acting_domains": list(self.acting),
            "sha256": hashlib.sha256(content).hexdigest(),
            "vocabulary": {key: list(value) for key, value in vars(self.vocabulary).items()},
        }
        text = json.dumps(card, indent=1) + "\n"
        write_atomically(path, content, {path.with_suffix(".json").name: text.encode("ascii")})

    @classmethod
    def load(cls, path: Path) -> SynergyBase:
        """Read both files. Raises ModelFileError where one is missing, broken or does not go with the other."""
        try:
            content = path.read_bytes()
            card = json.loads(path.with_suffix(".json").read_text(encoding="ascii"))
            if (card["format"], card["format_version"], card["evidence"]) != (FORMAT, FORMAT_VERSION, list(FEATURES)):
                raise ModelFileError(f"{path}: is no base model of this format; --base-model none does without")
            if card["sha256"] != hashlib.sha256(content).hexdigest():
                raise ModelFileError(f"{path}: is not the file that {path.with_suffix('.json').name} describes")
            tensors = {name: value.float() for name, value in load_tensors(content).items()}
            vocabulary = Vocabulary(**{key: tuple(value) for key, value in card["vocabulary"].items()})
            return cls(
                name=str(card["name"]),
                hidden_dim=card["hidden_dim"],
                num_layers=card["num_layers"],
                acting=tuple(card["acting_domains"]),
                statistics=PairStatistics(vocabulary, _under("counts.", tensors)),
                network=_under("network.", tensors),
                names=str(card["names"]),
                meaning=tensors["meaning"],
                calibration=Calibration(**card["calibration"]),
                card=card,
            )
        except OSError as error:
            where = error.filename or path
            raise ModelFileError(f"{where}: no base model can be read here ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, SafetensorError) as error:
            what = " ".join(str(error).split())[:120]
            raise ModelFileError(f"{path}: is not a base model that can be loaded ({what})") from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def fitted(base: SynergyBase, vocabulary: Vocabulary) -> tuple[dict[str, Tensor], Tensor]:
    """The base's network and ``meaning`` for a larger vocabulary: a text new to it starts as one never seen."""
    domains = vocabulary.positions_in(base.vocabulary, "domains")
    classes = vocabulary.positions_in(base.vocabulary, "classes")
    state = dict(base.network)
    state["domain.weight"] = state["domain.weight"][domains]
    state["entity_class.weight"] = state["entity_class.weight"][classes]
    return state, base.meaning[:, domains]
