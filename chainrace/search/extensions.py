"""The options of iptables' matches and targets: what stands after them belongs to a rule.

Source: extensions/ of iptables 1.8.4 to 1.8.11. A line has a name and its options, as getopt(3)
writes them: a colon for a value, `:+` for two. What is not here is not understood.
"""

from chainrace.search.options import Options

# Those that look at nothing but the packet:
PLAIN = """
tcp source-port: sport: destination-port: dport: syn tcp-flags:+ tcp-option:
udp source-port: sport: destination-port: dport:
sctp source-port: sport: destination-port: dport: chunk-types:+
dccp source-port: sport: destination-port: dport: dccp-types: dccp-option:
icmp icmp-type:
icmp6 icmpv6-type:
esp espspi:
ah ahspi: ahlen: ahres
comment comment:
conntrack ctstate: ctproto: ctorigsrc: ctorigdst: ctreplsrc: ctrepldst: ctstatus: ctexpire:
conntrack ctorigsrcport: ctorigdstport: ctreplsrcport: ctrepldstport: ctdir:
state state:
multiport source-ports: sports: destination-ports: dports: ports:
mark mark:
connmark mark:
addrtype src-type: dst-type: limit-iface-in limit-iface-out
limit limit: limit-burst:
mac mac-source:
iprange src-range: dst-range:
length length:
pkttype pkt-type:
tos tos:
dscp dscp: dscp-class:
ttl ttl-lt: ttl-gt: ttl-eq: ttl:
hl hl-lt: hl-gt: hl-eq: hl:
frag fragid: fraglen: fragres fragfirst fragmore fraglast
statistic mode: probability: every: packet:
tcpmss mss:
connbytes connbytes: connbytes-dir: connbytes-mode:
ACCEPT
DROP
QUEUE
RETURN
REJECT reject-with:
MASQUERADE to-ports: random random-fully
REDIRECT to-ports: random
DNAT to-destination: random persistent
SNAT to-source: random random-fully persistent
NETMAP to:
MARK set-mark: and-mark: or-mark: set-xmark: xor-mark:
CONNMARK set-mark: save-mark restore-mark mask: set-xmark: and-mark: or-mark: xor-mark: ctmask:
CONNMARK nfmask:
LOG log-level: log-prefix: log-tcp-sequence log-tcp-options log-ip-options log-uid log-macdecode
NFLOG nflog-group: nflog-prefix: nflog-range: nflog-size: nflog-threshold:
NOTRACK
TRACE
TCPMSS set-mss: clamp-mss-to-pmtu
TTL ttl-set: ttl-dec: ttl-inc:
HL hl-set: hl-dec: hl-inc:
DSCP set-dscp: set-dscp-class:
TOS set-tos: and-tos: or-tos: xor-tos:
CLASSIFY set-class:
CHECKSUM checksum-fill
"""
# Those that name what lies elsewhere: a set, a user, a list, a file.
ELSEWHERE = """
set match-set:+ return-nomatch update-counters update-subcounters packets-eq: packets-lt:
set packets-gt: bytes-eq: bytes-lt: bytes-gt:
owner uid-owner: gid-owner: socket-exists suppl-groups
recent set rcheck update remove seconds: reap hitcount: rttl name: rsource rdest mask:
hashlimit hashlimit: hashlimit-burst: hashlimit-htable-size: hashlimit-htable-max:
hashlimit hashlimit-htable-gcinterval: hashlimit-htable-expire: hashlimit-mode: hashlimit-name:
hashlimit hashlimit-upto: hashlimit-above: hashlimit-srcmask: hashlimit-dstmask:
connlimit connlimit-upto: connlimit-above: connlimit-mask: connlimit-saddr connlimit-daddr
physdev physdev-in: physdev-out: physdev-is-in physdev-is-out physdev-is-bridged
rpfilter loose validmark accept-local invert
bpf bytecode: object-pinned:
cgroup cgroup: path:
helper helper:
string from: to: algo: string: hex-string: icase
SET add-set:+ del-set:+ exist timeout: map-set:+ map-mark map-prio map-queue
CT notrack helper: ctevents: expevents: zone-orig: zone-reply: zone: timeout:
TPROXY on-port: on-ip: tproxy-mark:
NFQUEUE queue-num: queue-balance: queue-bypass queue-cpu-fanout
TEE gateway: oif:
"""
# Further targets of iptables, whose options are not known here: no names of chains.
_FURTHER = """
AUDIT CLUSTERIP CONNSECMARK DNPT ECN HMARK IDLETIMER LED NAT RATEEST SECMARK SNPT SYNPROXY
TCPOPTSTRIP ULOG
"""
UNKNOWN_TARGETS = frozenset(_FURTHER.split())
# A protocol's options are known without -m: by its name, or by its number.
PROTOCOLS = {
    "6": "tcp",
    "17": "udp",
    "1": "icmp",
    "132": "sctp",
    "33": "dccp",
    "50": "esp",
    "51": "ah",
    "58": "icmp6",
    "icmpv6": "icmp6",
    "ipv6-icmp": "icmp6",
}


def _read(*texts: str) -> dict[str, Options]:
    found: dict[str, Options] = {}
    for name, *options in (line.split() for text in texts for line in text.strip().splitlines()):
        known = found.setdefault(name, {})
        for word in options:
            option = word.rstrip(":+")
            known[option] = (f"+{option}", word[len(option) :])
    return found


EXTENSIONS = _read(PLAIN, ELSEWHERE)
PLAIN_ONES = frozenset(_read(PLAIN))
