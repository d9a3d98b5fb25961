#!/usr/bin/env bash
# Lays the parts of provision/node onto a node. Runs as root on the node, from the
# folder that `vagrant provision` uploaded; running it again changes nothing more.
#
# OWN_IMAGE=true: the image is the user's; its iptables.service is what is judged, and stays
# as it is. OWN_KUBELET=true: so is its kubelet, where it has one. CLOCK: the clock source to use.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
own_image=${OWN_IMAGE:-false}
lab=/usr/local/lib/chainrace

# The real programs come on a read-only disk: copying 200 MB costs more than this.
mkdir -p /opt/binaries
grep -q '^LABEL=binaries ' /etc/fstab ||
	echo 'LABEL=binaries /opt/binaries ext4 ro,noatime 0 0' >>/etc/fstab
mountpoint -q /opt/binaries || mount /opt/binaries

install -d /etc/systemd/scripts /etc/kubernetes/manifests "$lab/save"
install -m 755 "$here/units-back.sh" "$lab/"
# Masks and drop-ins may be left of an exploration that was cut off.
[ ! -d "$lab/units" ] || "$lab/units-back.sh"

# The image's own kubelet steps aside for the lab's, or the lab's stays on its disk.
kubelet=/usr/local/bin/kubelet
case $(readlink -f "$kubelet") in
/opt/binaries/*) ;;
*) [ ! -e "$kubelet" ] || [ -e "$kubelet.image" ] || mv "$kubelet" "$kubelet.image" ;;
esac
find /opt/binaries -maxdepth 1 -type f -exec ln -sfn -t /usr/local/bin {} +
if [ "${OWN_KUBELET:-false}" = true ]; then
	for own in "$kubelet.image" /usr/bin/kubelet /opt/bin/kubelet; do
		[ ! -x "$own" ] || { ln -sfn "$own" "$kubelet" && break; }
	done
fi

# Where a distribution's packages put theirs: what /etc has beside them is the user's.
units=/usr/lib/systemd/system
if [ "$own_image" = true ]; then
	# An image's own unit would wait for a cluster; each trial starts kubelet by the lab's.
	systemctl --quiet disable --now kubelet.service 2>/dev/null || true
	rm -rf /etc/systemd/system/kubelet.service{,.d} "$units/kubelet.service.d"
else
	install -m 755 "$here/scripts/iptables" "$here/scripts/iptables.stop" /etc/systemd/scripts/
	install -m 644 "$here/units/iptables.service" "$units/"
fi
install -m 644 "$here"/units/{kubelet,azure-npm,azure-npm-probe}.service "$units/"
install -m 600 "$here/kubelet.yaml" "$here/azure-npm.kubeconfig" /etc/kubernetes/
install -m 755 "$here"/save/*.sh "$lab/save/"

# The rules files are the node's own state once it runs: the image's stand beside
# them as *.image (or *.absent), and only a node that has none yet gets them from there.
for family in ip4save ip6save; do
	file=/etc/systemd/scripts/$family
	if [ "$own_image" = true ]; then
		if [ -e "$file.image" ] || [ -e "$file.absent" ]; then
			:
		elif [ -e "$file" ]; then
			cp -p "$file" "$file.image"
		else
			: >"$file.absent"
		fi
	else
		install -m 600 "$here/scripts/$family" "$file.image"
		[ -e "$file" ] || install -m 600 "$here/scripts/$family" "$file"
	fi
done

# What older kubelets take on the command line alone. 1.20 works on IPv6 only by a gate.
# What is no kubelet has no version: the lab asks it for that itself, and refuses it then.
minor=$({ timeout 60 "$kubelet" --version || true; } 2>/dev/null | head -c 1000 |
	sed -n '1s/^Kubernetes v1\.\([0-9]\{1,3\}\)\..*/\1/p') # Kubernetes v1.34.4
minor=${minor:-99}
flags=
[ "$minor" -ge 27 ] ||
	flags="--container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock"
[ "$minor" -ge 21 ] || flags="$flags --feature-gates=IPv6DualStack=true"
echo "KUBELET_FLAGS=$flags" >/etc/kubernetes/kubelet.env

# QEMU without KVM never lets the time stamp counter go back: a restored snapshot's clock
# would jump to the present. The lab's image is told so by the kernel's command line.
if [ "$own_image" = true ] && [ -n "${CLOCK:-}" ]; then
	echo "w /sys/devices/system/clocksource/clocksource0/current_clocksource - - - - $CLOCK" \
		>/etc/tmpfiles.d/chainrace-clock.conf
	systemd-tmpfiles --create /etc/tmpfiles.d/chainrace-clock.conf
fi

systemctl daemon-reload
[ "$own_image" = true ] || systemctl --quiet enable --now iptables.service
# When the boot started the service, 0 for never: a trial begins as a boot leaves the node.
if [ ! -e "$lab/service" ]; then
	systemctl show -P ExecMainStartTimestampMonotonic iptables.service >"$lab/service.partial"
	mv "$lab/service.partial" "$lab/service"
fi
if [ ! -d "$lab/units" ]; then
	rm -rf "$lab/units.partial"
	cp -a /etc/systemd/system "$lab/units.partial"
	mv "$lab/units.partial" "$lab/units"
fi
