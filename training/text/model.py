"""Use and evaluate a trained adapter: it reads a request and writes an answer."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from peft import PeftModel

from data_sources import PromptRow
from training.judging.intervals import SAMPLES, interval_of_mean
from training.runs.artifacts import RUN_FILE
from training.runs.errors import wrap_read_errors
from training.runs.model_paths import how_to_get, run_directory
from training.runs.progress import Progress
from training.text.backbone import BASE_FOLDER, TextPair, encode, load_base, peft_warnings_ignored
from training.text.config import SCRATCH, AdapterConfig

MAX_EVALUATED = 200  # rows; generation is slow
GENERATED_AT_ONCE = 32  # answers in a batch, counting each beam
EXAMPLES = 5
Row = TypeVar("Row")


def generate(model: Any, tokenizer: Any, sources: Sequence[str], config: AdapterConfig) -> list[str]:
    """One answer for each source, by greedy decoding."""
    return [best.text for (best,) in candidates(model, tokenizer, sources, config, 1)]


class Candidate(NamedTuple):
    """An answer, and the geometric mean of the probabilities of its tokens."""

    text: str
    probability: float


def candidates(
    model: Any, tokenizer: Any, sources: Sequence[str], config: AdapterConfig, beams: int
) -> list[list[Candidate]]:
    """Beam search: for each source a list of ``beams`` answers, the likeliest first."""
    model.eval()
    batch = max(1, GENERATED_AT_ONCE // beams)
    answers: list[Candidate] = []
    with Progress("Generating", len(sources), "answer") as progress:
        for start in range(0, len(sources), batch):
            encoded = encode(
                tokenizer,
                text=list(sources[start : start + batch]),
                truncation=True,
                max_length=config.source_max_tokens,
                padding=True,
                return_tensors="pt",
            )
            with torch.no_grad():
                output = model.generate(
                    input_ids=encoded["input_ids"].to(model.device),
                    attention_mask=encoded["attention_mask"].to(model.device),
                    max_new_tokens=config.target_max_tokens,
                    num_beams=beams,
                    num_return_sequences=beams,
                    do_sample=False,
                    return_dict_in_generate=True,
                    output_scores=True,
                )
            texts = tokenizer.batch_decode(output.sequences, skip_special_tokens=True)
            probabilities = _mean_probabilities(model, output).tolist()
            answers += [Candidate(text.strip(), p) for text, p in zip(texts, probabilities, strict=True)]
            progress.advance(min(batch, len(sources) - start))
    return [answers[start : start + beams] for start in range(0, len(answers), beams)]


def _mean_probabilities(model: Any, output: Any) -> torch.Tensor:
    """The geometric mean of the probabilities of the tokens of each generated answer, its end included."""
    if getattr(output, "sequences_scores", None) is not None:  # of beams, which are normalized by length
        return torch.exp(output.sequences_scores)
    scores = model.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
    real = torch.isfinite(scores) & (output.sequences[:, 1:] != model.config.pad_token_id)
    return torch.exp((scores.masked_fill(~real, 0.0)).sum(1) / real.sum(1).clamp(min=1))


def evaluate_adapter(
    model: Any, tokenizer: Any, training: Sequence[TextPair], held_out: Sequence[TextPair], config: AdapterConfig
) -> dict[str, Any]:
    """Score generated answers beside two baselines that only look up.

    Args:
        model: The adapter over its base.
        tokenizer: The base's tokenizer.
        training: The rows that the baselines look up: the commonest answer, and the answer of the nearest query
            (cosine of TF-IDF vectors).
        held_out: The rows to score; each distinct row counts once, and at most ``MAX_EVALUATED`` are used.
        config: The limits in tokens.

    Returns:
        ``rows`` (their number), ``model`` (loss and perplexity per target token, chrF, exact match), ``baselines``
        (chrF and exact match of each), ``intervals`` of these, a few ``examples``, and all ``answers``: what was
        ``asked``, ``wanted`` and ``answered``, and the ``score`` of the one answer.
    """
    distinct = limit_rows(list(dict.fromkeys(held_out)))
    references = [pair.target for pair in distinct]
    answers = generate(model, tokenizer, [pair.source for pair in distinct], config)
    commonest = Counter(pair.target for pair in training).most_common(1)[0][0]
    loss = _mean_loss(model, tokenizer, distinct, config)
    nearest = nearest_answers(training, [pair.source for pair in distinct])
    looked_up = {"commonest_answer": [commonest] * len(references), "nearest_query": nearest}
    return {
        "rows": len(distinct),
        "model": {
            "loss": round(loss, 6),
            "perplexity": round(math.exp(min(loss, 50.0)), 4),
            **text_scores(answers, references),
        },
        "baselines": {name: text_scores(texts, references) for name, texts in looked_up.items()},
        "intervals": {
            name: text_intervals(texts, references) for name, texts in {"model": answers, **looked_up}.items()
        },
        "examples": [
            {"query": pair.source, "wanted": pair.target, "generated": answer}
            for pair, answer in list(zip(distinct, answers, strict=True))[:EXAMPLES]
        ],
        "answers": [
            {"asked": pair.source, "wanted": pair.target, "answered": answer, "score": text_score(answer, pair.target)}
            for pair, answer in zip(distinct, answers, strict=True)
        ],
    }


def text_scores(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """``chrf`` (Popovic, 2015; 0 to 100, sacrebleu's defaults) and ``exact_match``, the share of equal answers."""
    import sacrebleu

    exact = sum(answer == right for answer, right in zip(answers, references, strict=True)) / len(references)
    return {
        "chrf": round(sacrebleu.corpus_chrf(list(answers), [list(references)]).score, 4),
        "exact_match": round(exact, 6),
    }


def text_score(answer: str, reference: str) -> float:
    """ChrF of one answer, from 0 to 100."""
    import sacrebleu

    return round(float(sacrebleu.sentence_chrf(answer, [reference]).score), 4)


def text_intervals(answers: Sequence[str], references: Sequence[str]) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of ``text_scores`` over rows; None where there are too few rows."""
    from sacrebleu.metrics import CHRF
    from sacrebleu.metrics.chrf import CHRFScore

    class Chrf(CHRF):  # type: ignore[misc]
        """Its scores are all of one type: the bootstrap cannot take the mean of numpy's and Python's numbers."""

        def _compute_score_from_stats(self, stats: list[int]) -> CHRFScore:
            scored = super()._compute_score_from_stats(stats)
            scored.score = float(scored.score)
            return scored

    exact = np.array([answer == right for answer, right in zip(answers, references, strict=True)], dtype=np.float64)
    of_exact = interval_of_mean(exact)
    if of_exact is None:
        return {"chrf": None, "exact_match": None}
    scored = Chrf().corpus_score(list(answers), [list(references)], n_bootstrap=SAMPLES)
    middle, half = float(scored._mean), float(scored._ci)
    of_chrf = round(max(0.0, middle - half), 4), round(min(100.0, middle + half), 4)
    return {"chrf": of_chrf, "exact_match": of_exact}


def limit_rows(rows: Sequence[Row]) -> list[Row]:
    """At most ``MAX_EVALUATED`` of the rows, drawn under a fixed seed, in their order."""
    if len(rows) <= MAX_EVALUATED:
        return list(rows)
    chosen = np.random.default_rng(0).choice(len(rows), MAX_EVALUATED, replace=False)
    return [rows[i] for i in sorted(chosen.tolist())]


class Near(NamedTuple):
    """The nearest of some texts: its number, and the cosine of the two."""

    number: int
    cosine: float


def nearest_texts(known: Sequence[str], texts: Sequence[str]) -> list[Near]:
    """For each text, the nearest ``known`` text: cosine of TF-IDF vectors over words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2))
    vectors = vectorizer.fit_transform([text or "-" for text in known])
    cosines = np.asarray((vectorizer.transform(list(texts)) @ vectors.T).todense())
    return [Near(int(row.argmax()), float(row.max())) for row in cosines]


