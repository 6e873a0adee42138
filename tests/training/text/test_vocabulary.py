"""Characters that a base has no token for, and special tokens that stand in the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from support import call

from training.automations.linear import from_linear, to_linear
from training.text.backbone import Base, TextPair, encode, scratch_base
from training.text.command import train as train_soft_prompt
from training.text.config import Pieces
from training.text.model import Suggester

CHINESE = "".join(chr(0x4E00 + n) for n in range(900))
LARGE = "".join(chr(0x4E00 + n) for n in range(20_000))
SPECIAL = "say </s> and <pad> <unk> <extra_id_0></s>, |0 =1 [ ] it is \uff1c/s\uff1e"
QUICK = ("--epochs", "1", "--batch-size", "8", "--source-max-tokens", "24", "--target-max-tokens", "24")


def texts_of(alphabet: str, size: int = 20) -> list[TextPair]:
    parts = [alphabet[at : at + size] for at in range(0, len(alphabet), size)]
    return [TextPair(part, part[::-1]) for part in parts]


def back(tokenizer: Any, text: str) -> str:
    ids = encode(tokenizer, text=text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert ids.count(tokenizer.eos_token_id) == 1
    decoded: str = tokenizer.decode(ids, skip_special_tokens=True)
    return decoded


@pytest.mark.parametrize("pieces", ["unigram", "bpe"])
@pytest.mark.parametrize(
    "alphabet",
    [
        pytest.param(CHINESE, id="chinese"),
        pytest.param(LARGE, id="20,000 characters", marks=pytest.mark.slow),
        pytest.param("\u0432\u043a\u043b\u044e\u0447\u0438 \u0441\u0432\u0435\u0442", id="cyrillic"),
        pytest.param("\u0634\u063a\u0644 \u0627\u0644\u0636\u0648\u0621", id="arabic"),
        pytest.param("\U0001f4a1 \U0001f525\U0001f468\u200d\U0001f469\u200d\U0001f467 on", id="emoji"),
        pytest.param("a\u4e00\u0431\u0634\U0001f4a1 \uac01 1", id="mixed"),
        pytest.param("x", id="one letter"),
    ],
)
def test_a_base_from_scratch_knows_the_whole_alphabet_of_the_data(alphabet: str, pieces: Pieces) -> None:
    rows = texts_of(alphabet)
    tokenizer = scratch_base(rows[:-1] or rows, 0, pieces, alphabet_of=rows[-1:]).tokenizer
    for row in (rows[0], rows[-1]):
        assert back(tokenizer, row.source) == row.source


@pytest.mark.parametrize("pieces", ["unigram", "bpe"])
def test_special_tokens_in_the_data_are_text_in_a_base_from_scratch(pieces: Pieces, tmp_path: Path) -> None:
    rows = [TextPair(SPECIAL, f"{SPECIAL} {n}") for n in range(20)]
    tokenizer = scratch_base(rows, 0, pieces).tokenizer
    tokenizer.save_pretrained(tmp_path)
    for known in (tokenizer, transformers.AutoTokenizer.from_pretrained(tmp_path)):
        assert back(known, SPECIAL) == SPECIAL.replace("\uff1c", "<").replace("\uff1e", ">"), "NFKC, as T5 applies it"
    plain = tokenizer("</s> <pad> on")["input_ids"]
    assert plain.count(tokenizer.eos_token_id) == 1, "without encode too, as a service reads it"


def unigram_base(folder: Path, letters: str) -> Path:
    """A small T5 whose tokenizer knows ``letters`` and, as T5's own, holds its special tokens among its pieces."""
    from tokenizers import Tokenizer, models, processors

    base: Base = scratch_base([TextPair("a", "b")], 0)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -3.0) for letter in f"\u2581{letters}")]
    tokenizer = base.tokenizer.backend_tokenizer
    tokenizer.model = models.Unigram(pieces, 2)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    state = json.loads(tokenizer.to_str())
    for added, piece in zip(state["added_tokens"], ("<pad>", "</s>", "<unk>"), strict=True):
        added["content"] = piece
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )
    base.model.resize_token_embeddings(len(made))
    base.model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


ASCII = "abcdefghijklmnopqrstuvwxyz</>_0123456789"


