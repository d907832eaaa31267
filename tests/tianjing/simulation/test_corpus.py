"""The sample corpus keeps its promises: same bytes, natural limits, separate sites, planted truth that can be found."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import REPOSITORY
from tests.tianjing.simulation.conftest import CASES, Corpus
from tianjing import acts
from tianjing.errors import TianjingError
from tianjing.records import Customer
from tianjing.simulation import simulate
from tianjing.simulation.accounts import PRODUCTS
from tianjing.simulation.cli import app
from tianjing.simulation.grammar import Grammar, GrammarError
from tianjing.simulation.people import bank_card, id_card
from tianjing.simulation.planted import SITUATIONS
from tianjing.simulation.policies import articles, quality_rules
from tianjing.simulation.sites import SITES, SLOTS

RAW_FILES = "dialogues events outcomes customers accounts contacts records documents".split()
RAW = REPOSITORY / "examples" / "raw"
SAMPLE_SLOTS = {name: "12" for name in SLOTS} | {
    "spouse": "老婆",
    "call": "王先生",
    "name": "王建国",
    "label": "《办法》第三条",
}


def _bytes(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        simulate(tmp_path / name, 60, seed)
    written = {name: _bytes(tmp_path / name) for name in "abc"}
    assert written["a"] == written["b"]
    assert all(written["a"][name] != written["c"][name] for name in written["a"] if name.endswith(".jsonl"))
    assert sum(name.startswith("rules/") for name in written["a"]) == 6


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tianjing.simulation.corpus.SHARD_CASES", 50)
    for workers in (1, 2):
        simulate(tmp_path / str(workers), 170, 7, workers=workers)
    assert _bytes(tmp_path / "1") == _bytes(tmp_path / "2")
    ids = [json.loads(line)["id"] for line in (tmp_path / "1" / "dialogues.jsonl").open()]
    assert ids == [f"d{number:06d}" for number in range(1, 171)]


def test_each_surface_is_one_way_of_speaking(tmp_path: Path) -> None:
    for surface, site in (("a", "east"), ("b", "west")):
        simulate(tmp_path / surface, 30, 7, surface)  # type: ignore[arg-type]
        customers = (tmp_path / surface / "customers.jsonl").read_text(encoding="utf-8").splitlines()
        assert {json.loads(line)["site"] for line in customers} == {site}


def test_committed_corpus_is_what_the_generator_writes(corpus: Corpus) -> None:
    written, committed = _bytes(corpus.folder), _bytes(RAW)
    for name in written:
        if not name.startswith("rules/"):
            assert written[name] == committed[name], f"scripts/make_samples.sh writes {name} anew"
    assert sum(map(len, committed.values())) < 6_000_000


def _committed_text(path: Path) -> str:
    if path.suffix == ".pdf":
        from pdfminer.high_level import extract_text

        text = extract_text(path)
    elif path.suffix == ".docx":
        import docx

        document = docx.Document(str(path))
        cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
        text = "".join([paragraph.text for paragraph in document.paragraphs] + cells)
    else:
        text = re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8"))
    return re.sub(r"\s+", "", text)


def test_committed_policies_hold_every_article_in_four_formats() -> None:
    paths = {path.stem: path for path in (RAW / "rules").iterdir()}
    assert sorted(path.suffix for path in paths.values()) == [".docx", ".docx", ".html", ".md", ".md", ".pdf"]
    texts = {stem: _committed_text(path) for stem, path in paths.items()}
    for article in articles().values():
        assert re.sub(r"\s+", "", article.number + article.text) in texts[article.document], article.label
    assert all(title in texts["贷后沟通行为规范"] for title in quality_rules().values())


def test_the_command_writes_every_raw_file_with_rules_and_truth(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--cases", "40", "--seed", "3", "--out", str(tmp_path / "raw")])
    assert result.exit_code == 0, result.output
    assert "40 dialogues" in result.output
    written = {path.name for path in (tmp_path / "raw").iterdir()}
    assert {f"{name}.jsonl" for name in RAW_FILES} | {"rules", "truth", "truth.json"} == written
    truth = json.loads((tmp_path / "raw" / "truth.json").read_text(encoding="utf-8"))
    assert (truth["cases"], truth["seed"], truth["working_acts"]["失业"]) == (40, 3, "offer_deferral")
    assert CliRunner().invoke(app, ["--surface", "c", "--out", str(tmp_path / "c")]).exit_code == 2


def test_bad_arguments_are_errors_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    (tmp_path / "file").write_text("")
    for out, cases, surface, workers, message in (
        ("new", 3, "both", None, "too few"),
        ("new", 20, "c", None, "--surface c"),
        ("new", 20, "a", 0, "--workers 0"),
        ("mine", 20, "a", None, "no earlier corpus"),
        ("file", 20, "a", None, "is a file"),
        ("file/below", 20, "a", None, "file"),
    ):
        with pytest.raises(TianjingError, match=message) as caught:
            simulate(tmp_path / out, cases, 1, surface, workers)  # type: ignore[arg-type]
        assert caught.value.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]


def test_a_full_disk_is_an_error_with_a_remedy_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(shard: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tianjing.simulation.corpus.write_shard", full)
    with pytest.raises(TianjingError, match="disk is full") as caught:
        simulate(tmp_path / "raw", 20, 1)
    assert "free space" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def _die(shard: object) -> None:
    os._exit(9)


def test_a_process_that_is_killed_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tianjing.simulation.corpus.write_shard", _die)
    monkeypatch.setattr("tianjing.simulation.corpus.SHARD_CASES", 20)
    with pytest.raises(TianjingError, match="was killed"):
        simulate(tmp_path / "raw", 60, 1, workers=2)
    assert list(tmp_path.iterdir()) == []


def _runs(process: Path) -> bool:
    """Whether the process of this /proc folder lives; one that nobody has waited for yet does not."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_killed_while_writing_leaves_the_earlier_corpus_and_the_next_run_clears_up(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    simulate(out, 20, 1)
    before = _bytes(out)
    command = [sys.executable, "-m", "tianjing", "simulate", "--cases", "100000", "--out", str(out), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=REPOSITORY)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children.read_text().split()) < 3:  # two that write, and one that tracks what they share
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    writing = [Path("/proc") / child for child in children.read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert _bytes(out) == before
    deadline = time.monotonic() + 20
    while any(map(_runs, writing)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_runs, writing))
    simulate(out, 20, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_counts_sites_turns_and_hours(corpus: Corpus) -> None:
    assert len(corpus.dialogues) == CASES
    assert len({dialogue.id for dialogue in corpus.dialogues}) == CASES
    site = {customer.customer: customer.field("site") for customer in corpus.customers}
    west = sum(site[dialogue.customer] == "west" for dialogue in corpus.dialogues) / CASES
    assert 0.28 <= west <= 0.32
    assert len({dialogue.agent for dialogue in corpus.dialogues}) == 40
    for dialogue in corpus.dialogues:
        assert 3 <= len(dialogue.turns) <= 14, dialogue.id
        assert all(a.speaker != b.speaker for a, b in zip(dialogue.turns, dialogue.turns[1:], strict=False))
        times = [turn.at for turn in dialogue.turns]
        assert all(at is not None for at in times) and times == sorted(times, key=str)
        first, last = dialogue.turns[0].at, dialogue.turns[-1].at
        assert first is not None and last is not None
        assert (first.hour, first.minute) >= (8, 30) and (last.hour, last.minute) <= (20, 30)
        assert dialogue.started_at.isoformat().endswith("+08:00")
    months = {dialogue.started_at.month for dialogue in corpus.dialogues}
    assert months == {1, 2, 3, 4, 5, 6}


def test_noise_and_duplicates_have_their_shares(corpus: Corpus) -> None:
    noisy = len(corpus.noisy) / CASES
    assert 0.17 <= noisy <= 0.25
    texts = Counter(tuple(turn.text for turn in dialogue.turns) for dialogue in corpus.dialogues)
    assert sum(count - 1 for count in texts.values()) == len(corpus.duplicates) == 16


def _sentences(text: str, person: Customer) -> list[str]:
    """Sentences and their parts with names, numbers and citations masked."""
    text = unicodedata.normalize("NFKC", text)
    name = str(person.field("name"))
    for private in (name, name[0] + "先生", name[0] + "女士", *PRODUCTS):
        text = text.replace(private, "#")
    text = re.sub(r"《[^》]*》第[一二三四五六七八九十]+条|[\d零幺二三四五六七八九Xx]{4,}|\d+", "#", text)
    whole = re.split(r"[。!?！？;；]", text)
    parts = re.split(r"[。!?！？;；，,、]", text)
    return [part.strip("，,# ") for part in whole + parts]


def test_no_sentence_of_west_occurs_in_east(corpus: Corpus) -> None:
    people = {customer.customer: customer for customer in corpus.customers}
    spoken: dict[str, set[str]] = defaultdict(set)
    for dialogue in corpus.dialogues:
        person = people[dialogue.customer]
        for turn in dialogue.turns:
            spoken[person.field("site")] |= set(_sentences(turn.text, person))
    shared = {text for text in spoken["east"] & spoken["west"] if len(text) >= 8}
    assert not shared


def test_no_production_is_shared_between_the_sites() -> None:
    def productions(site: str) -> set[str]:
        rows = SITES[site].grammar.productions.values()
        return {text for row in rows for text in row if len(re.sub(r"\{\w+\}|[\[\]|，。？！]", "", text)) >= 6}

    assert not productions("east") & productions("west")


@pytest.mark.parametrize("site", SITES)
def test_grammars_are_rich_enough(site: str) -> None:
    grammar = SITES[site].grammar
    least = 12 if site == "east" else 8
    for situation in SITUATIONS.values():
        assert len(grammar.productions[situation.symbol]) >= least
        assert len(grammar.productions[f"act_{situation.act}"]) >= 8
    for rule in quality_rules():
        assert len(grammar.productions[f"{rule}_breach"]) >= least
        assert all("«" in text for text in grammar.productions[f"{rule}_breach"])
    rng = random.Random(1)
    for situation in SITUATIONS.values():
        forms = {grammar.say(situation.symbol, rng, SAMPLE_SLOTS) for _ in range(400)}
        assert len(forms) >= 300, situation.symbol


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("act", acts.ACTS)
def test_lexicon_reads_each_act(site: str, act: str) -> None:
    rng = random.Random(2)
    tags = [acts.tag(SITES[site].grammar.say(f"act_{act}", rng, SAMPLE_SLOTS)) for _ in range(300)]
    assert sum(act in tag for tag in tags) / len(tags) >= 0.97
    if act != "empathise":
        assert sum(tag == (act,) for tag in tags) / len(tags) >= 0.85


def test_reason_turns_leak_no_act(corpus: Corpus) -> None:
    dialogues = {dialogue.id: dialogue for dialogue in corpus.dialogues}
    for row in corpus.decisive:
        turn = dialogues[row["dialogue"]].turns[row["turn"] - 1]
        assert turn.speaker == "customer"
        assert acts.tag(turn.text) == (), turn.text


def test_decisive_turns_carry_the_logged_act(corpus: Corpus) -> None:
    dialogues = {dialogue.id: dialogue for dialogue in corpus.dialogues}
    rows = corpus.decisive
    hits = [row["act"] in acts.tag(dialogues[row["dialogue"]].turns[row["turn"]].text) for row in rows]
    assert sum(hits) / len(hits) >= 0.97


def test_working_act_stands_out_in_every_situation_of_both_sites(corpus: Corpus) -> None:
    kept = {outcome.case: outcome.value for outcome in corpus.outcomes if outcome.name == "promise_kept"}
    site = {customer.customer: customer.field("site") for customer in corpus.customers}
    of = {dialogue.id: site[dialogue.customer] for dialogue in corpus.dialogues}
    rates: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
    working = corpus.parameters["working_acts"]
    for row in corpus.decisive:
        if row["missing"]:
            assert row["dialogue"] not in kept
            continue
        treated = row["act"] == working[row["situation"]]
        for situation in (row["situation"], "all"):
            rates[of[row["dialogue"]], situation, treated].append(kept[row["dialogue"]])

    def difference(place: str, situation: str) -> float:
        treated, control = rates[place, situation, True], rates[place, situation, False]
        return sum(treated) / len(treated) - sum(control) / len(control)

    assert difference("east", "all") >= 0.3 and difference("west", "all") >= 0.3
    for situation in SITUATIONS:
        assert difference("east", situation) >= 0.2, situation
        assert difference("west", situation) >= 0.2, situation


def test_log_events_stand_at_the_moment_of_their_turn(corpus: Corpus) -> None:
    dialogues = {dialogue.id: dialogue for dialogue in corpus.dialogues}
    told = 0
    for event in corpus.events:
        if event.activity == "质检":
            continue
        turns = {turn.at: turn for turn in dialogues[event.case].turns}
        assert event.at in turns
        if event.activity == "登记逾期原因":
            told += 1
            assert turns[event.at].speaker == "customer"
            assert event.attributes["reason"] in SITUATIONS
        else:
            assert turns[event.at].speaker == "agent"
    assert told == len(corpus.decisive)


def test_findings_are_balanced_and_quote_the_turn(corpus: Corpus) -> None:
    dialogues = {dialogue.id: dialogue for dialogue in corpus.dialogues}
    findings = [event for event in corpus.events if event.activity == "质检"]
    assert 0.40 <= len(findings) / CASES <= 0.50
    rules = Counter(event.attributes["rule"] for event in findings)
    assert 0.33 <= rules["none"] / len(findings) <= 0.47
    assert set(rules) == {*quality_rules(), "none"}
    breaches = [count for rule, count in rules.items() if rule != "none"]
    assert max(breaches) <= 1.6 * min(breaches)
    for event in findings:
        found = event.attributes
        turn = dialogues[event.case].turns[found["turn"]]
        assert turn.speaker == "agent"
        if found["rule"] == "none":
            assert found["evidence"] == found["rewrite"] == ""
        else:
            assert len(found["evidence"]) >= 4 and found["evidence"] in turn.text
            assert 0 < len(found["rewrite"]) <= 30


def test_policy_answers_cite_the_article_and_only_planted_ones_misstate_it(corpus: Corpus) -> None:
    dialogues = {dialogue.id: dialogue for dialogue in corpus.dialogues}
    questions = corpus.questions
    number = re.compile(r"\d+")
    for row in questions:
        text = unicodedata.normalize("NFKC", dialogues[row["dialogue"]].turns[row["turn"]].text)
        if not row["article"]:
            assert "《" not in text
            continue
        article = articles()[row["article"]]
        assert article.label in text
        stated = set(number.findall(text.split(article.label)[1]))
        assert (stated <= set(number.findall(article.text))) != row["wrong"], text
    assert 0.08 <= sum(not row["article"] for row in questions) / len(questions) <= 0.16
    assert 0.01 <= sum(row["wrong"] for row in questions) / len(questions) <= 0.06
    asked = {row["article"] for row in questions}
    assert len(asked) >= 60


def test_every_answer_keeps_to_the_numbers_of_its_article() -> None:
    for site in SITES.values():
        for key in site.articles:
            for answer in site.grammar.productions[f"answer_{key}"]:
                known = re.findall(r"\d+", articles()[key].text)
                assert set(re.findall(r"\d+", answer)) <= set(known), (site.name, key)


def test_personal_numbers_are_spoken_and_valid(corpus: Corpus) -> None:
    rng = random.Random(5)
    card = bank_card(rng)
    digits = [int(char) for char in reversed(card)]
    assert sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0
    number = id_card(rng, "310104", female=True)
    weights = [2 ** (17 - i) % 11 for i in range(17)]
    remainder = sum(int(char) * weight for char, weight in zip(number, weights, strict=False)) % 11
    assert number[-1] == "10X98765432"[remainder]
    people = {customer.customer: customer for customer in corpus.customers}
    shown = spoken = named = 0
    for dialogue in corpus.dialogues:
        text = unicodedata.normalize("NFKC", "".join(turn.text for turn in dialogue.turns))
        shown += str(people[dialogue.customer].field("mobile")) in text
        spoken += bool(re.search(r"幺[零幺二三四五六七八九]{10}", text))
        named += str(people[dialogue.customer].field("name")) in text
    assert shown >= 30 and spoken >= 30 and named >= 300


def test_grammar_refuses_unknown_names_and_double_definitions() -> None:
    with pytest.raises(GrammarError, match="unknown name 'b'"):
        Grammar("test", ({"a": ("x{b}",)},), ())
    with pytest.raises(GrammarError, match="defined twice"):
        Grammar("test", ({"a": ("x",)}, {"a": ("y",)}), ())
    marked = Grammar("test", ({"a": ("[甲|甲]，«{s}»。",)},), ("s",)).mark("a", random.Random(0), {"s": "乙"})
    assert (marked.text, marked.evidence) == ("甲，乙。", "乙")
