"""What a client of the API server needs: its address, whom to trust, who it is itself."""

import base64
import json

from chainrace.cluster.authority import Authority

NAME = "chainrace"


def text(made: Authority, client: str, server: str) -> str:
    """A kubeconfig with the certificates in it, as JSON, which is YAML, too.

    `server` is the API server's URL. Format: client-go, tools/clientcmd/api/v1.
    """
    credentials = {
        "client-certificate-data": _data(made.certificate(client).read_bytes()),
        "client-key-data": _data(made.key(client).read_bytes()),
    }
    cluster = {
        "server": server,
        "certificate-authority-data": _data(made.certificate().read_bytes()),
    }
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": client, "user": credentials}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": client}}],
        "current-context": NAME,
    }
    return json.dumps(found, indent=2) + "\n"


def _data(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