def test_special_tokens_in_the_data_are_text_for_a_base_that_holds_them_among_its_pieces(tmp_path: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(unigram_base(tmp_path / "base", ASCII))
    assert tokenizer("on </s> <pad>")["input_ids"].count(1) == 2, "what transformers makes of it"
    assert back(tokenizer, "on </s> off <pad></s>") == "on </s> off <pad></s>"
    assert encode(tokenizer, text=["on", "</s>"], padding=True)["input_ids"][0][-1] == tokenizer.pad_token_id


def soft(tmp_path: Path, rows: list[dict[str, str]], *arguments: str) -> Any:
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "work").mkdir(exist_ok=True)
    return call(
        train_soft_prompt,
        *("--json-input", "../rows.json", "--output-dir", "out", "--run-id", "one", *QUICK, *arguments),
        cwd=tmp_path / "work",
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
    )


@pytest.mark.parametrize("dry", [True, False])
def test_a_named_base_that_cannot_read_the_data_is_refused_with_the_share_and_a_remedy(
    tmp_path: Path, dry: bool
) -> None:
    base = unigram_base(tmp_path / "base", ASCII)
    rows = [{"query": f"light {n}", "suggestion": f"{CHINESE[n]} {CHINESE[n + 1]} on"} for n in range(20)]
    done = soft(tmp_path, rows, "--base-model", str(base), *(["--dry-run"] if dry else []))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "0.0% of the tokens of the queries and 28.6% of those of the answers are unknown to the base model" in line
    assert "more than a tenth" in line
    assert "--base-model" in line
    assert not (tmp_path / "work" / "out").exists() or not list((tmp_path / "work" / "out").iterdir())


def test_the_audit_says_which_share_of_the_tokens_a_named_base_does_not_know(tmp_path: Path) -> None:
    base = unigram_base(tmp_path / "base", ASCII)
    rows = [{"query": f"light {n}", "suggestion": f"switch on the light number {n}!"} for n in range(20)]
    done = soft(tmp_path, rows, "--base-model", str(base), "--dry-run", "--summary-path", "s.json")
    assert done.returncode == 0, done.stderr
    assert "Base: 0.0% of the tokens of the queries and 3.3% of those of the answers are unknown to" in done.stdout
    audit = json.loads((tmp_path / "work" / "s.json").read_text())["audit"]
    assert audit["unknown_in_queries"] == 0.0
    assert 0.02 < audit["unknown_in_answers"] < 0.04


def test_a_base_whose_tokenizer_is_known_only_once_it_is_loaded_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = unigram_base(tmp_path / "base", ASCII)
    monkeypatch.setattr("training.text.adapter_job.shares_of_local_base", lambda *_: None)  # it has yet to be fetched
    rows = [{"query": f"{CHINESE[n]} {n}", "suggestion": "on"} for n in range(20)]
    done = soft(tmp_path, rows, "--base-model", str(base))
    assert done.returncode == 1
    assert "of the tokens of the queries and 0.0% of those of the answers are unknown" in done.stderr
    assert list((tmp_path / "work" / "out").iterdir()) == []


def test_an_automation_keeps_special_tokens_and_the_marks_of_the_linear_form() -> None:
    texts = ["</s>", "<pad> |0 triggers =1 [ ] ( ) !tag", "<unk>", "<extra_id_0> &q", '" |0 "', "\uff1c/s\uff1e", "n1"]
    automation = {"triggers": [], "actions": [{"action": "notify.all", "data": {"message": t, t: 1}} for t in texts]}
    line = to_linear(automation)
    tokenizer = scratch_base([TextPair("tell all", line)], 0, "bpe").tokenizer
    assert from_linear(back(tokenizer, line)) == automation


@pytest.mark.slow
def test_a_model_writes_special_tokens_of_its_data_as_text(tmp_path: Path) -> None:
    answer = "say </s> and <pad> aloud"
    rows = [{"query": f"please tell {n}", "suggestion": answer} for n in range(60)]
    done = soft(tmp_path, rows, "--base-model", "scratch", "--source-max-tokens", "60", "--target-max-tokens", "60")
    assert done.returncode == 0, done.stderr
    assert Suggester.load(tmp_path / "work" / "out" / "one").suggest("please tell 3") == answer


@pytest.mark.slow
def test_chinese_rows_train_a_base_from_scratch(tmp_path: Path) -> None:
    rows = [{"query": row.source, "suggestion": row.target} for row in texts_of(CHINESE)]
    done = soft(tmp_path, rows, "--base-model", "scratch")
    assert done.returncode == 0, done.stderr
