#!/usr/bin/env bash
# Makes a node of the lab's a node of its cluster. Runs once, as root on the node, from the folder
# that holds the cluster's files.
#
#   join.sh NAME ADDRESS GATEWAY
#
# kubelet is not started: who races it says when. Without a cluster it runs by its unit alone, to
# which /etc/systemd/system/kubelet.service.d/cluster.conf adds.
set -euo pipefail

name=$1 address=$2 gateway=$3
here=$(cd "$(dirname "$0")" && pwd)
programs=/opt/binaries/cluster

# azure-npm's manifest asks for it; iptables with the nft backend makes none.
echo 'f /run/xtables.lock 0600 root root -' >/etc/tmpfiles.d/cluster.conf
systemd-tmpfiles --create /etc/tmpfiles.d/cluster.conf

install -d /opt/cni/bin /etc/cni/net.d /etc/containerd /etc/kubernetes/manifests
for program in azure-vnet azure-vnet-ipam; do
	ln -sfn "$programs/$program" "/opt/cni/bin/$program"
done
for program in loopback portmap; do
	ln -sfn "/usr/lib/cni/$program" "/opt/cni/bin/$program"
done
install -m 644 "$here/10-azure.conflist" /etc/cni/net.d/
install -m 644 "$here/interfaces.json" /etc/kubernetes/
install -m 600 "$here/kubelet.kubeconfig" "$here/authority.crt" /etc/kubernetes/
install -m 644 "$here/kubelet.yaml" /etc/kubernetes/kubelet-cluster.yaml
# Pods' packets are forwarded. A pod asks for 169.254.1.1 (azure-vnet, transparent mode), for which
# the kernel answers only where it has a way there (proxy_arp, ip-sysctl.rst): a default route.
echo 'net.ipv4.ip_forward = 1' >/etc/sysctl.d/60-cluster.conf
sysctl --quiet --load=/etc/sysctl.d/60-cluster.conf
install -d /etc/systemd/network/50-node.network.d
printf '[Network]\nGateway=%s\n' "$gateway" >/etc/systemd/network/50-node.network.d/cluster.conf
ip route replace default via "$gateway" dev eth0

# As AKS has it: Azure Linux's own rules drop what is forwarded. Source: AgentBaker,
# parts/linux/cloud-init/artifacts/containerd_exec_start.conf.
install -d /etc/systemd/system/containerd.service.d
cat >/etc/systemd/system/containerd.service.d/cluster.conf <<'END'
[Service]
ExecStartPost=/sbin/iptables -P FORWARD ACCEPT
END
systemctl daemon-reload

# The image's own rules let nothing in but ssh; the API server asks kubelet for logs. They are saved
# as the lab's clean state, too, which is the image's saved files (install.sh).
iptables -A INPUT -p tcp --dport 10250 -j ACCEPT
iptables -P FORWARD ACCEPT
saved=/etc/systemd/scripts/ip4save
iptables-save >"$saved"
cp "$saved" "$saved.image"

if ! cmp -s "$here/containerd.toml" /etc/containerd/config.toml; then
	install -m 644 "$here/containerd.toml" /etc/containerd/config.toml
	systemctl restart containerd.service
fi
ctr --namespace k8s.io images import "$programs/images.tar" >/dev/null

install -d /etc/systemd/system/kubelet.service.d
cat >/etc/systemd/system/kubelet.service.d/cluster.conf <<END
[Service]
ExecStart=
ExecStart=/usr/local/bin/kubelet --config=/etc/kubernetes/kubelet-cluster.yaml --kubeconfig=/etc/kubernetes/kubelet.kubeconfig --hostname-override=$name --node-ip=$address \$KUBELET_FLAGS
END
systemctl daemon-reload
