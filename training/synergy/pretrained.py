"""The pretrained model: what many homes taught, as a start for a home that has little to learn from.

It is two files. ``<stem>.safetensors`` holds counts, network weights and the weights of name vectors. ``<stem>.json``
beside it is the card: the texts that the model knows, its calibration, what it was trained on and under which licences,
and the SHA-256 of the first file. It holds no text that fewer than ``MIN_HOMES`` homes use, so no name of a person gets
into it. The flag ``--base-model`` and the folder ``base/`` mean this model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from training.judging.calibration import Calibration
from training.judging.splits import read_digests
from training.runs.errors import ArtifactError, ModelFileError, wrap_read_errors
from training.runs.publishing import recovered, write_atomically
from training.synergy.config import SynergyConfig
from training.synergy.features import FEATURES
from training.synergy.network import network_of
from training.synergy.pair_statistics import PairStatistics, check_finite
from training.synergy.vocabulary import Vocabulary

FORMAT = "gnn_synergy_base"
FORMAT_VERSION = 6
MIN_HOMES = 3


@dataclass(frozen=True)
class PretrainedSynergy:
    """Counts and weights that a training starts from.

    Attributes:
        name: Its name.
        hidden_dim: Width of its network.
        num_layers: Layers of its network.
        acting_domains: Read-only domains whose entities count as able to act.
        statistics: Counts of the pairs that it was trained on.
        network: State dict of a ``SynergyNetwork`` of this size.
        encoder_kind: Kind of the encoder that read names (``name_encoders``); ``names`` in the card.
        meaning: ``LogOdds.meaning`` for that encoder.
        calibration: Its calibration.
        card: The card as it was read or will be written.
    """

    name: str
    hidden_dim: int
    num_layers: int
    acting_domains: tuple[str, ...]
    statistics: PairStatistics
    network: Mapping[str, Tensor]
    encoder_kind: str
    meaning: Tensor
    calibration: Calibration
    card: Mapping[str, Any]

    @property
    def vocabulary(self) -> Vocabulary:
        """The texts that it knows."""
        return self.statistics.vocabulary

    @property
    def home_ids(self) -> frozenset[str]:
        """The real homes that it was trained on."""
        return frozenset(home["home_id"] for home in self.card.get("homes", ()))

    @property
    def trained_on(self) -> str:
        """``judging.splits.unit_digests`` of the pairs that it was trained on; "" where its card does not say."""
        return read_digests(self.card.get("trained_on"))

    def describe(self) -> dict[str, Any]:
        """Name and SHA-256, for the summary of a training that started from it."""
        return {"name": self.name, "sha256": self.card["sha256"]}

    def expanded(self, vocabulary: Vocabulary) -> tuple[dict[str, Tensor], Tensor]:
        """Its network's state dict and its ``meaning`` for a larger vocabulary.

        A text that it does not know gets the weights of unknown texts.
        """
        domains = vocabulary.positions_in(self.vocabulary, "domains")
        classes = vocabulary.positions_in(self.vocabulary, "classes")
        state = dict(self.network)
        state["domain.weight"] = state["domain.weight"][domains]
        state["entity_class.weight"] = state["entity_class.weight"][classes]
        return state, self.meaning[:, domains]

    def save(self, path: Path) -> None:
        """Write both files, all or nothing. Equal models give equal bytes. Raises ArtifactError."""
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
            "names": self.encoder_kind,
            "calibration": vars(self.calibration),
            "acting_domains": list(self.acting_domains),
            "sha256": hashlib.sha256(content).hexdigest(),
            "vocabulary": {key: list(value) for key, value in vars(self.vocabulary).items()},
        }
        text = json.dumps(card, indent=1) + "\n"
        write_atomically(path, content, {path.with_suffix(".json").name: text.encode("ascii")})

    @classmethod
    def load(cls, path: Path) -> PretrainedSynergy:
        """Read both files.

        Raises:
            ModelFileError: One is missing or broken, they do not belong together, or they are of another format.
        """
        with wrap_read_errors(path, "is not a base model that can be loaded", "--base-model none does without"):
            try:
                with recovered(path, sweep=False):
                    content, described = path.read_bytes(), path.with_suffix(".json").read_text(encoding="ascii")
            except ArtifactError as error:
                raise ModelFileError(str(error)) from error
            except OSError as error:
                where = error.filename or path
                raise ModelFileError(f"{where}: no base model can be read here ({error.strerror})") from error
            card = json.loads(described)
            if (card["format"], card["format_version"], card["evidence"]) != (FORMAT, FORMAT_VERSION, list(FEATURES)):
                raise ModelFileError(
                    f"{path}: is no base model of format version {FORMAT_VERSION}; take the one that ships with the "
                    "project, or make it anew with scripts/train_base_model.py"
                )
            if card["sha256"] != hashlib.sha256(content).hexdigest():
                raise ModelFileError(f"{path}: is not the file that {path.with_suffix('.json').name} describes")
            tensors = {name: value.float() for name, value in load_tensors(content).items()}
            vocabulary = Vocabulary.read(card["vocabulary"])
            check_finite("tensors", tensors)
            found = cls(
                name=str(card["name"]),
                hidden_dim=card["hidden_dim"],
                num_layers=card["num_layers"],
                acting_domains=tuple(card["acting_domains"]),
                statistics=PairStatistics(vocabulary, _under("counts.", tensors)),
                network=_under("network.", tensors),
                encoder_kind=str(card["names"]),
                meaning=tensors["meaning"],
                calibration=Calibration.read(card["calibration"]),
                card=card,
            )
            found._check()
            return found

    def _check(self) -> None:
        """Raises what comes of parts that do not fit each other."""
        read_digests(self.card.get("trained_on"))
        if not all(isinstance(text, str) for text in (*self.acting_domains, *self.home_ids)):
            raise TypeError("a domain or a home's id is no text")
        SynergyConfig(hidden_dim=self.hidden_dim, num_layers=self.num_layers)  # its bounds, before layers are made
        network_of(self.vocabulary, self.hidden_dim, self.num_layers, self.network)
        if self.meaning.dim() != 2 or self.meaning.shape[1] != len(self.vocabulary.domains) + 1:
            raise ValueError(f"meaning has shape {tuple(self.meaning.shape)}")


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
