#!/usr/bin/env python3
# tests/kvm/bench.py: start-to-exit time, port exit round trip and memory under KVM, beside an installed peer.
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench.py EMULATOR PROGRAM [ROUNDS]. The two take turns; medians are compared."""
import os
import shutil
import statistics
import subprocess
import sys
import time

PORT_WRITES = 50000
PEER = 'qemu-system-x86_64'


def once(emulator, program, *options):
    """Seconds, and the peak of resident memory in KiB."""
    start = time.monotonic()
    p = subprocess.Popen([emulator, '-M', 'microvm', '-accel', 'kvm', '-nodefaults', '-display', 'none', '-m', '128', '-cpu',
                          'qemu64,check=off', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', program, *options],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    if os.waitstatus_to_exitcode(status) != 33:
        raise RuntimeError(f'{emulator} ended with {os.waitstatus_to_exitcode(status)}')
    return time.monotonic() - start, usage.ru_maxrss


def main():
    emulator, program = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        print('SKIP: /dev/kvm is not usable')
        sys.exit(77)
    names = [emulator] + ([PEER] if shutil.which(PEER) else [])
    start = {n: [] for n in names}
    exits = {n: [] for n in names}
    rss = {n: [] for n in names}
    for _ in range(rounds):
        for n in names:
            short, memory = once(n, program, '-append', 'x')
            long, _ = once(n, program)
            start[n].append(short * 1e3)
            exits[n].append((long - short) / PORT_WRITES * 1e6)
            rss[n].append(memory / 1024)
    for title, data, unit in (('start to exit', start, 'ms'), ('port exit', exits, 'us'), ('resident peak', rss, 'MiB')):
        ours = statistics.median(data[emulator])
        line = f'{title}: {ours:.2f} {unit}'
        if len(names) > 1:
            peer = statistics.median(data[PEER])
            line += f', peer {peer:.2f} {unit}, ratio {peer / ours:.2f}'
        print(line, flush=True)


main()
