"""Who leads a shard of a Redis Cluster: the nodes themselves say it, as ElastiCache does not."""

from __future__ import annotations

from ftchaos.errors import StepFailed

PRIMARY = "master"  # the word of the protocol
ANSWER_S = 5.0


def ask(host: str, port: int, tls: bool, password: str = "", user: str = "", ca: str = "") -> str:
    """What a node says that it is: ``master`` or ``slave``.

    Args:
        tls: whether its group encrypts in transit; its certificate is verified.
        password, user: of the group, where it has them.
        ca: file with the certificates that its own is verified against; empty for those that the machine trusts.

    Raises:
        StepFailed: it does not answer, or not to us.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        with redis.Redis(
            host, port, ssl=tls, ssl_ca_certs=ca or None, username=user or None, password=password or None,
            socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),
        ) as client:  # fmt: skip
            said = client.execute_command("ROLE")[0]
    except (redis.RedisError, OSError) as error:
        raise StepFailed(
            f"{host}:{port} does not say whether it takes writes: {str(error).splitlines()[0]}",
            "reach the cache from here, or name its replication group's password",
        ) from error
    return said.decode() if isinstance(said, bytes) else str(said)
