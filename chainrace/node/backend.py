"""Which backend `iptables` means on a node, by the distribution's own means."""

from chainrace.errors import LabError
from chainrace.gate.backends import SAYS, Backend
from chainrace.node.ssh import Connection


def use(node: Connection, backend: Backend) -> None:
    """Make it nft or legacy, for both families. Raises LabError where that cannot be."""
    for program in ("iptables", "ip6tables"):
        # Debian's alternatives(5): the -save and -restore forms go with it.
        node.succeed(f"update-alternatives --quiet --set {program} /usr/sbin/{program}-{backend}")
        said = node.succeed(f"{program} --version").strip()
        if SAYS[backend] not in said:
            raise LabError(
                f"{node.name}: {program} is not {backend}: {said}",
                "choose the other node.backend in lab.toml",
            )