def nearest_answers(training: Sequence[TextPair], queries: Sequence[str]) -> list[str]:
    """For each query, the answer of the nearest training query."""
    return [training[i].target for i, _ in nearest_texts([pair.source for pair in training], queries)]


def _mean_loss(model: Any, tokenizer: Any, pairs: Sequence[TextPair], config: AdapterConfig) -> float:
    """Mean cross-entropy per target token, in nats."""
    model.eval()
    total, tokens = 0.0, 0
    for pair in pairs:
        limits = config.limits
        source = encode(tokenizer, text=pair.source, truncation=True, max_length=limits.source, return_tensors="pt")
        target = encode(tokenizer, text_target=pair.target, truncation=True, max_length=limits.target)["input_ids"]
        labels = torch.tensor([target], device=model.device)
        with torch.no_grad():
            output = model(
                input_ids=source["input_ids"].to(model.device),
                attention_mask=source["attention_mask"].to(model.device),
                labels=labels,
            )
        total += float(output.loss) * len(target)
        tokens += len(target)
    return total / max(tokens, 1)


class Suggester:
    """A trained adapter over its base, for use.

    Attributes:
        described: The content of the run's ``training_run.json``.
    """

    def __init__(
        self, model: Any, tokenizer: Any, config: AdapterConfig, described: Mapping[str, Any] | None = None
    ) -> None:
        self._model, self._tokenizer, self._config = model, tokenizer, config
        self.described = described or {}

    @classmethod
    def load(cls, directory: str | Path, model: str = PromptRow.kind) -> Suggester:
        """Load a run directory, or the one that ``latest`` points at; ``model`` is what a message calls it.

        Raises:
            ModelFileError: It is no run directory, or its base model cannot be loaded.
        """
        folder = Path(directory)
        with wrap_read_errors(folder, "is not a run directory that can be loaded", how_to_get(model)):
            folder = run_directory(model, folder)
            run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            config = AdapterConfig(**run["config"])
            name = str(folder / BASE_FOLDER) if config.base_model == SCRATCH else config.base_model
            base = load_base(name)
            with peft_warnings_ignored():
                return cls(PeftModel.from_pretrained(base.model, str(folder)), base.tokenizer, config, run)

    def candidates(self, texts: Sequence[str], beams: int) -> list[list[Candidate]]:
        """For each text a list of ``beams`` answers, the likeliest first."""
        return candidates(self._model, self._tokenizer, texts, self._config, beams)

    def suggest(self, text: str) -> str:
        """Answer a request in plain words with a suggested automation in plain words."""
        return generate(self._model, self._tokenizer, [text], self._config)[0]

    def evaluate(self, training: Sequence[TextPair], held_out: Sequence[TextPair]) -> dict[str, Any]:
        """Score this adapter as ``evaluate_adapter`` does."""
        return evaluate_adapter(self._model, self._tokenizer, training, held_out, self._config)
