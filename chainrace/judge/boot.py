"""What a boot of the node left: the rules that a script had saved, and kubelet's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from chainrace.judge.outcome import Outcome
from chainrace.model.trial import Ending


@dataclass(frozen=True)
class Boot:
    """One boot after a script's save. `lost` has, by family, what was saved and is not back."""

    lost: Mapping[str, tuple[str, ...]]
    service: str  # systemd's word on iptables.service
    outcome: Outcome  # of kubelet, which the same boot started
    ending: Ending

    @property
    def kept(self) -> bool:
        """Whether all that was saved came back."""
        return not any(self.lost.values())

    @property
    def reason(self) -> str:
        """The sentence on what was saved."""
        if self.kept:
            return f"what it saved is back after a reboot ({', '.join(self.lost)})"
        lines = [f"{family} {line}" for family, lost in self.lost.items() for line in lost]
        return f"{len(lines)} saved lines are not back after a reboot: {lines[0]}"
