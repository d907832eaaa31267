"""The clean chain on two cores, core-µs by step, beside data-juicer and datatrove doing their nearest equivalents.

    python scripts/bench/clean.py --documents 100000 --datatrove PYTHON --data-juicer PYTHON

PYTHON is an interpreter in whose environment the peer is installed:
    datatrove    pip install "datatrove[io,processing,multilingual]" spacy jieba ftfy
    data-juicer  pip install py-data-juicer aiohttp
Dialogues of about 290 characters, with their logs and customers: of seven, five are two simulated ones (`tianjing
simulate`) back to back and two a single one, whatever they say. The logs of the second of two belong to no dialogue and
are cleaned by themselves. With 100,000, start-up hardly counts. The peers get `--peer-documents` of them as texts,
without logs to join. They know no Chinese personal data, no rules, no sessions and no alignment, so their chains do
less:

    normalise        NFKC, spaces, fillers      ftfy NFKC                  fix_unicode, whitespace_normalization
    personal data    find, mask, with record    PIIFormatter (e-mail, IP)  pii_redaction, clean_email
    quality          signals of a dialogue      GopherRepetitionFilter     character_repetition, special_characters,
                                                                           alphanumeric, text_length
    near duplicates  characters, verified       MinHash, cmn_Hani          document_minhash, characters
    sessions, rules, alignment, logs            -                          -

Language identification is left out for both peers: theirs download a model. Times are of the work, without imports.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_recipes.cleaning.config import CleanConfig
from data_recipes.cleaning.executors import ExecutorConfig, run_phases
from data_recipes.cleaning.phases import phases
from data_recipes.cleaning.run import gather, prepare, workspace
from data_recipes.config import ExtractConfig
from tianjing.files import write_jsonl

CORES = 2

DATATROVE = """
import sys, time
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherRepetitionFilter, LambdaFilter
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

LANGUAGE = "cmn_Hani"  # "zho" falls back to white space without a word, and finds next to nothing


def run(pipeline, tasks, name):
    executor = LocalPipelineExecutor(pipeline, tasks=tasks, workers=min(tasks, 2), logging_dir=f"{work}/logs/{name}")
    executor.run()


def long_enough(document):
    return 20 <= len(document.text) <= 100000


if __name__ == "__main__":
    source, work = sys.argv[1:]
    config = MinhashConfig(n_grams=5, num_buckets=20, hashes_per_bucket=6)
    started = time.monotonic()
    run([JsonlReader(source), FTFYFormatter(normalization="NFKC"), PIIFormatter(), LambdaFilter(long_enough),
         GopherRepetitionFilter(language=LANGUAGE), JsonlWriter(f"{work}/clean")], 2, "clean")
    print("SECONDS normalise, PII, quality", time.monotonic() - started)
    lap = time.monotonic()
    signature = MinhashDedupSignature(f"{work}/sig", config=config, language=LANGUAGE)
    run([JsonlReader(f"{work}/clean"), signature], 2, "sig")
    run([MinhashDedupBuckets(f"{work}/sig", f"{work}/buckets", config=config)], 20, "buckets")
    run([MinhashDedupCluster(f"{work}/buckets", f"{work}/ids", config=config)], 1, "cluster")
    run([JsonlReader(f"{work}/clean"), MinhashDedupFilter(f"{work}/ids"), JsonlWriter(f"{work}/out")], 2, "filter")
    print("SECONDS near duplicates", time.monotonic() - lap)
    print("SECONDS all", time.monotonic() - started)
