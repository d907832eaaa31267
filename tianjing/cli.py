"""The `tianjing` command: mounts each stage's commands and imports a stage only when it is called."""

from __future__ import annotations

import errno
import importlib
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tianjing import __version__
from tianjing.console import make_console
from tianjing.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, TianjingError

# command -> (module with the Typer `app`, line shown by `tianjing --help`)
COMMANDS = {
    "run": ("tianjing.pipeline.cli", "Run a pipeline: data, train, merge, evaluate, gate, serve check."),
    "ablate": ("tianjing.pipeline.ablation_cli", "Train with and without experience, and compare in negotiations."),
    "data": ("data_recipes.cli", "Raw material to knowledge to an instruction dataset."),
    "train": ("training.cli", "Tune a LoRA adapter, or all weights, on a dataset."),
    "eval": ("evals.cli", "Measure base and tuned model, report, and decide on a release."),
    "serve": ("serving.cli", "Serve a released model behind the guarded OpenAI-compatible endpoint."),
    "audit": ("serving.audit.cli", "The account of every request: verify, show, export, reveal, forget."),
    "privacy": ("tianjing.privacy.cli", "Find and replace personal data; test re-identification."),
    "rules": ("tianjing.rulebook.cli", "Dated, cited rules: list, show, check dialogues, test."),
    "cost": ("tianjing.finance.cli", "What a loan costs: schedules, rates, cost tables, restructuring."),
    "lineage": ("tianjing.lineage.cli", "Trace, verify and sign artefacts."),
    "models": ("tianjing.models.cli", "Fetch, show and verify base models."),
    "simulate": ("tianjing.simulation.cli", "Write a sample corpus with known behaviour."),
}


class _LazyGroup(TyperGroup):
    """A group whose commands are imported when they are looked up by name, not when help is listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return typer.main.get_command(importlib.import_module(COMMANDS[cmd_name][0]).app)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        # Plain text: the rich help of a group would import every command to read its first line.
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        options = [record for option in self.get_params(ctx) if (record := option.get_help_record(ctx)) is not None]
        with formatter.section("Options"):
            formatter.write_dl(options)
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


# What a user mends at the place itself; any other error of the system is a fault of ours, with its traceback.
_OF_THE_PLACE = frozenset(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOTDIR)
)

app = typer.Typer(
    cls=_LazyGroup,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: tianjing run examples/quickstart.yaml --out runs/quickstart",
    # A traceback with the values of variables would show customers' data; older versions of Typer do so by default.
    pretty_exceptions_show_locals=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tianjing {__version__}")
        raise typer.Exit()


@app.callback()
def _tianjing(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    """Tianjing (天镜): from service dialogues, logs and rules to a tuned, proven and guarded model."""


def _show(error: TianjingError) -> int:
    """Print an error and its remedy; gives the exit status."""
    console = make_console(stderr=True, soft_wrap=True)
    console.print("[bold red]error[/]", end=" ")
    console.print(error.message, markup=False)
    if error.remedy:
        console.print("[bold]remedy[/]", end=" ")
        console.print(error.remedy, markup=False)
    return error.exit_code


def _explained(error: OSError) -> TianjingError:
    place = f"{error.filename}: " if error.filename else ""
    return TianjingError(f"{place}{error.strerror}", "mend its permissions or free space, or give another path")


def main() -> None:
    """Console entry point: a `TianjingError`, or a place that cannot be written to, becomes a message and a status."""
    # A shell ignores SIGINT in what a script puts in the background, and children inherit that: a stage could then not
    # be stopped by its pipeline, nor an endpoint by its supervisor.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = app(standalone_mode=False)
    except TianjingError as error:
        sys.exit(_show(error))
    except OSError as error:
        if error.errno not in _OF_THE_PLACE:
            raise
        sys.exit(_show(_explained(error)))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        # A wrong option: Typer's own exceptions show themselves; which class they derive from depends on its version.
        if not hasattr(error, "show"):
            raise
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
