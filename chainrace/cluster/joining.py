"""A node of the lab's becomes a node of the cluster: what is laid on it, and when it is Ready."""

import json
import shlex
import time
from pathlib import Path
from typing import Any

from chainrace.base.errors import LabError
from chainrace.base.files import write_whole
from chainrace.cluster import authority, control_plane, kubeconfig, workloads
from chainrace.cluster.authority import Name
from chainrace.cluster.control_plane import SERVER, ControlPlane
from chainrace.host import libvirt
from chainrace.host.shell import as_root, run
from chainrace.node.ssh import Connection

CLIENT = "kube-proxy"
PLACE = "/run/chainrace/cluster"
JOIN_SECONDS = 300.0
LOOK_SECONDS = 1.0
# Each node has so many addresses for pods, of the nodes' own network, as in Azure's.
PODS_OF_NODE = 8
FIRST_POD = 192
JOURNAL_LINES = 5


def pod_addresses(number: int) -> list[str]:
    """The addresses that azure-vnet-ipam may give to pods of node `number` (1, 2, ...)."""
    first = FIRST_POD + PODS_OF_NODE * number
    return [f"10.77.0.{last}" for last in range(first, first + PODS_OF_NODE)]


def interfaces(number: int) -> dict[str, Any]:
    """What the plugin reads of its node (`environment: mas`): the file that Azure's agent writes.

    Source: azure-container-networking, cni/ipam and ipam/mas.go.
    """
    own = libvirt.node_address(number)
    addresses = [{"Address": own, "IsPrimary": True}]
    addresses += [{"Address": one, "IsPrimary": False} for one in pod_addresses(number)]
    subnet = {"Prefix": "10.77.0.0/24", "IPAddresses": addresses}
    mac = libvirt.node_mac(number).replace(":", "")
    return {"Interfaces": [{"MacAddress": mac, "IsPrimary": True, "IPSubnets": [subnet]}]}


def lay(plane: ControlPlane, connection: Connection, name: str, number: int) -> None:
    """Lay the cluster's parts on a node. kubelet is not started. Raises LabError."""
    authority.add(plane.made, name, authority.node(name))
    files = {
        "kubelet.kubeconfig": kubeconfig.text(plane.made, name, SERVER).encode(),
        "authority.crt": plane.made.certificate().read_bytes(),
        "interfaces.json": json.dumps(interfaces(number)).encode(),
        **{one.name: one.read_bytes() for one in _files(plane).iterdir()},
    }
    connection.succeed(f"install -d -m 700 {PLACE}")
    for file, data in files.items():
        connection.put(data, f"{PLACE}/{file}")
    address = libvirt.node_address(number)
    words = ["bash", f"{PLACE}/join.sh", name, address, libvirt.GATEWAY]
    connection.succeed(shlex.join(words), timeout=JOIN_SECONDS)
    # Azure's network brings packets for a pod to its node; here a route does.
    pods = f"{pod_addresses(number)[0]}/29"
    way = ["ip", "-n", plane.paths.prefix, "route", "replace", pods, "via", address]
    run(as_root(way), remedy="./lab down", timeout=30)


def lay_client(plane: ControlPlane, connection: Connection, name: str, number: int) -> None:
    """Lay on a node what kube-proxy needs to reach the API server, which knows the node then.

    The node does not join: no kubelet of its reports. Raises LabError.
    """
    authority.add(plane.made, CLIENT, Name(f"system:{CLIENT}"))
    text = kubeconfig.text(plane.made, CLIENT, SERVER)
    connection.put(text.encode(), f"/etc/kubernetes/{CLIENT}.kubeconfig")
    address = {"type": "InternalIP", "address": libvirt.node_address(number)}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"addresses": [address]},
    }
    made = control_plane.folder(plane.paths) / f"{name}.json"
    write_whole(made, json.dumps(node))
    workloads.apply(plane, made)


def _files(plane: ControlPlane) -> Path:
    return plane.paths.provision / "cluster" / "node"


def wait_until_ready(plane: ControlPlane, connection: Connection, name: str) -> None:
    """Wait until the API server says that a node is Ready.

    Raises LabError with the node's own reason and kubelet's last lines when its limit passes.
    """
    deadline = time.monotonic() + JOIN_SECONDS
    while (why := _not_ready(plane, name)) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    if why:
        told = connection.run(f"journalctl -u kubelet -o cat -n {JOURNAL_LINES}").stdout
        raise LabError(
            f"{name} is not Ready after {JOIN_SECONDS:.0f} s ({why}); kubelet: {told.strip()}",
            f"look at the node: ./lab ssh {name} -- journalctl -u kubelet",
        )


def _not_ready(plane: ControlPlane, name: str) -> str:
    """Why a node is not Ready, in the API server's words; empty where it is."""
    said = json.loads(plane.kubectl("get", "nodes", "--output=json"))
    node = next((one for one in said["items"] if one["metadata"]["name"] == name), None)
    if node is None:
        return "it has not registered"
    ready = (one for one in node["status"].get("conditions", ()) if one["type"] == "Ready")
    condition = next(ready, {"status": "False", "message": "it has not said anything yet"})
    return "" if condition["status"] == "True" else condition["message"] or "it does not say why"
