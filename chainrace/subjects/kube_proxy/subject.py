"""kube-proxy as a subject: chains and jumps of each family, and a service's address.

It makes its chains and jumps in a full sync of its rules, which is its first one; later ones write
what has changed. Up to 1.32 it makes a lost jump at no later time (k3s-io/k3s#14419), from 1.33
once an hour (pkg/proxy/iptables/proxier.go: syncProxyRules, forceSyncProxyRules). Where the chain
KUBE-PROXY-CANARY is gone from table mangle, it syncs fully at its Monitor's next look
(pkg/util/iptables/iptables.go). A sync that fails is tried again. Both come after
`--iptables-sync-period`: 30 s by default, an hour here.
"""

from chainrace.model.subject import Subject

UNIT = "kube-proxy.service"
# The service `kubernetes` is the API server's own.
ADDRESS, PORT = "10.0.0.1", 443
GATEWAY = "10.77.0.1"

# As AKS runs it, though not in a pod, and its Monitor looks once an hour instead of each 30 s: what
# is explored comes before its first look, however long the gate holds it. Its line to the API
# server does not outlive a restored snapshot: it is to notice soon (golang.org/x/net/http2, by
# client-go's variables).
TEXT = b"""[Unit]
Description=kube-proxy
[Service]
Environment=HTTP2_READ_IDLE_TIMEOUT_SECONDS=3 HTTP2_PING_TIMEOUT_SECONDS=3
ExecStart=/opt/binaries/cluster/kube-proxy --kubeconfig=/etc/kubernetes/kube-proxy.kubeconfig \\
  --proxy-mode=iptables --hostname-override=node1 --cluster-cidr=10.77.0.0/24 \\
  --iptables-sync-period=1h --conntrack-max-per-core=0 --v=2
"""

# I1128 11:02:03.1 1 proxier.go:1580] "SyncProxyRules complete": once for each family.
SYNCED = "SyncProxyRules complete"
DONE = (
    "test $(journalctl --output=cat --unit=kube-proxy.service"
    ' _SYSTEMD_INVOCATION_ID="$(systemctl show -P InvocationID kube-proxy.service)"'
    f" | grep -c '{SYNCED}') -ge 2"
)

# A packet for a service's address is routed before its target is changed.
PREPARE = f"ip route replace 10.0.0.0/16 via {GATEWAY} dev eth0"

CHECK = f"timeout 10 bash -c ': </dev/tcp/{ADDRESS}/{PORT}'"

SUBJECT = Subject(
    "kube-proxy",
    UNIT,
    done=DONE,
    check=CHECK,
    text=TEXT,
    packages=("conntrack",),
    api_server=True,
    programs=("kube-proxy",),
    prepare=PREPARE,
    repairs="in a full sync: where one has failed or its canary in mangle is gone, in 30 s (here in"
    " an hour: --iptables-sync-period); from 1.33 once an hour, too",
)
