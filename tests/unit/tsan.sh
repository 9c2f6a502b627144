#!/bin/sh
# tests/unit/tsan.sh: run a program that was built with ThreadSanitizer. SPDX-License-Identifier: GPL-2.0-or-later
limit=$(ulimit -v)
if [ "$limit" != unlimited ]; then
    echo "1..0 # SKIP ThreadSanitizer takes all of the address space, ulimit -v allows $limit KiB"
    exit 0
fi
exec "$@"
