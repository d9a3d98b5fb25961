"""CNI's plugins as a subject: what a container runtime has them do for one pod with a hostPort.

bridge gives the pod its address and the masquerade, portmap maps port 8080 of the node to it. Both
are run once for each pod, and nobody heals what they made (plugins/meta/portmap of
containernetworking/plugins). The pod is a network namespace with a web server.
"""

from chainrace.model.neighbour import fetches
from chainrace.model.subject import Subject

SCRIPT = "/usr/local/lib/chainrace/save/cni-pod.sh"
PORT, POD, ADDRESS = 8080, "10.88.0.0/24", "10.88.0.2/24"

UNIT = f"""[Unit]
Description=One pod with a hostPort, by CNI's plugins

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SCRIPT}
"""

ADD = f"""#!/bin/sh
set -e
export CNI_COMMAND=ADD CNI_CONTAINERID=pod CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0
export CNI_PATH=/usr/lib/cni
iptables -A FORWARD -d {POD} -j ACCEPT
iptables -A FORWARD -s {POD} -j ACCEPT
# What it says has addresses in it that are drawn by chance; portmap needs the pod's alone.
/usr/lib/cni/bridge >/dev/null <<'END'
{{"cniVersion": "0.4.0", "name": "pods", "type": "bridge", "bridge": "cni0", "isGateway": true,
 "ipMasq": true, "ipam": {{"type": "host-local", "ranges": [[{{"subnet": "{POD}"}}]],
 "routes": [{{"dst": "0.0.0.0/0"}}]}}}}
END
/usr/lib/cni/portmap >/dev/null <<'END'
{{"cniVersion": "0.4.0", "name": "pods", "type": "portmap",
 "runtimeConfig": {{"portMappings": [{{"hostPort": {PORT}, "containerPort": 80,
 "protocol": "tcp"}}]}}, "prevResult": {{"cniVersion": "0.4.0",
 "ips": [{{"version": "4", "address": "{ADDRESS}"}}]}}}}
END
"""

# A pod that is there already: its server answers as soon as it has an address. A node that was
# kept may have one of before.
PREPARE = f"""set -e
cat >{SCRIPT} <<'EOF'
{ADD}EOF
chmod 755 {SCRIPT}
ip netns pids pod 2>/dev/null | xargs -r kill
ip netns delete pod 2>/dev/null || :
ip link delete cni0 2>/dev/null || :
rm -rf /var/lib/cni/networks/pods
ip netns add pod
ip -n pod link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
ip netns exec pod busybox httpd -p 80 -h /usr/lib
"""

SUBJECT = Subject(
    "cni-portmap",
    "cni-pod.service",
    check=fetches(PORT, "os-release"),
    text=UNIT.encode(),
    packages=("busybox-static", "containernetworking-plugins"),
    programs=("bridge", "host-local", "portmap"),
    prepare=PREPARE,
    repairs="for a pod that is made anew, and at no other time (plugins/meta/portmap)",
    watch=10.0,
)
