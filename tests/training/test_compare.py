"""Two models on the same rows, which neither was trained on."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT, as_home, call, home

from data_sources import KINDS, Home, KindName, PatternRow, open_source
from training.automations.model import YamlGenerator
from training.compare import CompareOptions, compare, compare_and_write, compare_models, comparer_of, comparison_lines
from training.judging.splits import unit_digests, unseen_units
from training.patterns.command import train as train_patterns_command
from training.patterns.model import PatternModel
from training.patterns.trainer import split_by_entity
from training.runs.comparison import COMPARISON_VARIABLE, Comparison, ComparisonRequest, ModelScores
from training.runs.errors import ModelFileError, TrainingError
from training.runs.job import SourceChoice
from training.suggestions.command import suggest
from training.synergy.command import evaluate
from training.synergy.config import SynergyConfig
from training.synergy.graph import build_graph
from training.synergy.model import SynergyModel
from training.synergy.splits import describe_split, split_pairs, without_seen
from training.synergy.trainer import TrainingResult, pretrain, train_synergy_model
from training.text.model import Suggester

CONFIG = SynergyConfig(hidden_dim=8, num_layers=1, epochs=1)
HOMES = [home(f"home{i}") for i in range(8)]


@settings(max_examples=40)
@given(st.sets(st.text(max_size=5), max_size=20), st.sets(st.text(max_size=5), max_size=20))
def test_units_outside_the_digests_of_all_models_are_unseen(trained: set[str], others: set[str]) -> None:
    left, right = unit_digests(list(trained)[::2]), unit_digests(list(trained)[1::2])
    assert unseen_units(trained | others, left, right) == others - trained
    assert unit_digests(trained) == unit_digests(sorted(trained))


def write(path: Path, homes: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(homes))
    return path


def model(path: Path, data: Path, says_trained_on: bool = True) -> TrainingResult:
    """Train on ``data`` and save, as the training script does. What was trained on before is not trained on again."""
    result = trained_on(data.read_text())
    result.model.provenance = {"trained_on": result.trained_on} if says_trained_on else {}
    path.write_bytes(result.model.to_bytes())
    return result


@cache
def trained_on(content: str) -> TrainingResult:
    homes = [as_home(raw) for raw in json.loads(content)]
    return train_synergy_model(homes, CONFIG)


def compared(candidate: Path, champion: Path | None, data: Path) -> Comparison:
    return compare(comparer_of("gnn_synergy"), candidate, champion, open_source(json_input=str(data)))


def test_a_candidate_scores_as_in_its_own_training_and_as_itself(tmp_path: Path) -> None:
    data = write(tmp_path / "homes.json", HOMES)
    result = model(tmp_path / "m.pth", data)
    found = compared(tmp_path / "m.pth", tmp_path / "m.pth", data)
    measured = result.metrics["test"]
    assert found.held_out
    assert found.candidate.scores == measured["model"]
    assert found.champion is not None
    assert found.champion.scores == found.candidate.scores
    assert found.baselines == measured["baselines"]
    assert (found.rows, found.fingerprint) == (measured["pairs"], result.split["test_fingerprint"])
    assert (found.candidate.left_out, found.champion.left_out, found.candidate.notes) == (0, 0, [])


def test_homes_that_the_champion_was_trained_on_are_left_out_whole_for_both(tmp_path: Path) -> None:
    data = write(tmp_path / "homes.json", HOMES)
    graphs = [build_graph(h) for h in open_source(json_input=str(data)).read(Home)]
    split = split_pairs(graphs)
    held_out = [g.home_id for h, g in enumerate(graphs) if split.select(h, "test").any()]
    seen = [h for h in HOMES if h["home_id"] in held_out][:1]
    one = model(tmp_path / "champion.pth", write(tmp_path / "old.json", seen))
    model(tmp_path / "candidate.pth", data)
    fewer, left_out = without_seen(split, graphs, one.trained_on)
    assert left_out == sum(int(split.select(h, "test").sum()) for h, g in enumerate(graphs) if g.home_id in held_out)
    assert len(held_out) == 1, "so nothing is left"
    assert describe_split(fewer, graphs)["directed_pairs"]["test"] == 0
    found = compared(tmp_path / "candidate.pth", tmp_path / "champion.pth", data)
    assert found.champion is not None
    assert (found.champion.scores, found.champion.left_out) == (None, left_out)
    assert found.champion.not_compared == (
        f"{left_out} of the {left_out} test pairs were left out, because a model, or what it started from, was trained "
        "on them; 0 are left, and a comparison takes 3"
    )
    assert found.candidate.scores is not None, "which saw none of them, and is scored alone"
    assert found.fingerprint == split_fingerprint(split, graphs)


@pytest.mark.parametrize("names_pairs", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_homes_that_only_a_model_s_base_saw_are_left_out(tmp_path: Path, names_pairs: bool) -> None:
    """Of a base whose card names no pairs, as cards once did, the homes count."""
    data = write(tmp_path / "homes.json", HOMES)
    result = model(tmp_path / "own.pth", data)
    homes = list(open_source(json_input=str(data)).read(Home))
    split = split_pairs([build_graph(h) for h in homes])
    held_out = [h for i, h in enumerate(homes) if split.select(i, "test").any()]
    card = {"name": "base", "homes": [{"home_id": h.home_id} for h in held_out]}
    base = pretrain(held_out, [1.0] * len(held_out), CONFIG, card)
    if not names_pairs:
        base = replace(base, card=card)
    elsewhere = list(
        open_source(json_input=str(write(tmp_path / "e.json", [home("elsewhere", rooms=("attic", "cellar"))]))).read(
            Home
        )
    )
    based = train_synergy_model(elsewhere, CONFIG, pretrained=base)
    based.model.provenance = {"trained_on": based.trained_on}
    (tmp_path / "based.pth").write_bytes(based.model.to_bytes())
    found = compared(tmp_path / "own.pth", tmp_path / "based.pth", data)
    assert found.champion is not None
    assert (found.champion.scores, found.champion.left_out) == (None, result.metrics["test"]["pairs"])
    assert found.candidate.scores == result.metrics["test"]["model"]
    alone = compared(tmp_path / "based.pth", None, data)
    assert (alone.rows, alone.candidate.scores) == (0, None)
    if names_pairs:
        assert SynergyModel.load(tmp_path / "based.pth").trained_as(exported_again(held_out[0])) == held_out[0].home_id


@pytest.mark.slow
def test_what_a_base_saw_of_the_homes_of_the_training_itself_is_left_out_too(tmp_path: Path) -> None:
    data = write(tmp_path / "homes.json", HOMES)
    homes = list(open_source(json_input=str(data)).read(Home))
    base = pretrain(
        homes, [1.0] * len(homes), CONFIG, {"name": "base", "homes": [{"home_id": h.home_id} for h in homes]}
    )
    for one in (base, replace(base, card={**base.card, "trained_on": ""})):
        based = train_synergy_model(homes, CONFIG, pretrained=one)
        based.model.provenance = {"trained_on": based.trained_on}
        (tmp_path / "m.pth").write_bytes(based.model.to_bytes())
        found = compared(tmp_path / "m.pth", None, data)
        assert (found.rows, found.candidate.scores) == (0, None)


def exported_again(home: Home) -> Home:
    return replace(home, home_id="exported again")


def test_a_home_that_a_model_was_trained_on_under_another_id_is_left_out(tmp_path: Path) -> None:
    homes = [home(f"home{i}", rooms=tuple(f"{room}{i}" for room in "abcdefghij")) for i in range(6)]
    data = write(tmp_path / "homes.json", homes)
    graphs = [build_graph(h) for h in open_source(json_input=str(data)).read(Home)]
    split = split_pairs(graphs)
    held_out = next(raw for h, raw in enumerate(homes) if split.select(h, "test").any())
    model(tmp_path / "m.pth", write(tmp_path / "old.json", [{**held_out, "home_id": "before it was renamed"}]))
    found = compared(tmp_path / "m.pth", None, data)
    assert (found.rows, found.candidate.left_out) == (0, len(held_out["synergies"]))
    assert "because a model, or what it started from, was trained on them" in found.reason


def split_fingerprint(split: Any, graphs: Any) -> str:
    return str(describe_split(split, graphs)["test_fingerprint"])


def test_a_pair_seen_in_one_direction_counts_as_seen_in_both() -> None:
    whole = home("h", rooms=tuple(f"r{i}" for i in range(30)))
    for synergy in whole["synergies"]:
        synergy["relationship"] = {"direction": "bidirectional"}
        del synergy["automation_id"]
    from data_sources import HomeBuilder, LoadReport

    builder = HomeBuilder(LoadReport(where="x"), "h")
    for entity in whole["entities"]:
        builder.add_entity(entity, "")
    for synergy in whole["synergies"]:
        builder.add_row(synergy, "")
    graph = build_graph(builder.build())
    split = split_pairs([graph])
    assert split.strategy == "pair"
    test = graph.pairs[split.select(0, "test")]
    trigger, action = (graph.entity_ids[i] for i in test[0])
    first, second = sorted((trigger, action))
    fewer, left_out = without_seen(split, [graph], unit_digests([f"h {first} {second}"]))
    assert left_out == 2
    assert fewer.select(0, "test").sum() == len(test) - 2
    assert replace(fewer, parts=split.parts) == split, "nothing else has changed"


def test_a_champion_that_says_nothing_of_its_training_is_compared_with_a_note(tmp_path: Path) -> None:
    data = write(tmp_path / "homes.json", HOMES)
    model(tmp_path / "old.pth", data, says_trained_on=False)
    model(tmp_path / "new.pth", data)
    found = compared(tmp_path / "new.pth", tmp_path / "old.pth", data)
    assert found.champion is not None
    assert found.champion.scores is not None
    assert "does not say what it was trained on" in found.champion.notes[0]


def test_a_model_whose_units_are_damaged_has_an_error(tmp_path: Path) -> None:
    data = write(tmp_path / "all.json", detections(30))
    result = pattern_model(tmp_path / "new.skops", data)
    source = open_source(json_input=str(data), kind="pattern_detection")
    for number, damaged in enumerate((5, "abcd", "None")):
        old = tmp_path / f"{number}.skops"
        old.write_bytes(replace(result.model, provenance={"trained_on": damaged}).to_bytes())
        found = compare(comparer_of("pattern_detection"), tmp_path / "new.skops", old, source)
        assert found.champion is not None
        assert f"{number}.skops: cannot be compared (trained_on is no text of 8 hex" in str(found.champion.error)
        assert found.candidate.scores is not None


def test_what_was_compared_is_counted_and_one_is_singular() -> None:
    found = Comparison(
        model_type="gnn_synergy", held_out=True, reason="", rows=1, fingerprint="",
        candidate=ModelScores(scores={"mrr": 0.5}), champion=ModelScores(scores={"mrr": None}),
    )  # fmt: skip
    assert list(comparison_lines(found, "pair")) == [
        "Candidate on 1 held-out pair: mrr 0.5000",
        "Champion on 1 held-out pair: mrr not defined",
    ]
    more = found.model_copy(update={"rows": 3, "held_out": False, "champion": None})
    (line,) = comparison_lines(more, "query", " that the champion went live on")
    assert line.startswith("Candidate on 3 training queries that the champion went live on: ")


def test_a_number_of_rows_that_is_none_is_said_so(tmp_path: Path) -> None:
    done = call(compare_models, "gnn-synergy", "--candidate", "m", "--output", "o", "--least-rows", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "'x' is not a whole number from 1 up" in done.stderr


def test_a_file_that_is_no_model_has_an_error_and_the_other_its_scores(tmp_path: Path) -> None:
    data = write(tmp_path / "homes.json", HOMES)
    model(tmp_path / "new.pth", data)
    (tmp_path / "old.pth").write_text("not a model")
    output = tmp_path / "out" / "c.json"
    options = CompareOptions(SourceChoice(str(data)), tmp_path / "new.pth", tmp_path / "old.pth", output)
    compare_and_write("gnn_synergy", options)
    written = Comparison.model_validate_json(output.read_bytes())  # as the manager reads it
    assert written.champion is not None
    assert written.champion.scores is None
    assert "old.pth: is not a model file" in str(written.champion.error)
    assert (written.candidate.scores or {})["mrr"] > 0  # type: ignore[operator]


def test_four_pairs_are_compared_in_sample_under_that_name(tmp_path: Path) -> None:
    data = write(tmp_path / "few.json", [home("h", rooms=("kitchen", "hall"))])
    model(tmp_path / "m.pth", data)
    found = compared(tmp_path / "m.pth", tmp_path / "m.pth", data)
    assert not found.held_out
    assert "nothing can be held out" in found.reason
    assert found.candidate.scores is not None


def detections(entities: int, rows: int = 4) -> list[dict[str, Any]]:
    """Genuine where the confidence is high; whole entities are held out."""
    return [
        {
            "entity_id": f"light.l{i}",
            "pattern_type": "time_of_day",
            "confidence": 0.2 + 0.6 * (j % 2) + 0.01 * (i % 7),
            "occurrences": 5 + i,
            "ground_truth": {"expected_pattern": "time_of_day" if j % 2 else "sequence"},
        }
        for i in range(entities)
        for j in range(rows)
    ]


@cache
def patterns_of(content: str) -> Any:
    from training.patterns.trainer import train_patterns

    return train_patterns([PatternRow.model_validate(raw) for raw in json.loads(content)])


def pattern_model(path: Path, data: Path) -> Any:
    result = patterns_of(data.read_text())
    path.write_bytes(replace(result.model, provenance={"trained_on": result.trained_on}).to_bytes())
    return result


def test_patterns_are_compared_on_entities_that_neither_saw(tmp_path: Path) -> None:
    data = write(tmp_path / "all.json", detections(30))
    result = pattern_model(tmp_path / "new.skops", data)
    source = open_source(json_input=str(data), kind="pattern_detection")
    same = compare(comparer_of("pattern_detection"), tmp_path / "new.skops", tmp_path / "new.skops", source)
    assert same.champion is not None
    assert same.candidate.scores == same.champion.scores == result.metrics["test"]["model"]
    assert same.baselines == result.metrics["test"]["baselines"]
    held_out = split_by_entity(list(source.read(PatternRow)))
    tested = {row.entity_id for row, test in zip(*held_out[:2], strict=True) if test}
    assert unseen_units(tested, result.trained_on) == tested
    # Another one was trained on few entities, two of which are held out here.
    old = [r for r in detections(30) if r["entity_id"] in sorted(tested)[:2]]
    pattern_model(tmp_path / "old.skops", write(tmp_path / "old.json", old))
    found = compare(comparer_of("pattern_detection"), tmp_path / "new.skops", tmp_path / "old.skops", source)
    assert (found.rows, found.candidate.left_out) == (4 * (len(tested) - 2), 8)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_were_saved_are_read_back_as_they_were(kind: KindName) -> None:
    folder = str(ROOT / "simulation" / "training_data")
    comparer = comparer_of(kind)
    assert comparer.model_type == kind
    evaluation = comparer.select(open_source(json_input=folder, kind=kind), 20_000)
    assert evaluation.held_out
    back = [comparer.parse(json.loads(json.dumps(comparer.dump(row)))) for row in evaluation.rows]
    if kind != "gnn_synergy":
        assert back == list(evaluation.rows)
        return
    for one, other in zip(back, evaluation.rows, strict=True):
        assert (one.test, one.graph.pairs.tolist()) == (list(other.test), other.graph.pairs.tolist())
        assert one.home.entities == other.home.entities


def test_damaged_data_shows_on_the_rows_saved_before(tmp_path: Path) -> None:
    data, saved = write(tmp_path / "homes.json", HOMES), tmp_path / "saved.json.gz"
    result = model(tmp_path / "old.pth", data)
    source = open_source(json_input=str(data))
    first = compare(comparer_of("gnn_synergy"), tmp_path / "old.pth", None, source, save_rows=saved)
    assert (
        compare(comparer_of("gnn_synergy"), tmp_path / "old.pth", None, source, champion_rows=saved).on_champion_rows
        is None
    ), "they are the same rows"
    damaged = json.loads(json.dumps(HOMES))
    for one in damaged:
        actions = [synergy["entity_2"] for synergy in one["synergies"]]
        for synergy, action in zip(one["synergies"], [*actions[1:], actions[0]], strict=True):
            synergy["entity_2"] = action
    bad = write(tmp_path / "bad.json", damaged)
    model(tmp_path / "new.pth", bad)
    source = open_source(json_input=str(bad))
    found = compare(comparer_of("gnn_synergy"), tmp_path / "new.pth", tmp_path / "old.pth", source, champion_rows=saved)
    assert found.on_champion_rows is not None
    assert found.on_champion_rows.champion is not None
    assert found.on_champion_rows.champion.scores == result.metrics["test"]["model"] == first.candidate.scores
    assert (found.on_champion_rows.rows, found.on_champion_rows.fingerprint) == (first.rows, first.fingerprint)
    assert found.on_champion_rows.candidate.scores is not None
    assert found.on_champion_rows.candidate.scores["mrr"] < 0.9 * found.on_champion_rows.champion.scores["mrr"]  # type: ignore[operator]


def test_saved_rows_that_cannot_be_read_are_an_error_in_one_line(tmp_path: Path) -> None:
    data = write(tmp_path / "homes.json", HOMES)
    model(tmp_path / "m.pth", data)
    for content in (b"", b"no gzip", *(gzip.compress(text, mtime=0) for text in (b"{}", b'{"format": 1}'))):
        (tmp_path / "saved").write_bytes(content)
        with pytest.raises(TrainingError, match="saved: holds no evaluation rows that can be read"):
            compare(
                comparer_of("gnn_synergy"),
                tmp_path / "m.pth",
                None,
                open_source(json_input=str(data)),
                champion_rows=tmp_path / "saved",
            )


def test_another_kind_is_an_error_in_one_line(tmp_path: Path) -> None:
    options = CompareOptions(SourceChoice(), tmp_path, None, tmp_path / "x")
    with pytest.raises(TrainingError, match="no such model; there are gnn_synergy"):
        compare_and_write("nothing", options)


def test_a_comparison_reads_as_many_rows_as_the_training_of_the_candidate_did(tmp_path: Path) -> None:
    comparer = comparer_of("soft_prompt")
    assert comparer.max_samples(tmp_path) == 2_000, "what production's training reads"
    (tmp_path / "training_run.json").write_text('{"max_samples": 70}')
    assert comparer.max_samples(tmp_path) == 70
    folder = str(ROOT / "simulation" / "training_data")
    few = comparer.select(open_source(json_input=folder, kind="soft_prompt"), 70)
    assert len(few.rows) + len(few.training) < 70


@pytest.mark.parametrize("asked", ["both", "nonsense"])
def test_a_training_scores_what_the_manager_asks_for_and_a_failure_of_that_is_none_of_its_own(
    tmp_path: Path, asked: str
) -> None:
    rows = [
        {"entity_id": f"light.l{i}", "pattern_type": "sequence", "confidence": 0.5, "occurrences": i}
        | {"ground_truth": {"expected_pattern": "sequence"}}
        for i in range(30)
    ]
    data, path = write(tmp_path / "rows.json", rows), tmp_path / "m.skops"
    request = ComparisonRequest(
        candidate=path, champion=path, output=tmp_path / "found.json", save_rows=tmp_path / "rows.json.gz"
    )
    (tmp_path / "request.json").write_text(request.model_dump_json() if asked == "both" else "{")
    done = call(
        train_patterns_command,
        *("--json-input", str(data), "--model-path", str(path)),
        cwd=tmp_path,
        env={COMPARISON_VARIABLE: str(tmp_path / "request.json")},
    )
    assert done.returncode == 0, done.stderr
    assert path.exists()
    if asked == "nonsense":
        assert "Note: not compared in this process" in done.stdout
        return
    source = open_source(json_input=str(data), kind="pattern_detection")
    alone = compare(comparer_of("pattern_detection"), path, path, source)
    assert Comparison.model_validate_json((tmp_path / "found.json").read_bytes()) == alone
    assert (tmp_path / "rows.json.gz").exists()


def test_a_version_s_folder_is_compared_and_evaluated_as_the_model_file_in_it(tmp_path: Path) -> None:
    data, version = write(tmp_path / "few.json", [home("h", rooms=("kitchen", "hall"))]), tmp_path / "version"
    version.mkdir()
    model(version / "m.pth", data)
    flags = ("--json-input", str(data), "--output", "c.json")
    done = call(compare_models, "gnn-synergy", "--candidate", str(version), *flags, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Candidate on 3 training pairs: mrr " in done.stdout
    assert "{" not in done.stdout, "a person reads it"
    judged = call(evaluate, "--model-path", str(version), "--json-input", str(data), cwd=tmp_path)
    assert (judged.returncode, judged.stderr) == (0, "")
    told = call(suggest, "--model-path", str(version), "--json-input", str(data), "--output", "s.yaml", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    (version / "other.pth").write_bytes(b"")
    for folder, held in ((tmp_path, "0 .pth files"), (version, "2 .pth files")):
        for command in (evaluate, suggest):
            failed = call(command, "--model-path", str(folder), "--json-input", str(data), cwd=tmp_path)
            assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
            assert f"{folder}: is a folder with {held}; give a model file" in failed.stderr
        failed = call(compare_models, "gnn_synergy", "--candidate", str(folder), *flags, cwd=tmp_path)
        assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
        assert f"is a folder with {held}; give a model file, or the folder of a version" in failed.stderr
        assert json.loads((tmp_path / "c.json").read_text())["candidate"]["error"], "the output says it too"


@pytest.mark.parametrize(
    ("load", "command"),
    [
        (SynergyModel.load, "gnn-synergy"),
        (PatternModel.load, "pattern-detection"),
        (Suggester.load, "soft-prompt"),
        (YamlGenerator.load, "yaml-generation"),
    ],
)
def test_a_model_that_is_not_there_is_one_line_with_what_to_do(tmp_path: Path, load: Any, command: str) -> None:
    with pytest.raises(
        ModelFileError, match=rf"nothing/here: no such .*; `home-synergy train {command}` trains one"
    ) as e:
        load(tmp_path / "nothing" / "here")
    assert "\n" not in str(e.value)
    assert e.value.__suppress_context__ or e.value.__context__ is None, "one traceback, not two"


@pytest.mark.parametrize("load", [Suggester.load, YamlGenerator.load])
def test_what_is_no_run_directory_is_one_line_with_what_to_do(tmp_path: Path, load: Any) -> None:
    (tmp_path / "file").write_text("nowhere")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    for name, told in {
        "file": "leads to .*nowhere, which is no run directory; `home-synergy train",
        "dangling": "leads to .*nowhere, which is no run directory; `home-synergy train",
        "runs": r"it has no training_run\.json\); give .*/runs/latest",
        "runs/latest": r"it has no training_run\.json\); `home-synergy train",
    }.items():
        with pytest.raises(ModelFileError, match=f"{tmp_path}/{name}: .*{told}"):
            load(tmp_path / name)
