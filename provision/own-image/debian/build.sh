#!/usr/bin/env bash
# Builds cloud images that boot by themselves, to try `--image` with.
#
#   build.sh OUT [MIRROR [KUBELET]]
#
# OUT, which must not exist, gets two images of one system:
#   exposed.qcow2  GPT, UEFI by systemd-boot; iptables.service enabled, as on Azure Linux
#   masked.vhd     MBR, BIOS by syslinux; iptables.service masked, as on a node of AKS
#   azureuser      the private key of a user who may do all by sudo
# KUBELET becomes the system's own /usr/bin/kubelet. MIRROR is Debian's archive, by default
# the one of this host's apt. Runs as root; no loop device is needed. Beside what the lab
# itself needs: fdisk, mtools, syslinux, syslinux-common.
set -euo pipefail
umask 022

# In a mount namespace of its own: what it mounts goes with it, however it ends.
[ -n "${APART-}" ] || APART=1 exec unshare --mount "$0" "$@"

[ $# -ge 1 ] || {
	echo "usage: $0 OUT [MIRROR [KUBELET]]" >&2
	exit 2
}
out=$1
# shellcheck disable=SC2016  # apt's own words, no variables
mirror=${2:-$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' |
	sed -n 's/^Debian|Debian|main|//p' | head -n 1)}
kubelet=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
provision=$(dirname "$(dirname "$here")")
suite=trixie
arguments='root=LABEL=own-root rw console=ttyS0 net.ifnames=0'
# In sectors of 512 bytes: partitions begin at 1 MiB.
boot_start=2048 boot_sectors=131072 root_sectors=5242880
root_start=$((boot_start + boot_sectors))
disk_sectors=$((root_start + root_sectors + 2048)) # GPT ends with a copy of itself

mkdir "$out"
tree=$out/tree
cleanup() {
	! mountpoint -q "$tree/proc" || umount "$tree/proc"
	rm -rf "$tree" "$out"/*.part "$out"/*.raw
}
trap cleanup EXIT

packages=$(sed 's/#.*//' "$provision/image/packages.txt" "$here/packages.txt" | xargs | tr ' ' ',')
# The initrd is made once, below, when it is known what goes into it.
INITRD=No mmdebstrap --mode=root --variant=minbase --quiet \
	--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
	--include="$packages" \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	"$suite" "$tree" "$mirror"
rm -rf "$tree"/var/cache/apt/*.bin "$tree"/var/lib/apt/lists/*

printf '127.0.0.1 localhost node\n::1 localhost\n' >"$tree/etc/hosts"
echo node >"$tree/etc/hostname"
: >"$tree/etc/machine-id"
rm -f "$tree/var/lib/dbus/machine-id"
# For whoever boots it without a seed; cloud-init's own files go before this one.
printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\n' >"$tree/etc/systemd/network/80-dhcp.network"
ssh-keygen -q -t ed25519 -N '' -C azureuser -f "$out/azureuser"

# Azure Linux's service, with rules and words of this image's own: the lab must judge
# these, and not bring its own in their place.
install -d "$tree/etc/systemd/scripts"
install -m 755 "$provision"/node/scripts/iptables{,.stop} "$tree/etc/systemd/scripts/"
install -m 600 "$provision"/node/scripts/ip{4,6}save "$tree/etc/systemd/scripts/"
sed 's/^Description=.*/Description=Rules of the example image/' \
	"$provision/node/units/iptables.service" >"$tree/usr/lib/systemd/system/iptables.service"
[ -z "$kubelet" ] || install -m 755 "$kubelet" "$tree/usr/bin/kubelet"

in_tree() { chroot "$tree" "$@"; }
in_tree useradd --create-home --shell /bin/bash azureuser
install -d -m 700 "$tree/home/azureuser/.ssh"
mv "$out/azureuser.pub" "$tree/home/azureuser/.ssh/authorized_keys"
in_tree chown -R azureuser: /home/azureuser/.ssh
echo 'azureuser ALL=(ALL) NOPASSWD: ALL' >"$tree/etc/sudoers.d/azureuser"
mount -t proc proc "$tree/proc"
in_tree systemctl --quiet enable systemd-networkd ssh containerd iptables
in_tree systemctl --quiet set-default multi-user.target
in_tree systemctl --quiet mask nftables apt-daily.timer apt-daily-upgrade.timer
echo 'MODULES=list' >"$tree/etc/initramfs-tools/conf.d/list"
printf '%s\n' virtio_pci virtio_blk virtio_net ahci sd_mod ext4 >>"$tree/etc/initramfs-tools/modules"
kernel=$(basename "$tree"/lib/modules/*)
in_tree update-initramfs -c -k "$kernel"
umount "$tree/proc"

# file SECTORS: an empty file of that size
file() { truncate -s $((512 * $2)) "$1"; }
# filesystem LABEL: the tree as it is now
filesystem() {
	rm -f "$out/root.part"
	file "$out/root.part" $root_sectors
	mkfs.ext4 -q -L own-root -d "$tree" "$out/root.part"
}
# boot: a FAT partition with kernel and initrd
boot() {
	rm -f "$out/boot.part"
	file "$out/boot.part" $boot_sectors
	mformat -i "$out/boot.part" -v BOOT -T $boot_sectors -h 64 -s 32 -H $boot_start ::
	mcopy -i "$out/boot.part" "$tree/boot/vmlinuz-$kernel" ::/vmlinuz
	mcopy -i "$out/boot.part" "$tree/boot/initrd.img-$kernel" ::/initrd
}
# disk NAME: both partitions in their places, the table being on standard input
disk() {
	file "$1" $disk_sectors
	sfdisk --quiet "$1"
	dd if="$out/boot.part" of="$1" bs=1M seek=$((boot_start / 2048)) conv=notrunc,sparse status=none
	dd if="$out/root.part" of="$1" bs=1M seek=$((root_start / 2048)) conv=notrunc,sparse status=none
}

filesystem
boot
mmd -i "$out/boot.part" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries
mcopy -i "$out/boot.part" "$tree/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
echo 'timeout 0' | mcopy -i "$out/boot.part" - ::/loader/loader.conf
printf 'title node\nlinux /vmlinuz\ninitrd /initrd\noptions %s\n' "$arguments" |
	mcopy -i "$out/boot.part" - ::/loader/entries/node.conf
disk "$out/exposed.raw" <<TABLE
label: gpt
start=$boot_start, size=$boot_sectors, type=U
start=$root_start, size=$root_sectors, type=L
TABLE
qemu-img convert -q -O qcow2 "$out/exposed.raw" "$out/exposed.qcow2"
rm "$out/exposed.raw"

ln -s /dev/null "$tree/etc/systemd/system/iptables.service"
rm "$tree/etc/systemd/system/multi-user.target.wants/iptables.service"
filesystem
boot
printf 'default node\nlabel node\nkernel /vmlinuz\ninitrd /initrd\nappend %s\n' "$arguments" |
	mcopy -i "$out/boot.part" - ::/syslinux.cfg
disk "$out/masked.raw" <<TABLE
label: dos
start=$boot_start, size=$boot_sectors, type=c, bootable
start=$root_start, size=$root_sectors, type=83
TABLE
syslinux --install --offset $((512 * boot_start)) "$out/masked.raw"
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$out/masked.raw" conv=notrunc status=none
# What Azure takes: of fixed size, a footer behind the disk.
qemu-img convert -q -O vpc -o subformat=fixed,force_size "$out/masked.raw" "$out/masked.vhd"
