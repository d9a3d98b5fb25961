"""The two backends of iptables, and its program of each family."""

from __future__ import annotations

from typing import Literal

Backend = Literal["nft", "legacy"]
NFT: Backend = "nft"
LEGACY: Backend = "legacy"
OTHER_BACKEND: dict[Backend, Backend] = {NFT: LEGACY, LEGACY: NFT}
# iptables v1.8.11 (nf_tables)
SAYS = {NFT: "(nf_tables)", LEGACY: "(legacy)"}
PROGRAM = {"ipv4": "iptables", "ipv6": "ip6tables"}
