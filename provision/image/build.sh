#!/usr/bin/env bash
# Builds the Azure Linux-like node image from Debian packages.
#
#   build.sh OUT MIRROR KEYRING [PACKAGE...]
#
# OUT gets: root.raw (ext4), vmlinuz, initrd.img, manifest.txt (package=version),
# ssh_host_ed25519_key.pub. Runs as root; OUT must be empty or absent.
set -euo pipefail
umask 022

out=$1 mirror=$2 keyring=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
suite=trixie
size=4G
tree=$out/tree

cleanup() {
	mountpoint -q "$tree/proc" && umount "$tree/proc"
	rm -rf "$tree" "$out/initrd.tree"
}
trap cleanup EXIT
mkdir -p "$out"

packages=$({ sed 's/#.*//' "$here/packages.txt"; echo "$@"; } | xargs | tr ' ' ',')

# INITRD=No: the kernel package would build a 30 MB initrd that nobody boots.
INITRD=No mmdebstrap --mode=root --variant=minbase --quiet \
	--keyring="$keyring" \
	--include="$packages" \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/i18n/*' \
	"$suite" "$tree" "$mirror"

dpkg-query --root="$tree" -W -f='${Package}=${Version}\n' | sort >"$out/manifest.txt"

cp -r "$here/rootfs/." "$tree/"
chown -R root:root "$tree/etc/systemd" "$tree/etc/ssh"

# Names without DNS: an empty resolv.conf and the node's name in hosts, or every
# sudo waits ten seconds for a name server that does not exist.
: >"$tree/etc/resolv.conf"
printf '127.0.0.1 localhost node\n::1 localhost\n' >"$tree/etc/hosts"
echo node >"$tree/etc/hostname"
echo 'UTC' >"$tree/etc/timezone"
: >"$tree/etc/fstab"
: >"$tree/etc/machine-id"
rm -f "$tree/var/lib/dbus/machine-id"

rm -f "$tree"/etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C node -f "$tree/etc/ssh/ssh_host_ed25519_key"
cp "$tree/etc/ssh/ssh_host_ed25519_key.pub" "$out/"

in_tree() { chroot "$tree" "$@"; }
mount -t proc proc "$tree/proc"
in_tree systemctl --quiet enable systemd-networkd.service ssh.service containerd.service
in_tree systemctl --quiet set-default multi-user.target
# nftables.service would flush the rules at boot; the others only cost time on
# a node without KVM and without a screen.
in_tree systemctl --quiet mask \
	nftables.service \
	systemd-networkd-wait-online.service \
	systemd-pstore.service systemd-random-seed.service systemd-sysusers.service \
	systemd-hwdb-update.service systemd-journal-catalog-update.service \
	systemd-update-done.service ldconfig.service \
	systemd-firstboot.service systemd-update-utmp.service \
	systemd-binfmt.service systemd-modules-load.service systemd-remount-fs.service \
	systemd-network-generator.service systemd-networkd-persistent-storage.service \
	systemd-udev-load-credentials.service kmod-static-nodes.service \
	dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
	sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
	modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service \
	modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
	getty.target getty@tty1.service serial-getty@ttyS0.service autovt@.service \
	apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer e2scrub_reap.service fstrim.timer
# What was asked for besides is at rest until somebody starts it.
for package; do
	dpkg-query --root="$tree" -L "$package" |
		sed -n 's#^.*/systemd/system/\([^/]*\.\(service\|socket\|timer\)\)$#\1#p'
done | sort -u | while read -r unit; do in_tree systemctl --quiet disable "$unit"; done
umount "$tree/proc"
# `systemctl reboot` asks logind, which D-Bus starts then; no boot waits for it.
rm "$tree/usr/lib/systemd/system/multi-user.target.wants/systemd-logind.service"
# There is no vsock to offer ssh on; the generator only complains.
mkdir -p "$tree/etc/systemd/system-generators"
ln -s /dev/null "$tree/etc/systemd/system-generators/systemd-ssh-generator"
touch "$tree/etc/.updated" "$tree/var/.updated"
rm -f "$tree"/var/cache/apt/*.bin
rm -rf "$tree"/var/lib/apt/lists/* "$tree"/boot/initrd*

kernel=$(basename "$tree"/lib/modules/*)
modules=$tree/usr/lib/modules/$kernel/kernel
cp "$tree/boot/vmlinuz-$kernel" "$out/vmlinuz"

# The tiny initrd: busybox and the modules that the cloud kernel lacks.
initrd=$out/initrd.tree
mkdir -p "$initrd"/{bin,dev,proc,root,modules}
cp /bin/busybox "$initrd/bin/busybox"
ln -s busybox "$initrd/bin/sh"
install -m 755 "$here/initrd/init" "$initrd/init"
number=0
for name in failover net_failover virtio_blk virtio_net; do
	number=$((number + 1))
	# insmod knows no dependencies: the number keeps the order.
	found=$(find "$modules" -name "$name.ko*" -print -quit)
	[ -n "$found" ] || continue # built into this kernel
	case $found in
	*.xz) xz -dc "$found" >"$initrd/modules/$number-$name.ko" ;;
	*) cp "$found" "$initrd/modules/$number-$name.ko" ;;
	esac
done
(cd "$initrd" && find . -print0 | cpio --quiet --null -o -H newc) >"$out/initrd.img"

truncate -s "$size" "$out/root.raw"
mkfs.ext4 -q -L node -E lazy_itable_init=1,lazy_journal_init=1 -d "$tree" "$out/root.raw"
