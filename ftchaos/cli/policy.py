"""``ftchaos policy``: what must be allowed to ftchaos, and no more."""

from __future__ import annotations

import json

import click


@click.group()
def policy() -> None:
    """Print the permissions that ftchaos needs in a cloud."""


@policy.command()
@click.option("--kind", type=click.Choice(["read", "drill", "faults"]), help="What for; reading is part of each.")
@click.option("--environment", metavar="NAME", help="Allow it in its account, regions and with its tag only.")
@click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one.")
@click.option("--reports", default="", metavar="s3://…", help="Allow the evidence to be kept there, too.")
def aws(kind: str | None, environment: str | None, config: str | None, reports: str) -> None:
    """The IAM policy for the calls that ftchaos makes, as JSON.

    Without --kind for all of them, without --environment for any account and region.
    """
    from pathlib import Path

    from ftchaos import config as configuration
    from ftchaos.errors import Invalid
    from ftchaos.platforms.aws.calls import KINDS
    from ftchaos.platforms.aws.policy import document
    from ftchaos.store.bucket import address

    kinds = [one for one in KINDS if kind in (None, one)]
    bucket = address(reports) if reports else None
    if environment is None:
        click.echo(json.dumps(document(kinds, evidence=bucket), indent=2))
        return
    found = configuration.load(Path(config) if config else None).declared(environment)
    if found.platform != "aws" or found.account is None or found.region is None:
        raise Invalid(f"{environment!r} is no environment on aws with account and region", "add them, or leave it out")
    regions = [found.region, *([found.drill.region] if found.drill and found.drill.region else [])]
    click.echo(json.dumps(document(kinds, found.account, regions, found.tag, evidence=bucket), indent=2))


@policy.command()
@click.option(
    "--kind",
    type=click.Choice(["read", "faults", "configuration"]),
    default="faults",
    show_default=True,
    help="What for.",
)
@click.option("--environment", metavar="NAME", help="Allow it in its namespaces only.")
@click.option("--account", metavar="NAMESPACE/NAME", help="Bind the roles to this ServiceAccount, too.")
@click.option("--config", metavar="FILE", help="Configuration; ./ftchaos.yaml if there is one.")
def kubernetes(kind: str, environment: str | None, account: str | None, config: str | None) -> None:
    """The roles for the calls that ftchaos makes, as YAML for kubectl.

    Reading is part of each. Without --environment the Role is for the namespace that it is applied to.
    """
    from pathlib import Path

    import yaml

    from ftchaos import config as configuration
    from ftchaos.errors import Invalid
    from ftchaos.platforms.kubernetes.calls import KINDS
    from ftchaos.platforms.kubernetes.policy import LEASE_NAMESPACE, binding, documents

    namespaces: list[str] = []
    secrets: list[str] = []
    lease_namespace = LEASE_NAMESPACE
    if environment is not None:
        given = configuration.load(Path(config) if config else None).declared(environment).kubernetes
        if given is None or not given.namespaces:
            raise Invalid(f"{environment!r} names no namespaces of Kubernetes", "add them, or leave it out")
        namespaces, secrets, lease_namespace = given.namespaces, given.secrets, given.lease_namespace
    chosen = next(one for one in KINDS if one == kind)
    made = documents(
        chosen, namespaces, secrets=secrets, lease_namespace=lease_namespace, environment=environment or ""
    )
    if account is not None:
        home, _, name = account.partition("/")
        if not home or not name:
            raise Invalid(f"{account!r} is no ServiceAccount", "write it like NAMESPACE/NAME")
        made = [one for role in made for one in (role, binding(role, name, home))]
    click.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)
