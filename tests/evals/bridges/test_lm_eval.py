"""Samples that a real lm-eval 0.4.13 wrote, as evidence of ours: two models on the same documents.

`lm_eval/base` and `lm_eval/tuned` are chat runs of one generated task against a local endpoint, `lm_eval/choices` a
multiple-choice task by likelihoods; the documents are made up.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.bridges.lm_eval import LmEvalConfig, arguments, evaluate_lm_eval
from evals.bridges.lm_eval_samples import convert, read_run, reported
from evals.cli import app
from evals.errors import EvalError
from evals.run import read_evidence
from evals.stats import mcnemar_exact

RECORDED = Path(__file__).parent / "lm_eval"
ID = "lm_eval_fees_zh/{}"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Stands where lm-eval would: hands out what it wrote for the model it is given, and notes how it was called."""
    path = tmp_path / "lm-eval"
    path.write_text(
        "#!/usr/bin/env python3\n"
        "import json, os, pathlib, shutil, sys\n"
        "given = sys.argv[1:]\n"
        "value = lambda name: given[given.index(name) + 1]\n"
        "model = json.loads(value('--model_args'))['model']\n"
        f"with open({str(tmp_path / 'calls.jsonl')!r}, 'a') as calls:\n"
        "    shown = {name: os.environ.get(name) for name in ('OPENAI_API_KEY', 'HF_HUB_OFFLINE')}\n"
        "    calls.write(json.dumps([given, shown]) + '\\n')\n"
        "if model == 'broken': sys.exit(3)\n"
        f"shutil.copytree(pathlib.Path({str(RECORDED)!r}) / model, value('--output_path'), dirs_exist_ok=True)\n",
        encoding="utf-8",
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def calls(tmp_path: Path) -> list[Any]:
    return [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text(encoding="utf-8").splitlines()]


def run(tmp_path: Path, program: Path, **settings: Any) -> dict[str, Any]:
    return evaluate_lm_eval(
        ["fees_zh"], tmp_path, {"base": "base", "tuned": "tuned"}, "http://127.0.0.1:9/v1", tmp_path / "evals",
        LmEvalConfig(**settings), str(program),
    )  # fmt: skip


def test_scores_and_answers_are_those_that_lm_eval_wrote() -> None:
    read = read_run(RECORDED / "tuned")
    items, attempts = convert(read, "tuned", "digest", 7)
    assert [item.id for item in items] == [ID.format(number) for number in range(8)]
    verdicts = [json.loads(attempt.output) for attempt in attempts]
    # 1…7 are "A" but the third, which says that it cannot tell; the eighth is a wrong "B".
    assert [verdict["answer"] for verdict in verdicts] == ["A", "A", None, "A", "A", "A", "A", "B"]
    assert [verdict["score"] for verdict in verdicts] == [1, 1, 0, 1, 1, 1, 1, 0]
    assert verdicts[2]["text"] == "无法判断"
    own = sum(verdict["score"] for verdict in verdicts) / 8
    assert reported(read)["fees_zh"]["value"] == pytest.approx(own) == 0.75


def test_choices_by_likelihood_become_the_option_that_is_likeliest() -> None:
    read = read_run(RECORDED / "choices")
    _, attempts = convert(read, "tuned", "digest", 7)
    for attempt, row in zip(attempts, read.samples["fees_mc"], strict=True):
        verdict = json.loads(attempt.output)
        likelihoods = json.loads(verdict["text"])
        assert len(likelihoods) == 2
        assert verdict["answer"] == str(likelihoods.index(max(likelihoods)))
        assert verdict["score"] == row["acc"] == float(verdict["answer"] == row["target"])


def test_two_models_on_the_same_documents_are_paired(tmp_path: Path, program: Path) -> None:
    summary = run(tmp_path, program)
    assert summary["lm_eval"]["reported"]["base"]["fees_zh"]["stderr"] == pytest.approx(0.18298, abs=1e-4)
    figure = summary["lm_eval"]["figures"]["lm_eval_fees_zh"]
    assert (figure["difference"]["wins"], figure["difference"]["losses"]) == (3, 0)
    assert figure["difference"]["mean"] == pytest.approx(3 / 8)
    assert figure["difference"]["p"] == mcnemar_exact(3, 0)
    evidence = read_evidence(tmp_path / "evals")
    assert len(evidence.items) == 8 and len(evidence.attempts) == 16
    task = summary["tasks"]["lm_eval_fees_zh"]
    assert json.dumps(task).count("0.375") >= 1


def test_a_field_of_the_documents_names_the_clusters(tmp_path: Path, program: Path) -> None:
    assert run(tmp_path, program, cluster="document")["lm_eval"]["figures"]["lm_eval_fees_zh"]["groups"] == 5
    with pytest.raises(EvalError, match="the document has no field 'customer'"):
        run(tmp_path, program, cluster="customer")


def test_each_model_has_its_own_seed_key_and_cache(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    run(tmp_path, program, seed=11)
    (base, environment), (tuned, _) = calls(tmp_path)
    assert environment == {"OPENAI_API_KEY": "secret", "HF_HUB_OFFLINE": "1"}
    assert "secret" not in " ".join(base)
    assert json.loads(base[base.index("--model_args") + 1])["seed"] == 11
    assert base[base.index("--use_cache") + 1] != tuned[tuned.index("--use_cache") + 1]
    assert "--apply_chat_template" in base


def test_a_tokenizer_asks_for_completions(tmp_path: Path) -> None:
    given = arguments(["a", "b"], None, "http://h/v1", "m", tmp_path, LmEvalConfig(tokenizer=tmp_path, limit=3))
    model = json.loads(given[given.index("--model_args") + 1])
    assert given[given.index("--model") + 1] == "local-completions"
    assert model["base_url"] == "http://h/v1/completions" and model["tokenizer"] == str(tmp_path)
    assert given[given.index("--tasks") + 1] == "a,b" and given[given.index("--limit") + 1] == "3"
    assert "--apply_chat_template" not in given


def changed(tmp_path: Path, change: Any) -> Path:
    """The tuned run with its samples or results changed."""
    folder = tmp_path / "changed"
    shutil.copytree(RECORDED / "tuned", folder)
    (samples,) = folder.rglob("samples_*.jsonl")
    (results,) = folder.rglob("results_*.json")
    rows, found = (
        [json.loads(line) for line in samples.read_text("utf-8").splitlines()],
        json.loads(results.read_text("utf-8")),
    )
    change(rows, found)
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    results.write_text(json.dumps(found), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows, results: rows[3].update(exact_match=12.5),
            "line 4: exact_match is 12.5, not a score from 0 to 1",
        ),
        (lambda rows, results: rows[3].update(doc_id=0), "line 4: document 0 stands twice"),
        (lambda rows, results: results["higher_is_better"]["fees_zh"].update(exact_match=False), "less exact_match is"),
        (lambda rows, results: rows.clear(), "samples of fees_zh: none"),
    ],
)
def test_what_is_no_score_of_a_document_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        convert(read_run(changed(tmp_path, change)), "tuned", "digest", 7)


