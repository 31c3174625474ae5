"""``ftchaos report annotate | keygen | publish``: what adds to a store."""

from __future__ import annotations

from pathlib import Path

import click

from ftchaos.cli.stored import find, reports_option


@click.command()
@click.argument("run", required=False)
@click.option("--by", metavar="NAME", help="Who says so; the login name by default.")
@click.option("--participant", multiple=True, metavar="WHO", help="Somebody who took part; repeatable.")
@click.option("--deviation", multiple=True, metavar="TEXT", help="What went otherwise than planned; repeatable.")
@click.option("--lesson", multiple=True, metavar="TEXT", help="What was learnt; repeatable.")
@click.option("--action", multiple=True, metavar="TEXT", help="What is to be done; repeatable.")
@click.option("--owner", default="", metavar="WHO", help="Who does the actions.")
@click.option("--due", default="", metavar="DATE", help="Until when, like 2026-12-14.")
@click.option("--done", is_flag=True, help="The actions are done.")
@reports_option
def annotate(
    run: str | None,
    *,
    by: str | None,
    participant: tuple[str, ...],
    deviation: tuple[str, ...],
    lesson: tuple[str, ...],
    action: tuple[str, ...],
    owner: str,
    due: str,
    done: bool,
    reports: str,
) -> None:
    """Add to a run who took part, what was learnt and what is to be done; the newest run by default.

    Nothing is rewritten: an annotation is a link of the chain of its own, so that it cannot be taken away unseen.
    """
    import getpass

    from ftchaos import store
    from ftchaos.errors import Invalid
    from ftchaos.store import annotation

    there, folder = find(reports, run)
    if there is None:
        raise Invalid(f"{folder} was named by its path", "name the run by its id, and its store with --reports")
    summary = next(one for one in there.summaries() if one.run_id == folder.name)
    if not summary.manifest_sha256:
        raise Invalid(f"{folder.name} did not end in order", "only a run with a manifest can be annotated")
    status = "done" if done else "open"
    said = annotation.new(
        summary.run_id,
        summary.manifest_sha256,
        by or getpass.getuser(),
        participants=participant,
        deviations=deviation,
        lessons=lesson,
        actions=[{"what": what, "owner": owner, "due": due, "status": status} for what in action],
    )
    made = annotation.write(said, store.staging(reports))
    there.publish(made)
    click.echo(f"{made.name} adds to {summary.run_id}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def keygen(file: Path) -> None:
    """Make an Ed25519 key pair for signing: FILE, and FILE.pub for those who verify."""
    from ftchaos import signing

    key = signing.generate(file)
    click.echo(f"{file}: the private key; keep it where runs are made, and name it: export {signing.VARIABLE}={file}")
    click.echo(f"{file}.pub: the public key {key}")
    click.echo(f"verify with: ftchaos report verify --all --trust {file}.pub")


@click.command()
@reports_option
def publish(reports: str) -> None:
    """Publish the complete runs that did not reach their bucket yet."""
    from ftchaos import store

    there = store.open(reports)
    pending = there.pending()
    for folder in pending:
        there.publish(folder)
        click.echo(f"{folder.name} is in {there.location}")
    if not pending:
        click.echo(f"nothing waits to be published to {there.location}")
