"""Azure's metadata service of a virtual machine, as far as azure-npm asks it.

It asks where it runs, for its telemetry, and waits for an answer. Source:
aitelemetry/telemetrywrapper.go and common/utils.go of azure-container-networking. Azure answers at
169.254.169.254; so does this, in the lab's own network namespace.
"""

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS, PORT = "169.254.169.254", 80
CLOUD = "AzurePublicCloud"
MACHINE = {
    "location": "lab",
    "name": "node1",
    "osType": "Linux",
    "resourceGroupName": "chainrace",
    "subscriptionId": "00000000-0000-0000-0000-000000000000",
    "vmId": "00000000-0000-0000-0000-000000000001",
    "vmSize": "lab",
}


def answer(path: str) -> str | None:
    """What is said of a path; None for what azure-npm does not ask."""
    where, _, _ = path.partition("?")
    if where == "/metadata/instance/compute/azEnvironment":
        return CLOUD
    if where == "/metadata/instance":
        return json.dumps({"compute": MACHINE})
    return None


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        said = answer(self.path)
        self.send_response(HTTPStatus.NOT_FOUND if said is None else HTTPStatus.OK)
        self.end_headers()
        self.wfile.write((said or "").encode())


def main() -> None:
    """Serve until it is ended."""
    ThreadingHTTPServer((ADDRESS, PORT), _Handler).serve_forever()


if __name__ == "__main__":
    main()