"""

DATA_JUICER = """
project_name: bench
dataset_path: {source}
export_path: {work}/out/out.jsonl
np: 2
use_cache: false
open_tracer: false
process:
  - fix_unicode_mapper: {{normalization: NFKC}}
  - whitespace_normalization_mapper:
  - pii_redaction_mapper:
  - clean_email_mapper:
  - alphanumeric_filter: {{min_ratio: 0.2}}
  - character_repetition_filter: {{rep_len: 10, max_ratio: 0.6}}
  - special_characters_filter: {{max_ratio: 0.5}}
  - text_length_filter: {{min_len: 20, max_len: 100000}}
  - document_minhash_deduplicator:
      {{tokenization: character, window_size: 5, num_permutations: 120, jaccard_threshold: 0.8}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--peer-documents", type=int, default=5_000)
    parser.add_argument("--datatrove", help="interpreter with datatrove")
    parser.add_argument("--data-juicer", help="interpreter with data-juicer")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(f"{CORES} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        raw = corpus(work, arguments.documents, arguments.seed)
        rates = {"ours": ours(raw, work)}
        texts = work / "texts"
        texts.mkdir()
        write_texts(raw, texts, arguments.peer_documents)
        if arguments.datatrove:
            rates["datatrove"] = datatrove(arguments.datatrove, texts, work, arguments.peer_documents)
        if arguments.data_juicer:
            rates["data-juicer"] = data_juicer(arguments.data_juicer, texts, work, arguments.peer_documents)
    print(f"\n{'':14} dialogues/s  ours is faster by")
    for name, rate in rates.items():
        print(f"{name:14} {rate:11,.0f}  {rates['ours'] / rate:.1f}x")


def corpus(work: Path, documents: int, seed: int) -> Path:
    """Simulated dialogues, some two back to back under the first one's id and customer."""
    cases = 12 * (documents // 7 + 1)
    command = [sys.executable, "-m", "tianjing", "simulate", "--cases", str(cases), "--seed", str(seed)]
    subprocess.run([*command, "--out", str(work / "simulated")], check=True, stdout=subprocess.DEVNULL)
    simulated, raw = work / "simulated", work / "raw"
    raw.mkdir()
    for name in ("customers", "events", "outcomes"):
        (simulated / f"{name}.jsonl").rename(raw / f"{name}.jsonl")

    def joined() -> Iterator[dict[str, Any]]:
        with open(simulated / "dialogues.jsonl", encoding="utf-8") as stream:
            for number in range(documents):
                dialogue = json.loads(next(stream))
                turns = dialogue["turns"] + (json.loads(next(stream))["turns"] if number % 7 not in (2, 5) else [])
                for turn in turns:
                    turn.pop("at", None)  # two calls: their times would make them two sessions again
                yield {**dialogue, "turns": turns}

    count = write_jsonl(raw / "dialogues.jsonl", joined())
    characters = sum(len(turn["text"]) for row in joined() for turn in row["turns"])
    print(f"{count:,} dialogues of {characters / count:.0f} characters")
    return raw


def ours(raw: Path, work: Path) -> float:
    """Dialogues a second, from the raw folder to the files of the artefact."""
    started = time.monotonic()
    space = workspace(work / "cleaned")
    plan = prepare(raw, space, CleanConfig(), ExtractConfig().identity_fields, "stop", lambda step: None)
    marks = [("", started)]

    def mark(step: str) -> None:
        """Note when a phase begins."""
        name = step.partition(":")[0]
        if name != marks[-1][0]:
            marks.append((name, time.monotonic()))

    run_phases(space, phases(plan), ExecutorConfig(workers=CORES), mark)
    marks.append(("", time.monotonic()))
    walls = [(name, end - begin) for (name, begin), (_, end) in itertools.pairwise(marks) if name]
    (work / "cleaned").mkdir()
    gathered = gather(space, work / "cleaned")
    seconds = time.monotonic() - started
    documents = gathered.counts["read dialogues"]
    print(
        f"\nours: {documents:,} dialogues in {seconds:.1f} s; by phase (wall): "
        + ", ".join(f"{name} {took:.1f}" for name, took in walls)
    )
    for step, core in gathered.seconds.most_common():
        print(f"  {step:24} {core / documents * 1e6:8.1f} core-µs a dialogue")
    print("  " + ", ".join(f"{name}: {count:,}" for name, count in sorted(gathered.counts.items())))
    return documents / seconds


def write_texts(raw: Path, folder: Path, documents: int) -> None:
    """The peers' input in two files, so that both of their workers have one."""
    with open(raw / "dialogues.jsonl", encoding="utf-8") as stream:
        rows = [json.loads(line) for line, _ in zip(stream, range(documents), strict=False)]
    texts = [{"id": row["id"], "text": "\n".join(turn["text"] for turn in row["turns"])} for row in rows]
    for number in range(CORES):
        write_jsonl(folder / f"{number}.jsonl", texts[number::CORES])


def datatrove(python: str, texts: Path, work: Path, documents: int) -> float:
    script = work / "peer_datatrove.py"
    script.write_text(DATATROVE, encoding="utf-8")
    output = _output([python, str(script), str(texts), str(work / "datatrove")])
    for step, seconds in re.findall(r"SECONDS (.+) ([\d.]+)", output):
        print(f"datatrove: {step}: {float(seconds):.1f} s")
    return documents / float(re.findall(r"SECONDS all ([\d.]+)", output)[0])


def data_juicer(python: str, texts: Path, work: Path, documents: int) -> float:
    config = work / "data_juicer.yaml"
    config.write_text(DATA_JUICER.format(source=texts, work=work / "data_juicer"), encoding="utf-8")
    output = _output([str(Path(python).with_name("dj-process")), "--config", str(config)])
    seconds = float(re.findall(r"All OPs are done in ([\d.]+)s", output)[0])
    print(f"data-juicer: {seconds:.1f} s")
    return documents / seconds


def _output(command: list[str]) -> str:
    """Standard output and error of a peer; its failure stops the benchmark."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