def test_models_that_were_asked_other_documents_are_not_compared(tmp_path: Path, program: Path) -> None:
    program.write_text(program.read_text().replace(f"{RECORDED}", f"{tmp_path / 'other'}"))
    shutil.copytree(RECORDED / "base", tmp_path / "other" / "base")
    folder = changed(tmp_path, lambda rows, results: rows.pop())
    shutil.copytree(folder, tmp_path / "other" / "tuned")
    with pytest.raises(EvalError, match="asked the two models different documents"):
        run(tmp_path, program)


def test_the_command_prints_lm_evals_error_beside_the_paired_difference(tmp_path: Path, program: Path) -> None:
    given = ["lm-eval", "--tasks", "fees_zh", "--include", str(tmp_path), "--endpoint", "http://127.0.0.1:9/v1"]
    given += ["--base", "base", "--tuned", "tuned", "--out", str(tmp_path / "out"), "--program", str(program)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "0.3750 ± 0.1830" in done.output and "+0.375 [" in done.output and "3 : 0, 0.250" in done.output


def test_what_a_killed_run_left_is_not_taken_for_another_model_or_seed(tmp_path: Path, program: Path) -> None:
    def cache(model: str, seed: int) -> str:
        with contextlib.suppress(EvalError):
            evaluate_lm_eval(
                ["t"], None, {"tuned": model}, "http://h/v1", tmp_path / "o", LmEvalConfig(seed=seed), str(program)
            )
        given = calls(tmp_path)[-1][0]
        return str(given[given.index("--use_cache") + 1])

    first = cache("broken", 1)
    assert first == cache("broken", 1), "the same command goes on"
    assert len({first, cache("broken", 2), cache("tuned", 1)}) == 3


def test_a_failed_or_missing_lm_eval_is_told_with_the_remedy(tmp_path: Path, program: Path) -> None:
    with pytest.raises(EvalError, match=r"lm-eval ended with status 3(.|\n)*same command again"):
        evaluate_lm_eval(["t"], None, {"tuned": "broken"}, "http://h/v1", tmp_path / "o", LmEvalConfig(), str(program))
    with pytest.raises(EvalError, match=r"no such command(.|\n)*--program"):
        evaluate_lm_eval(["t"], None, {"tuned": "x"}, "http://h/v1", tmp_path / "o", LmEvalConfig(), "no-lm-eval")
