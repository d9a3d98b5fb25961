"""Which backend `iptables` means on a node, changed by the distribution's own means."""

from chainrace.base.errors import LabError
from chainrace.model.backends import PROGRAM, SAYS, Backend
from chainrace.node.ssh import Connection


def in_use(node: Connection) -> Backend:
    """What it is for both families. Raises LabError where each has its own, or none."""
    said = [node.succeed(f"{program} --version").strip() for program in PROGRAM.values()]
    found, *others = {meant_by(one) for one in said}
    if found and not others:
        return found
    raise LabError(
        f"{node.name}: {' and '.join(said)} are not of one backend",
        "choose one with --backend",
    )


def meant_by(said: str) -> Backend | None:
    """Which one a program's word is of: `iptables v1.8.11 (nf_tables)`; None for none."""
    return next((backend for backend, word in SAYS.items() if word in said), None)


def use(node: Connection, backend: Backend) -> None:
    """Make it nft or legacy, for both families. Raises LabError where that cannot be."""
    for program in PROGRAM.values():
        # alternatives(5): the -save and -restore forms go with it.
        node.run(f"update-alternatives --quiet --set {program} /usr/sbin/{program}-{backend}")
    if (said := in_use(node)) != backend:
        raise LabError(
            f"{node.name}: iptables is {said}, and update-alternatives does not make it {backend}",
            "choose the other backend",
        )
