"""Kill an evaluation at random moments, start it again each time, and compare with one that was left in peace.

A run asks base and tuned of a local mock, in turn. Each kill is SIGKILL after a random time; the last start goes to its
end. Printed are the requests sent and answered twice, and whether summary and attempts are the same: all of them but
times, which no two runs share.
Usage: python scripts/bench/evals_resume.py [--kills N] [--items N] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tianjing.dataset import write_examples
from tianjing.lineage import artefact
from tianjing.records import Example
from tianjing.tasks import TASKS, conversation

HERE = Path(__file__).parent
# What two runs cannot share: times, and when requests came.
TIMES = {"created", "seconds", "latency_s", "first_token_s", "pace", "latency_p50_s", "latency_p95_s"}
REPLIES = {
    "offer_deferral": ("我刚失业{n}个月，真没收入", "您的情况可以申请延期还款，我帮您登记"),
    "request_proof": ("我住院{n}天了，一直在医院", "请您提供诊断书等材料，我们帮您审核"),
    "confirm_date": ("工资晚发了{n}天", "那您具体几号还，我这边登记日期"),
}
CHILD = """
import sys
from pathlib import Path
from evals.arms import Endpoint
from evals.config import EvalConfig
from evals.run import evaluate_endpoint
dataset, url, out, config = sys.argv[1:]
endpoint = Endpoint(url, {"base": "base", "tuned": "tuned"})
evaluate_endpoint(Path(dataset), endpoint, Path(out), EvalConfig.model_validate_json(config))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--items", type=int, default=300, help="test items; each is asked about a dozen times per arm")
    parser.add_argument("--delay-ms", type=float, default=20, help="of each answer of the mock")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "asked.log"
        command = [sys.executable, str(HERE / "evals_mock.py"), "--log", str(log)]
        command += ["--delay-ms", str(arguments.delay_ms)]
        mock = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert mock.stdout is not None
            url = f"http://127.0.0.1:{mock.stdout.readline().strip()}/v1"
            killed_at_random(url, log, folder, arguments)
        finally:
            mock.terminate()
            mock.wait()


def killed_at_random(url: str, log: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Both runs and the table; exits 1 where they differ."""
    dataset = make_dataset(folder / "dataset", arguments.items)
    config = json.dumps(
        {"items": arguments.items, "stability_items": arguments.items, "bootstrap": 200, "format_only_draws": 5}
    )
    began = time.monotonic()
    run(dataset, url, folder / "whole", config).wait()
    whole_s = time.monotonic() - began
    asked_whole = lines(log)
    log.write_bytes(b"")
    moments = random.Random(arguments.seed)
    kills = repeated = 0
    planned = Counter((row["arm"], row["seed"]) for row in attempts(folder / "whole"))
    finished: Counter[tuple[str, int]] = Counter()
    code: int | None = None
    while code is None:
        before = len(lines(log))
        child = run(dataset, url, folder / "killed", config)
        try:
            code = child.wait(moments.uniform(0.3, 1) * whole_s / 2 if kills < arguments.kills else None)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
        sent = Counter(map(request_of, lines(log)[before:]))
        repeated += sum(
            max(0, count - planned[request] + finished[request])
            for request, count in sent.items()
            if request in planned
        )  # the seed canary is not of the plan
        finished = answered(folder / ".work" / "killed")
    if code:
        sys.exit("the last run failed")
    asked_killed = lines(log)
    again = len(asked_killed) - len(asked_whole)
    rows = [attempts(folder / name) for name in ("whole", "killed")]
    whole, killed = (
        without_times(json.loads((folder / name / "summary.json").read_text())) for name in ("whole", "killed")
    )
    print(f"{'':<36}{'left in peace':>14}{'killed':>10}")
    print(f"{'kills':<36}{0:>14}{kills:>10}")
    print(f"{'requests of the plan':<36}{len(rows[0]):>14}{len(rows[1]):>10}")
    print(f"{'requests sent':<36}{len(asked_whole):>14}{len(asked_killed):>10}")
    print(f"{'in flight at a kill, so sent again':<36}{0:>14}{again:>10}")
    print(f"{'answered on disk, yet sent again':<36}{0:>14}{repeated:>10}")
    print(f"attempts equal: {rows[0] == rows[1]}; summary equal: {whole == killed}")
    if rows[0] != rows[1] or whole != killed or repeated:
        sys.exit(1)


def request_of(line: bytes) -> tuple[str, int]:
    """Arm and seed of a request that the mock saw: equal for those alone that repeat it at another concurrency."""
    body = json.loads(line)
    return body["model"], body["seed"]


def answered(work: Path) -> Counter[tuple[str, int]]:
    """What the journals of a killed run hold."""
    rows = [json.loads(line) for path in work.glob("attempts-*.jsonl") for line in path.read_bytes().splitlines()[:-1]]
    return Counter((row["arm"], row["seed"]) for row in rows)


def run(dataset: Path, url: str, out: Path, config: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(dataset), url, str(out), config], stderr=subprocess.DEVNULL
    )


def make_dataset(path: Path, items: int) -> Path:
    """Rows of one task, of invented customers."""
    with artefact(path, kind="dataset") as work:
        for split, count in (("train", 30), ("test", items)):
            write_examples(work.dir / f"{split}.parquet", [row(split, number) for number in range(count)])
    return path


def row(split: Any, number: int) -> Example:
    act = list(REPLIES)[number % 3]
    told, reply = REPLIES[act]
    turns = [
        {"speaker": "agent", "text": f"您好，这里是晨舟，工号{number}"},
        {"speaker": "customer", "text": told.format(n=number % 28 + 2)},
    ]
    reference = {"situation": "失业", "act": act, "reply": reply}
    return Example(
        id=f"{split}-{number:05d}",
        task="next_reply",
        group=f"{split}-{number // 2}",
        split=split,
        messages=conversation(TASKS["next_reply"], {"turns": turns}, reference),
        fields={"turns": turns},
        reference=reference,
    )


def attempts(folder: Path) -> list[dict[str, Any]]:
    with open(folder / "attempts.jsonl", encoding="utf-8") as stream:
        return [without_times(json.loads(line)) for line in stream]


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(entry) for key, entry in value.items() if key not in TIMES}
    return [without_times(entry) for entry in value] if isinstance(value, list) else value


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


if __name__ == "__main__":
    main()
