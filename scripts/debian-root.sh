#!/bin/bash
# scripts/debian-root.sh DIR: a Debian with systemd, Python, Perl and a C compiler as an uncompressed initramfs,
# DIR/debian.cpio, from packages (mmdebstrap, as root or in a user namespace). About 370 MB; made once.
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
dir=$(mkdir -p "${1:?usage: debian-root.sh DIR}" && cd "$1" && pwd)
[ ! -s "$dir/debian.cpio" ] || exit 0
for program in mmdebstrap bsdtar; do
    command -v $program >/dev/null || { echo "debian-root.sh: $program is missing: apt-get install mmdebstrap libarchive-tools" >&2; exit 1; }
done
packages=(systemd-sysv udev dbus procps gzip xz-utils gawk python3 perl gcc libc6-dev)
echo "Making a Debian root in $dir: some minutes" >&2
mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" --aptopt='APT::Install-Recommends false' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --format=tar bookworm "$dir/debian.tar"
bsdtar -cf "$dir/debian.cpio.new" --format=newc "@$dir/debian.tar"
mv "$dir/debian.cpio.new" "$dir/debian.cpio"
rm "$dir/debian.tar"
