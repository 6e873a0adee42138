"""Model cards: what a training is and scored, in words and as metadata that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.runs.summary import TrainingSummary

TAG = "home-assistant"


def model_card(
    summary: TrainingSummary,
    title: str,
    about: str,
    score_lines: Iterable[str],
    *,
    library_name: str,
    base_model: str | None = None,
    tags: Sequence[str] = (),
) -> str:
    """The card of a training in Markdown; its first lines are YAML.

    Args:
        summary: The summary of the run. The scores of the model, held-out ones where there are some, become evaluation
            results in the metadata; one that is not defined is left out.
        title: The heading.
        about: What the model is and does, in one sentence.
        score_lines: The table of scores.
        library_name: The library that reads the model, as the hub calls it.
        base_model: What an adapter is one of.
        tags: Further tags.
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    held_out = summary.metrics.get("test") is not None
    measured: Mapping[str, Any] = summary.metrics.get("test") or summary.metrics.get("in_sample") or {}
    results = [
        EvalResult(
            task_type=summary.model_type,
            dataset_type=TAG,
            dataset_name="held-out rows" if held_out else "rows that were trained on",
            dataset_split="test" if held_out else "train",
            dataset_revision=summary.data_fingerprint,
            metric_type=name,
            metric_value=value,
        )
        for name, value in measured.get("model", {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    data = ModelCardData(
        base_model=base_model,
        library_name=library_name,
        tags=[TAG, summary.model_type, *tags],
        model_name=summary.model_type if results else None,
        eval_results=results or None,
    )
    notes = "\n".join(f"- {note}" for note in summary.notes)
    table = "\n".join(score_lines)
    content = f"""---
{data.to_yaml()}
---

# {title}

{about}
Trained {summary.timestamp} on the data with the fingerprint `{summary.data_fingerprint}`.

## Scores

```text
{table}
```

## What the data cannot show

{notes}
"""
    return str(ModelCard(content))
