#!/usr/bin/env bash
# Starts the lab's own libvirtd. Runs as root, inside the lab's network namespace
# and a fresh mount namespace (see libvirt.py, which is its only caller).
#
#   libvirtd.sh STATE OWNER HIDE_KVM
#
# libvirtd knows its folders by fixed paths. Here the lab's own folders are bound
# over them, so it neither reads nor writes anything of the host's libvirt.
set -euo pipefail
umask 022

state=$1 owner=$2 hide_kvm=$3

mount --make-rprivate /
mkdir -p "$state"/{run,store,log} "$state"/libvirt/{etc/{qemu,hooks},lib,cache}
# QEMU's user goes through them to its own files; nobody else of the host gets this far.
chmod 711 "$state"/{run,store,log,libvirt/lib}

cat >"$state/libvirt/etc/libvirtd.conf" <<END
unix_sock_dir = "/run"
unix_sock_rw_perms = "0600"
unix_sock_ro_perms = "0600"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
END
# The lab has no virtlogd and no cgroups of its own to offer; the mount namespace
# that libvirt would give each guest hides nothing that this one does not. Of the files that a
# guest uses libvirt would make all QEMU's, those too that every later guest begins with.
cat >"$state/libvirt/etc/qemu.conf" <<END
user = "libvirt-qemu"
group = "libvirt-qemu"
dynamic_ownership = 0
security_driver = "none"
stdio_handler = "file"
namespaces = [ ]
cgroup_controllers = [ ]
END

# libvirt calls it before a guest begins: NODE prepare begin -. Source: libvirt's "Hooks for
# specific system management". QEMU gets the node's own disk and console; the disk of the box, over
# which all of them lie, vagrant-libvirt makes for root alone.
cat >"$state/libvirt/etc/hooks/qemu" <<'END'
#!/bin/sh
set -e
[ "$2" = prepare ] || exit 0
disks=/var/lib/libvirt/store/volumes console=/var/log/libvirt/$1.console.log
chown libvirt-qemu:libvirt-qemu "$disks/$1.img"
[ ! -e "$console" ] || chown libvirt-qemu:libvirt-qemu "$console"
chmod 444 "$disks"/*_vagrant_box_image_*
END
chmod 755 "$state/libvirt/etc/hooks/qemu"

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
libvirtd --daemon --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirtd.pid
# It listens by now. Of a socket's owner its settings know nothing.
chown "$owner" /run/libvirt-sock
