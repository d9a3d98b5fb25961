#!/usr/bin/env bash
# Builds a node image of real Azure Linux 3 with Microsoft's Image Customizer.
#
#   build.sh FILE.qcow2
#
# Needs from outside, which is why the project's own tests cannot run it: privileged Docker,
# the kernel's loop devices, and the hosts mcr.microsoft.com (the Image Customizer and the base
# image) and packages.microsoft.com (Azure Linux's packages). It has not been run by us; the
# options are those of the Image Customizer's documentation (docs/imagecustomizer of
# microsoft/azure-linux-image-tools) in August 2026.
#
# FILE's folder must be there. It has no kubelet: the lab's is used. Then, from the clone:
#
#   ./lab run --image FILE.qcow2 --evidence exploration
#
# An image of the marketplace needs no building, but `--bus sata`, for its initrd knows no virtio,
# and containerd, nft and ipset installed; `--user` and `--key` where it takes no cloud-init seed.
set -euo pipefail

[ $# -eq 1 ] || {
	echo "usage: $0 FILE.qcow2" >&2
	exit 2
}
folder=$(cd "$(dirname "$1")" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
docker run --rm --privileged=true -v "$here:/recipe:ro" -v "$folder:/out" \
	mcr.microsoft.com/azurelinux/imagecustomizer:latest customize \
	--image azurelinux:minimal-os:3.0 --image-cache-dir /out/cache \
	--config-file /recipe/image.yaml --build-dir /build \
	--output-image-format qcow2 --output-image-file "/out/$(basename "$1")" \
	--disable-telemetry
