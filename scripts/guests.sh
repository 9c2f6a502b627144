#!/bin/bash
# scripts/guests.sh DIR: fetch Debian's kernels and static busybox as packages into DIR, without installing them and
# without root: apt with state of its own. Leaves DIR/kernel-cloud, DIR/kernel-generic, DIR/busybox, and of the cloud kernel
# the modules that make a power button of ACPI's, DIR/modules-cloud/*.ko.
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
dir=$(mkdir -p "${1:?usage: guests.sh DIR}" && cd "$1" && pwd)
state=$dir/apt
mkdir -p "$state/lists/partial" "$state/archives/partial"
: > "$state/status"
apt_options=(-qq -oAPT::Architecture=amd64 -oAPT::Architectures=amd64 -oDir::State::Lists="$state/lists"
             -oDir::State::status="$state/status" -oDir::Cache="$state" -oAPT::Sandbox::User=root)

modules=(button evdev)
have_cloud() { [ -s "$dir/kernel-cloud" ] && [ -s "$dir/modules-cloud/evdev.ko" ]; }
have_all() { have_cloud && [ -s "$dir/kernel-generic" ] && [ -s "$dir/busybox" ]; }

# unpack PACKAGE: download the package and unpack it into a fresh folder, whose path is printed
unpack() {
    local root=$state/root-$1
    rm -rf "$root" && mkdir -p "$root"
    (cd "$root" && apt-get "${apt_options[@]}" download "$1" >&2 && for d in *.deb; do dpkg-deb -x "$d" .; rm "$d"; done)
    echo "$root"
}

# kernel META NAME [MODULE...]: what the meta package META depends on → DIR/kernel-NAME, DIR/modules-NAME/MODULE.ko
kernel() {
    local image root module
    image=$(apt-cache "${apt_options[@]}" depends "$1" | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -1)
    root=$(unpack "${image:?no kernel package under $1; is a Debian package source configured?}")
    for module in "${@:3}"; do
        mkdir -p "$dir/modules-$2"
        cp "$(find "$root" -name "$module.ko" | head -1)" "$dir/modules-$2/"
    done
    cp "$root"/boot/vmlinuz-* "$dir/kernel-$2.new"
    mv "$dir/kernel-$2.new" "$dir/kernel-$2"
    rm -rf "$root"
}

have_all && exit 0
echo "Fetching Debian's kernels and busybox into $dir" >&2
apt-get "${apt_options[@]}" update || true # one stale index must not stop the rest
if [ ! -s "$dir/busybox" ]; then
    root=$(unpack busybox-static)
    cp "$(find "$root" -path '*bin/busybox' -type f | head -1)" "$dir/busybox.new"
    mv "$dir/busybox.new" "$dir/busybox"
    rm -rf "$root"
fi
have_cloud || kernel linux-image-cloud-amd64 cloud "${modules[@]}"
[ -s "$dir/kernel-generic" ] || kernel linux-image-amd64 generic
have_all
