#!/usr/bin/env python3
# tests/kvm/bench.py: start-to-exit time, port exit round trip and memory under KVM, beside an installed peer.
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench.py EMULATOR EXITS-PROGRAM IRQ-PROGRAM [ROUNDS]. The two take turns; medians are compared. "First output" is what the
guest's first instructions write to the serial port."""
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

PORT_WRITES = 50000
PEER = 'qemu-system-x86_64'


def once(emulator, program, *options):
    """Seconds."""
    start = time.monotonic()
    p = subprocess.Popen([emulator, '-M', 'microvm', '-accel', 'kvm', '-nodefaults', '-display', 'none', '-m', '128', '-cpu',
                          'qemu64,check=off', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', program, *options],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    code = p.wait()
    if code != 33:
        raise RuntimeError(f'{emulator} ended with {code}')
    return time.monotonic() - start


def first_output(emulator, irq, mode):
    """Seconds until the guest's first byte, and resident memory in KiB then, without the guest's."""
    start = time.monotonic()
    p = subprocess.Popen([emulator, '-M', 'microvm', '-accel', f'kvm,kernel-irqchip={mode}', '-nodefaults', '-display', 'none', '-m',
                          '128', '-cpu', 'qemu64,check=off', '-kernel', irq, '-append', 'l', '-serial', 'stdio'],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    byte = p.stdout.read(1)
    seconds = time.monotonic() - start
    with open(f'/proc/{p.pid}/smaps', encoding='ascii', errors='replace') as f:
        sizes = [[int(v) for v in re.findall(r'^(?:Size|Rss): *(\d+)', part, re.M)] for part in re.split(r'^(?=[0-9a-f]+-)', f.read(), flags=re.M)]
    own = sum(s[1] for s in sizes if len(s) == 2 and s[0] < 120 * 1024) # the guest's RAM is the one mapping of 128 MiB
    p.kill()
    p.wait()
    if not byte:
        raise RuntimeError(f'{emulator}: no output')
    return seconds, own


def main():
    emulator, program, irq = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 7
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        print('SKIP: /dev/kvm is not usable')
        sys.exit(77)
    names = [emulator] + ([PEER] if shutil.which(PEER) else [])
    start = {n: [] for n in names}
    exits = {n: [] for n in names}
    rss = {n: [] for n in names}
    first = {m: {n: [] for n in names} for m in ('on', 'split', 'off')}
    for _ in range(rounds):
        for n in names:
            short = once(n, program, '-append', 'x')
            long = once(n, program)
            start[n].append(short * 1e3)
            exits[n].append((long - short) / PORT_WRITES * 1e6)
            for mode, data in first.items():
                seconds, memory = first_output(n, irq, mode)
                data[n].append(seconds * 1e3)
                rss[n].append(memory / 1024)
    tables = [(f'first output, kernel-irqchip={m}', data, 'ms') for m, data in first.items()]
    for title, data, unit in (*tables, ('start to exit', start, 'ms'), ('port exit', exits, 'us'), ('resident memory without the guest\'s', rss, 'MiB')):
        ours = statistics.median(data[emulator])
        line = f'{title}: {ours:.2f} {unit}'
        if len(names) > 1:
            peer = statistics.median(data[PEER])
            line += f', peer {peer:.2f} {unit}, ratio {peer / ours:.2f}'
        print(line, flush=True)


main()
