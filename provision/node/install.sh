#!/usr/bin/env bash
# Lays the parts of provision/node onto a node. Runs as root on the node, from the
# folder that `vagrant provision` uploaded; running it again changes nothing more.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

# The real programs come on a read-only disk: copying 200 MB costs more than this.
mkdir -p /opt/binaries
grep -q '^LABEL=binaries ' /etc/fstab ||
	echo 'LABEL=binaries /opt/binaries ext4 ro,noatime 0 0' >>/etc/fstab
mountpoint -q /opt/binaries || mount /opt/binaries
find /opt/binaries -maxdepth 1 -type f -exec ln -sfn -t /usr/local/bin {} +

# The rules files are the node's own state once it runs: the image's stand beside
# them as *.image, and only a node that has none yet gets them from there.
install -d /etc/systemd/scripts /etc/kubernetes/manifests /usr/local/lib/chainrace/save
install -m 755 "$here/scripts/iptables" "$here/scripts/iptables.stop" /etc/systemd/scripts/
for family in ip4save ip6save; do
	install -m 600 "$here/scripts/$family" "/etc/systemd/scripts/$family.image"
	[ -e "/etc/systemd/scripts/$family" ] ||
		install -m 600 "$here/scripts/$family" "/etc/systemd/scripts/$family"
done
# Where a distribution's packages put theirs: what /etc has beside them is the user's.
install -m 644 "$here"/units/*.service /usr/lib/systemd/system/
install -m 600 "$here/kubelet.yaml" "$here/azure-npm.kubeconfig" /etc/kubernetes/
install -m 755 "$here"/save/*.sh /usr/local/lib/chainrace/save/

# What older kubelets take on the command line alone. 1.20 works on IPv6 only by a gate.
minor=$(kubelet --version | cut -d . -f 2) # Kubernetes v1.34.4
flags=
[ "$minor" -ge 27 ] ||
	flags="--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock"
[ "$minor" -ge 21 ] || flags="$flags --feature-gates=IPv6DualStack=true"
echo "KUBELET_FLAGS=$flags" >/etc/kubernetes/kubelet.env

# Drop-ins and masks may be left of an exploration that was cut off.
systemctl revert iptables.service kubelet.service
rm -rf /etc/systemd/system/chainrace-script.service.d
systemctl daemon-reload
systemctl --quiet enable --now iptables.service
