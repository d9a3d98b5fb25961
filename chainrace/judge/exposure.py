"""What an image of the user's own is, and whether the outage could happen on it at all."""

from dataclasses import dataclass
from typing import Literal

NOT_EXPOSED: Literal["not exposed"] = "not exposed"
MISSING = "missing"
MASKED = "masked"


@dataclass(frozen=True)
class Found:
    """What an image says of itself before the lab lays anything on it.

    `iptables` is its own verdict, `backends` those whose programs it has; `service` is what
    systemctl(1) says of iptables.service (is-enabled), or `missing`. Empty where it has none:
    `kubelet` (`Kubernetes v1.34.4`), `containerd`. `lacks`: programs the lab needs there.
    """

    distribution: str
    kernel: str
    iptables: str
    backends: tuple[str, ...]
    service: str
    kubelet: str
    containerd: str
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        programs = " and ".join(self.backends) or "no"
        return (
            f"{self.distribution}, kernel {self.kernel}, {self.iptables or 'no iptables'} "
            f"({programs} backend{'s' if len(self.backends) > 1 else ''}), "
            f"iptables.service {self.service}, "
            f"{self.kubelet or 'no kubelet'}, {self.containerd or 'no containerd'}"
        )


@dataclass(frozen=True)
class NotExposed:
    """There is nothing to race, and the sentence on why."""

    verdict: Literal["not exposed"]
    reason: str


def why_not_exposed(image: Found) -> str:
    """Why no `systemctl restart iptables` can flush anything there; empty: it can.

    That is the outage's question. A script of the user's own may do other things.
    AgentBaker masks the unit on nodes of AKS; a restart of a unit that is merely disabled
    starts it (systemctl(1)).
    """
    if image.service.startswith(MASKED):
        return "iptables.service is masked: `systemctl restart iptables` fails and flushes nothing"
    if image.service == MISSING:
        return "there is no iptables.service: `systemctl restart iptables` fails"
    return ""
