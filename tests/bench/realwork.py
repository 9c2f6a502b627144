#!/usr/bin/env python3
# tests/bench/realwork.py: a part of `make bench`. SPDX-License-Identifier: GPL-2.0-or-later
"""Processor time that a Debian guest's everyday work costs the host, in our emulator and in an installed peer.

  realwork.py [--ours build/rhea] [--peer qemu-system-x86_64] [--rounds 1]

The guest is Debian's cloud kernel with a root of Debian packages in an initramfs (scripts/debian-root.sh). It runs shell
scripts, find, tar, compressors, sort, awk, Perl, Python, a C compiler, then systemd up to multi-user. Each piece runs once:
code is cold, and much of it is the kernel's. What the pieces print must be the same on both sides. Numbers below 1 mean
that ours needs less."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from stamp import stamp

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICK = os.sysconf('SC_CLK_TCK')
MACHINE = ['-M', 'pc', '-cpu', 'max', '-m', '2G', '-smp', '1', '-accel', 'tcg', '-display', 'none', '-serial', 'stdio',
           '-monitor', 'none', '-no-reboot', '-nic', 'none']


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def make_initrd(guests, folder):
    """The root with our init put over it: archives of an initramfs may follow each other."""
    subprocess.run([f'{SOURCE}/scripts/debian-root.sh', guests], check=True)
    root = os.path.join(folder, 'over')
    os.mkdir(root)
    with open(f'{SOURCE}/tests/bench/realwork/init', 'rb') as f, open(os.path.join(root, 'init'), 'wb') as out:
        out.write(f.read())
    os.chmod(os.path.join(root, 'init'), 0o755)
    path = os.path.join(folder, 'initrd.cpio')
    over = subprocess.run(['bsdtar', '-cf', '-', '--format=newc', '-C', root, 'init'], check=True, capture_output=True).stdout
    with open(f'{guests}/debian.cpio', 'rb') as f, open(path, 'wb') as out:
        while chunk := f.read(1 << 20):
            out.write(chunk)
        out.write(over)
    return path


def run(emulator, o, initrd):
    """The processor time and the result of each piece. The first is the kernel's start."""
    argv = emulator.split() + MACHINE + ['-kernel', f'{o.guests}/kernel-cloud', '-initrd', initrd,
                                         '-append', 'console=ttyS0 quiet panic=-1 rdinit=/init']
    times, results, name, begin, spent, tail = {}, {}, 'boot', time.time(), 0.0, []
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for raw in p.stdout:
            line = raw.decode(errors='replace').strip()
            tail = (tail + [line])[-8:]
            if line.startswith('#PIECE '):
                now = cpu_seconds(p.pid)
                times[name], spent, name = now - spent, now, line.split()[1]
                if name == 'end':
                    break
            elif line.startswith('#RESULT '):
                results[name] = line[8:]
            if time.time() - begin > o.timeout:
                break
    finally:
        p.kill()
        p.wait()
    if name != 'end':
        sys.exit(f'realwork: {emulator}: no end, in {name} after {time.time() - begin:.0f} s; last:\n' + '\n'.join(tail))
    times['all'] = spent
    return times, results


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--ours', default=f'{SOURCE}/build/rhea')
    ap.add_argument('--peer', default='qemu-system-x86_64')
    ap.add_argument('--guests', default=f'{SOURCE}/guests', help='folder made by scripts/guests.sh')
    ap.add_argument('--rounds', type=int, default=1)
    ap.add_argument('--timeout', type=float, default=600)
    ap.add_argument('--stamp', action='store_true', help='put the sum into the README')
    o = ap.parse_args()
    for program, remedy in ((o.peer.split()[0], 'apt-get install qemu-system-x86, or name a peer by --peer'), (o.ours.split()[0], 'build it first'),
                            ('mmdebstrap', 'apt-get install mmdebstrap'), ('bsdtar', 'apt-get install libarchive-tools')):
        if not shutil.which(program):
            print(f'realwork: skipped: {program} is not there: {remedy}')
            return 77
    rows = {}
    with tempfile.TemporaryDirectory(dir=o.guests) as folder:
        initrd = make_initrd(o.guests, folder)
        for r in range(o.rounds):
            (ours, a), (peer, b) = run(o.ours, o, initrd), run(o.peer, o, initrd)
            for k in a:
                if a[k] != b.get(k):
                    sys.exit(f'realwork: {k}: ours made {a[k]!r}, the peer {b.get(k)!r}')
            for k, v in ours.items():
                rows.setdefault(k, []).append((v, peer[k]))
            print(f'round {r + 1} of {o.rounds} done', file=sys.stderr)
    print(f'{"processor seconds":18s} {"ours":>8s} {"peer":>8s} {"ours/peer":>10s}')
    for k, v in rows.items():
        print(f'{k:18s} {statistics.median(u for u, _ in v):8.2f} {statistics.median(p for _, p in v):8.2f} '
              f'{statistics.median(u / p for u, p in v if p):10.2f}')
    if o.stamp:
        stamp(work=f'{statistics.median(u / p for u, p in rows["all"]):.2f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
