"""How an adapter is trained: its configuration, and PEFT's for each method."""

from __future__ import annotations

from typing import Literal, NamedTuple

from peft import (
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    TaskType,
)
from pydantic import BaseModel, ConfigDict, Field

from training.text.backbone import SCRATCH_WIDTH, Pieces
from training.text.fit import FitSettings, Limits

Method = Literal["lora", "dora", "rslora", "prompt", "prefix", "p-tuning"]
VIRTUAL_TOKENS = 20

SCRATCH_EPOCHS, SCRATCH_BATCH, SCRATCH_LEARNING_RATE = 30, 16, 3e-3
SCRATCH_ROWS = 40_000  # rows seen at most, so that large data takes fewer epochs
UPDATE_ROWS = 4  # that an update sees at least: production takes batches of 1 and gathers the gradients of four


class Seq2SeqConfig(BaseModel):
    """How an adapter is trained; the defaults are production's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_model: str = "google/flan-t5-small"
    method: Method = "lora"
    epochs: int = Field(default=3, gt=0)
    learning_rate: float = Field(default=5e-5, gt=0, allow_inf_nan=False)
    batch_size: int = Field(default=1, gt=0)
    source_max_tokens: int = Field(default=384, gt=0)
    target_max_tokens: int = Field(default=384, gt=0)
    lora_r: int = Field(default=16, gt=0)
    lora_alpha: float = Field(default=16.0, gt=0)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    seed: int = 0

    @property
    def limits(self) -> Limits:
        """Tokens of a row at most."""
        return Limits(self.source_max_tokens, self.target_max_tokens)

    @property
    def at_once(self) -> Limits:
        """Tokens computed together: those of ``batch_size`` rows as long as they may be; of shorter ones, more rows."""
        return Limits(self.batch_size * self.source_max_tokens, self.batch_size * self.target_max_tokens)

    @property
    def fit_settings(self) -> FitSettings:
        """How an adapter is fitted; an update sees at least ``UPDATE_ROWS`` rows."""
        rows = max(UPDATE_ROWS, self.batch_size)
        return FitSettings(self.epochs, self.learning_rate, rows, self.seed, at_once=self.at_once)


class Scratch(NamedTuple):
    """How a scratch base is made; ``rows`` are those seen at most, so that large data takes fewer epochs."""

    pieces: Pieces = "unigram"
    epochs: int = SCRATCH_EPOCHS
    rows: int = SCRATCH_ROWS


def adapter_config(config: Seq2SeqConfig) -> PeftConfig:
    """The PEFT configuration of a method."""
    if config.method in ("lora", "dora", "rslora"):
        return LoraConfig(
            task_type=TaskType.SEQ_2_SEQ_LM,
            r=config.lora_r,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules=["q", "v"],
            use_dora=config.method == "dora",
            use_rslora=config.method == "rslora",
        )
    # One submodule: generate ignores the decoder's half of a prompt, which is PEFT's default.
    prompt = {"task_type": TaskType.SEQ_2_SEQ_LM, "num_virtual_tokens": VIRTUAL_TOKENS, "num_transformer_submodules": 1}
    if config.method == "prompt":
        return PromptTuningConfig(**prompt)
    if config.method == "p-tuning":
        return PromptEncoderConfig(**prompt, encoder_hidden_size=SCRATCH_WIDTH)
    return PrefixTuningConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=VIRTUAL_TOKENS)
