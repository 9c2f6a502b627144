#!/bin/bash
# scripts/install-needed.sh [tests]: on Debian, install what building (and testing) needs; elsewhere leave it to configure.
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
packages=(gcc libc6-dev meson ninja-build pkg-config python3 libglib2.0-dev liburcu-dev libjansson-dev libcap-ng-dev libseccomp-dev
    libgnutls28-dev zlib1g-dev liblzo2-dev libsnappy-dev liburing-dev ccache ca-certificates)
for_tests=(libcapstone-dev acpica-tools gdb-multiarch socat openssl libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients)
command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || exit 0
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)

# install PACKAGE...: those that are missing
install() {
    local p missing=()
    for p in "$@"; do
        [ "$(dpkg-query -Wf '${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "Installing ${missing[*]}" >&2
    if ! "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
        "${sudo[@]}" apt-get update -qq || true # one stale index must not stop the rest
        DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
}

install "${packages[@]}"
[ "${1:-}" != tests ] || install "${for_tests[@]}" || echo "Going on without them" >&2
