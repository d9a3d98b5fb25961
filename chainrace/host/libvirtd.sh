#!/usr/bin/env bash
# Starts the lab's own libvirtd. Runs as root, inside the lab's network namespace
# and a fresh mount namespace (see libvirt.py, which is its only caller).
#
#   libvirtd.sh STATE SOCKET_GROUP HIDE_KVM
#
# libvirtd knows its folders by fixed paths. Here the lab's own folders are bound
# over them, so it neither reads nor writes anything of the host's libvirt.
set -euo pipefail
umask 022

state=$1 socket_group=$2 hide_kvm=$3

mount --make-rprivate /
mkdir -p "$state"/{run,store,log} "$state"/libvirt/{etc/qemu,lib,cache}
chmod 711 "$state/run" "$state/libvirt/lib"
chmod 755 "$state/store" "$state/log"

cat >"$state/libvirt/etc/libvirtd.conf" <<END
unix_sock_dir = "/run"
unix_sock_group = "$socket_group"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
END
# The lab has no virtlogd and no cgroups of its own to offer; the mount namespace
# that libvirt would give each guest hides nothing that this one does not.
cat >"$state/libvirt/etc/qemu.conf" <<END
user = "libvirt-qemu"
group = "libvirt-qemu"
security_driver = "none"
stdio_handler = "file"
namespaces = [ ]
cgroup_controllers = [ ]
END

mkdir -p "$state/libvirt/lib/store"
mount --bind "$state/libvirt/etc" /etc/libvirt
mount --bind "$state/libvirt/lib" /var/lib/libvirt
mount --bind "$state/libvirt/cache" /var/cache/libvirt
mount --bind "$state/store" /var/lib/libvirt/store
mount --bind "$state/log" /var/log/libvirt

if [ "$hide_kvm" = hide-kvm ] && [ -e /dev/kvm ]; then
	# libvirt probes KVM again at each look-up (4 s) while root can open a device
	# that its own user cannot use. An empty file of mode 000 ends that.
	hidden=$state/libvirt/no-kvm
	[ -e "$hidden" ] || install -m 000 /dev/null "$hidden"
	mount --bind "$hidden" /dev/kvm
fi

# Last, for it hides the namespace's own handle: a private /run has no D-Bus, so
# no firewalld and no machined of the host are told of the lab.
mount --bind "$state/run" /run
mkdir -p /run/libvirt
exec libvirtd --daemon --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirtd.pid
