"""A certificate authority of the clone's own, and who it says each part of the cluster is.

Names by which Kubernetes knows its parts: kubernetes.io, "PKI certificates and requirements".
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chainrace.base.files import write_whole

# A snapshot of a node has an older clock.
BEFORE, AFTER = timedelta(days=1), timedelta(days=365)
AUTHORITY, API_SERVER, ACCOUNTS = "authority", "kube-apiserver", "service-accounts"


@dataclass(frozen=True)
class Name:
    """Who a client of the API server is: its user and its group, which RBAC goes by."""

    user: str
    group: str = ""


def node(name: str) -> Name:
    """A kubelet, as the Node authorizer knows it."""
    return Name(f"system:node:{name}", "system:nodes")


# The administrator is in the one group that RBAC lets do everything.
CLIENTS = {
    "admin": Name("chainrace", "system:masters"),
    "kube-controller-manager": Name("system:kube-controller-manager"),
    "kube-scheduler": Name("system:kube-scheduler"),
}


@dataclass(frozen=True)
class Authority:
    """The files in `folder`: `authority.crt`, and for each name NAME.crt and NAME.key (PEM)."""

    folder: Path

    def certificate(self, name: str = AUTHORITY) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


def make(folder: Path, addresses: Sequence[str], names: Sequence[str]) -> Authority:
    """A new authority, the API server's certificate and that of each client.

    `addresses` and `names` (DNS) are the API server's; the key that signs service accounts'
    tokens is made, too. No other user gets into the folder.
    """
    made = Authority(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _new_key(made, AUTHORITY)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chainrace")])
    root = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_whole(made.certificate(), root.public_bytes(serialization.Encoding.PEM))
    both = [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]
    server = _builder(_subject(Name(API_SERVER)), subject, _new_key(made, API_SERVER))
    server = server.add_extension(x509.SubjectAlternativeName(both), critical=False)
    _sign(made, API_SERVER, server, key, ExtendedKeyUsageOID.SERVER_AUTH)
    accounts = _new_key(made, ACCOUNTS).public_key()
    public = accounts.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_whole(folder / f"{ACCOUNTS}.pub", public)
    for name, client in CLIENTS.items():
        add(made, name, client)
    return made


def add(made: Authority, name: str, client: Name) -> None:
    """A certificate for one more client."""
    key = serialization.load_pem_private_key(made.key(AUTHORITY).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - it was made here
    root = x509.load_pem_x509_certificate(made.certificate().read_bytes())
    builder = _builder(_subject(client), root.subject, _new_key(made, name))
    _sign(made, name, builder, key, ExtendedKeyUsageOID.CLIENT_AUTH)


def _subject(client: Name) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, client.user)]
    if client.group:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, client.group))
    return x509.Name(parts)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + AFTER)
    )


def _sign(
    made: Authority,
    name: str,
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier,
) -> None:
    signed = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).sign(
        key, hashes.SHA256()
    )
    write_whole(made.certificate(name), signed.public_bytes(serialization.Encoding.PEM))


def _new_key(made: Authority, name: str) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_whole(made.key(name), text)
    return key
