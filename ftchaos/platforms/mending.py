"""Heals in parts: each is tried, whatever became of the others, and what resisted is named at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ftchaos.errors import FtchaosError, HealFailed


class Mending:
    """What a heal did and what it could not do.

    Args:
        where: people mend by hand what resisted.
    """

    def __init__(self, where: str = "in the console") -> None:
        self._where = where
        self.said: list[str] = []
        self.failed: list[str] = []

    def attempt(self, what: str, part: Callable[[], str | None]) -> bool:
        """Try one part; what it returns is added to what was done.

        Returns:
            Whether it worked.
        """
        try:
            said = part()
        except Exception as error:  # noqa: BLE001 - whatever broke, the other parts must still be healed
            self.failed.append(f"{what}: {error.fact if isinstance(error, FtchaosError) else error}")
            return False
        if said:
            self.said.append(said)
        return True

    def attempt_all(self, names: Sequence[str], what: str, act: Callable[[list[str]], object]) -> list[str]:
        """Act on many at once, and where the service takes none of them for the sake of one, on each alone.

        Returns:
            Those that it worked for.
        """
        if not names:
            return []
        try:
            act(list(names))
            return list(names)
        except Exception as error:  # noqa: BLE001 - see attempt
            if len(names) == 1:
                self.failed.append(f"{what} {names[0]}: {error.fact if isinstance(error, FtchaosError) else error}")
                return []
        return [name for name in names if self.attempt_all([name], what, act)]

    def end(self, nothing: str) -> str:
        """What was done, in words, or ``nothing``.

        Raises:
            HealFailed: some parts resisted; each is named.
        """
        if self.failed:
            raise HealFailed(
                f"{len(self.failed)} of what was harmed resisted: {'; '.join(self.failed)}",
                f"heal again with `ftchaos recover`, or mend each of them {self._where}",
            )
        return ", ".join(self.said) or nothing
