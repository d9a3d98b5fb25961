#!/usr/bin/env bash
# Lays the parts of provision/node onto a node. Runs as root on the node, from the
# folder that `vagrant provision` uploaded; running it again changes nothing more.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

# The real kubelet comes on a read-only disk: copying 84 MB costs more than this.
mkdir -p /opt/binaries
grep -q '^LABEL=binaries ' /etc/fstab ||
	echo 'LABEL=binaries /opt/binaries ext4 ro,noatime 0 0' >>/etc/fstab
mountpoint -q /opt/binaries || mount /opt/binaries
ln -sfn /opt/binaries/kubelet /usr/local/bin/kubelet

# The rules files are the node's own state once it runs: the image's stand beside
# them as *.image, and only a node that has none yet gets them from there.
install -d /etc/systemd/scripts /etc/kubernetes/manifests /usr/local/lib/chainrace/save
install -m 755 "$here/scripts/iptables" "$here/scripts/iptables.stop" /etc/systemd/scripts/
for family in ip4save ip6save; do
	install -m 600 "$here/scripts/$family" "/etc/systemd/scripts/$family.image"
	[ -e "/etc/systemd/scripts/$family" ] ||
		install -m 600 "$here/scripts/$family" "/etc/systemd/scripts/$family"
done
install -m 644 "$here/systemd/iptables.service" "$here/systemd/kubelet.service" /etc/systemd/system/
install -m 600 "$here/kubelet.yaml" /etc/kubernetes/kubelet.yaml
install -m 755 "$here/save/original.sh" "$here/save/fixed.sh" /usr/local/lib/chainrace/save/

systemctl daemon-reload
systemctl --quiet enable --now iptables.service
