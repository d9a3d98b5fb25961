"""Where each family's exploration begins, and which of kubelet's actors waits meanwhile."""

from dataclasses import dataclass

from chainrace.force.walker import Turns
from chainrace.race.trial import Call


@dataclass(frozen=True)
class ScriptAlone:
    """The script's own run, nothing of kubelet's made yet."""

    calls: tuple[Call, ...]
    code: int | None
    changed: bool  # whether the rules were different afterwards
    ordered: bool  # whether kubelet's start waited for it: systemd orders the two
    restarts: bool  # whether it restarts kubelet

    @property
    def rootless(self) -> bool:
        """Whether IPv6 cannot be explored from where IPv4 is done: that comes later, or twice."""
        return self.ordered or self.restarts


# kubelet works on one family after the other, in an order of its own choice. The lab
# takes starts that begin with IPv4, seven of eight. IPv4 is explored while IPv6 waits;
# IPv6 from where IPv4 is done, as far as IPv6's two look-ups, which stand before that.
# Where kubelet's start waits for the script, or is made again by it, there is no such root:
# IPv4 is then what waits until IPv6 needs it.
FIRST = "ipv4"
LAZY = ("x",)


def lead_for(family: str, *, rootless: bool) -> Turns:
    """What is walked before the root of a family's exploration."""
    return [] if family == FIRST or rootless else [("k", None)]


def lazy_for(family: str, *, rootless: bool) -> tuple[str, ...]:
    """Kubelet's actor that waits until the other family's needs it."""
    return ("k",) if rootless and family != FIRST else LAZY
