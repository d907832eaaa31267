"""`tianjing train parity`: rows of a dataset, a tokenizer, perhaps a running server; the differences on the console."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from tianjing.console import make_console
from training.config import TrainConfig
from training.errors import TrainingError
from training.parity.check import check_parity, sample
from training.rows import stop_tokens
from training.selection import choose_rows

console = make_console(stderr=True)
_SHOWN = 5


def run_parity(
    dataset: Path,
    model: Path,
    config: TrainConfig,
    rows: int,
    endpoint: str | None = None,
    served_name: str | None = None,
    api_key: str = "",
) -> bool:
    """Compare about `rows` of the rows that would be trained on, and print what was found.

    Returns:
        Whether training and serving agree.

    Raises:
        TrainingError: no row holds an answer or no pair is there, or the server at `endpoint` cannot be asked.
    """
    examples = sample(choose_rows(dataset, config).conversations(), rows, config.seed)
    if not examples:
        raise TrainingError(f"{dataset}: no row ends with an answer of the assistant", "rebuild the dataset")
    with console.status("loading the tokenizer"):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    with console.status(f"rendering {len(examples)} rows"):
        parity = check_parity(examples, tokenizer, stop_tokens(tokenizer, model))
    differences = list(parity.differences)
    asked = ""
    if endpoint:
        from training.parity.served import check_server

        with console.status(f"asking {endpoint} for {parity.answers} prompts"):
            differences += check_server(examples, tokenizer, endpoint, api_key, served_name)
        asked = f" and {endpoint}"
    out = make_console(soft_wrap=True)
    out.print(f"{parity.rows} rows, {parity.answers} answers: training beside transformers' chat template{asked}")
    if parity.rewritten:
        out.print(
            f"in {len(parity.rewritten)} rows ({', '.join(parity.rewritten[:_SHOWN])}) the template renders earlier "
            "answers otherwise than when they were new (reasoning leaves the history, say); only the last answer of a "
            "row is trained on, so training sees what serving sees"
        )
    for difference in differences[:_SHOWN]:
        out.print(escape(str(difference)))
    if differences:
        out.print(
            f"{len(differences)} differences: do not train on this. Mend chat_template.jinja or the tokenizer of the "
            "base model, and serve the same files"
        )
    else:
        out.print("no difference")
    return not differences
