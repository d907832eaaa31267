"""`tianjing rules`: list and show rules, check dialogues and contact logs, run the rules' own examples."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tianjing.files import OnError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Dated, cited rules: what may be said, when, and how often.",
    epilog="Example: tianjing rules check dialogues.jsonl --contacts contacts.jsonl --out findings.jsonl",
)

_Packs = Annotated[
    list[Path] | None, typer.Option("--pack", help="Your own YAML pack, after the shipped ones; repeat for more.")
]
_Day = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Only rules in force on this day (YYYY-MM-DD).")
]
_EXIT_BREACHES = 1


def _book(packs: list[Path] | None) -> Any:
    from tianjing.rulebook.book import Rulebook

    return Rulebook.load(packs or ())


@app.command("list", epilog="Example: tianjing rules list --topic false_promise --on 2026-08-01")
def list_rules(
    pack: _Packs = None,
    on: _Day = None,
    topic: Annotated[str | None, typer.Option(help="Only this topic, e.g. third_party.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only this check: phrase, disclosure, number, statement, contacts, offer, human.")
    ] = None,
) -> None:
    """One line per rule: id, topic, check, strength, first day, severity, action, verified or not, title."""
    from rich.table import Table

    from tianjing.console import make_console, print_table
    from tianjing.rulebook.errors import RulebookError

    book = _book(pack)
    for name, given, known in (
        ("topic", topic, {rule.topic for rule in book}),
        ("kind", kind, {rule.check.kind for rule in book}),
    ):
        if given and given not in known:
            raise RulebookError(f"--{name} {given}: no rule has it", f"one of: {', '.join(sorted(known))}")
    if on:
        book = book.on(on.date())
    table = Table("rule", "topic", "check", "strength", "from", "severity", "action", "verified", "title", box=None)
    count = 0
    for rule in book:
        if (topic and rule.topic != topic) or (kind and rule.check.kind != kind):
            continue
        count += 1
        table.add_row(
            rule.id,
            rule.topic,
            rule.check.kind,
            rule.strength,
            str(rule.effective_from),
            rule.severity,
            rule.action,
            "yes" if rule.verified else "no",
            rule.title,
        )
    print_table(table)
    make_console(stderr=True).print(f"{count} rules")


@app.command(epilog="Example: tianjing rules show interest.prededucted")
def show(
    rule: Annotated[str | None, typer.Argument(help="Id of the rule.")] = None,
    pack: _Packs = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a rule pack instead.")] = False,
) -> None:
    """Everything that a rule says, as YAML."""
    import json

    import yaml

    from tianjing.rulebook.errors import RulebookError
    from tianjing.rulebook.schema import Pack

    if schema:
        typer.echo(json.dumps(Pack.model_json_schema(), ensure_ascii=False, indent=2))
        return
    if rule is None:
        raise RulebookError("no rule named", "give the id of a rule, or --schema")
    value = _book(pack).rule(rule).model_dump(mode="json", exclude_none=True)
    typer.echo(yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=110), nl=False)


@app.command(epilog="Example: tianjing rules check dialogues.jsonl --contacts contacts.jsonl --out findings.jsonl")
def check(
    dialogues: Annotated[Path, typer.Argument(help="dialogues.jsonl")],
    out: Annotated[Path, typer.Option(help="findings.jsonl to write: rule, dialogue, turn, span, evidence, action.")],
    contacts: Annotated[Path | None, typer.Option(help="contacts.jsonl: the log of calls and messages.")] = None,
    facts: Annotated[
        Path | None, typer.Option(help="facts.jsonl: the truth per dialogue or customer, for stated numbers.")
    ] = None,
    pack: _Packs = None,
    institution: Annotated[
        str, typer.Option(help="Who lends: bank, consumer_finance, micro_loan, private_lender, agency, platform.")
    ] = "consumer_finance",
    product: Annotated[str | None, typer.Option(help="Only rules for this product.")] = None,
    on_error: Annotated[
        OnError, typer.Option(help="At a bad line: stop, or skip it and keep it in OUT.rejected.jsonl.")
    ] = "stop",
) -> None:
    """Judge dialogues, each by the rules of its own day; exit 1 when a breach was found."""
    from collections import Counter
    from typing import get_args

    from rich.progress import Progress, SpinnerColumn, TextColumn

    from tianjing.console import make_console
    from tianjing.files import SKIP_HINT, read_jsonl, require_readable, require_target, write_jsonl
    from tianjing.finance.statements import KnownFacts, read_known_facts
    from tianjing.records import Contact, Dialogue
    from tianjing.rulebook.checking import Finding, check_contacts, check_dialogue
    from tianjing.rulebook.errors import RulebookError
    from tianjing.rulebook.schema import Institution

    if institution not in get_args(Institution):
        raise RulebookError(f"no institution type '{institution}'", f"one of: {', '.join(get_args(Institution))}")
    require_target(out)
    if contacts:
        require_readable(contacts)
    book = _book(pack)
    console = make_console(stderr=True)
    findings: list[Finding] = []
    rejects: list[dict[str, Any]] = []
    known = read_known_facts(facts, on_error, rejects, SKIP_HINT) if facts else KnownFacts()
    read = 0
    with Progress(SpinnerColumn(), TextColumn("{task.completed} dialogues"), console=console, transient=True) as bar:
        task = bar.add_task("dialogues", total=None)
        for dialogue in read_jsonl(dialogues, Dialogue, on_error, rejects, SKIP_HINT):
            truth = known.about(dialogue.id, dialogue.customer)
            findings += check_dialogue(book, dialogue, institution, product, truth)  # type: ignore[arg-type]
            read += 1
            bar.update(task, completed=read)
        if not read and not rejects:
            raise RulebookError(f"{dialogues}: holds no records", "give a file with one dialogue a line")
        if contacts:
            mine = book.within(institution, product)
            findings += check_contacts(mine, read_jsonl(contacts, Contact, on_error, rejects, SKIP_HINT))
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    write_jsonl(temporary, findings)
    temporary.replace(out)
    if rejects:
        kept = out.with_name(f"{out.stem}.rejected.jsonl")
        write_jsonl(kept, rejects)
        console.print(f"{len(rejects)} bad lines were left out → {kept}")
    for rule, count in Counter(finding.rule for finding in findings).most_common():
        console.print(f"{count:6d}  {rule}")
    people = sum(1 for rule in book if rule.check.kind == "human")
    console.print(f"{read} dialogues, {len(findings)} findings → {out}; {people} rules are left to a person")
    breaches = [finding for finding in findings if finding.action != "handoff"]
    if breaches:
        raise typer.Exit(_EXIT_BREACHES)


@app.command(epilog="Example: tianjing rules test --pack company.yaml")
def test(pack: _Packs = None) -> None:
    """Run every rule's own examples; exit 1 when one does not hold."""
    from tianjing.rulebook.examples import cases, holds, untested

    book = _book(pack)
    complaints = untested(book)
    count = 0
    for case in cases(book):
        count += 1
        if not holds(book, case):
            wanted = "is not found" if case.breach else "is found although it is fine"
            complaints.append(f"rule '{case.rule.id}': example {wanted}: {case.example!s:.120}")
    for line in complaints:
        typer.echo(line)
    typer.echo(f"{len(book)} rules, {count} examples, {len(complaints)} complaints", err=True)
    if complaints:
        raise typer.Exit(_EXIT_BREACHES)
