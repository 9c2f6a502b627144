#!/usr/bin/env python3
# tests/bench/bench.py: `make bench`. SPDX-License-Identifier: GPL-2.0-or-later
"""Run vmbench and boots in our emulator and in an installed peer, turn by turn, and print the ratios.

  bench.py [--ours build/rhea] [--peer qemu-system-x86_64] [--rounds 3] [--tests alu,fib] [--boot-only]

A ratio above 1 means that ours is faster. A subtest's seconds are by the guest's clock, which the host's clock checks.
Host speed drifts, so only ratios within one run count; 'native' runs the same program on the host."""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from stamp import stamp

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOOT, START, RSS = 'boot to init', 'start to first output', 'peak RSS (MB)'
FLOAT = ('matmul', 'nbody', 'fma', 'saxpy', 'simdu8')


class Failed(Exception):
    pass


def peak_rss(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(r'VmHWM:\s*(\d+)', f.read()).group(1)) / 1024


def run_guest(emulator, o, initrd, vmargs):
    argv = emulator.split() + [
        '-M', 'pc', '-cpu', o.cpu, '-m', '512', '-smp', '1', '-accel', 'tcg', '-display', 'none', '-serial', 'stdio',
        '-monitor', 'none', '-no-reboot', '-nic', 'none', '-kernel', f'{o.guests}/kernel-cloud', '-initrd', initrd,
        '-append', 'console=ttyS0 quiet panic=-1' + (f' vmargs={vmargs}' if vmargs else '')]
    begin, seconds, tail, started = time.time(), {}, [], None
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for raw in p.stdout:
            line, now = raw.decode(errors='replace').strip(), time.time() - begin
            tail = (tail + [line])[-5:]
            word = line.split()
            if 'INIT-UP' in line:
                seconds[BOOT] = now
            elif line.startswith('#BEGIN'):
                started = now
            elif len(word) == 6 and word[5] in ('ok', 'BAD'):
                if word[5] == 'BAD':
                    raise Failed(f'{emulator}: wrong result: {line}')
                seconds[word[0]] = float(word[2])
                host = now - (started or now)
                if host > 0.2 and not 0.7 < float(word[2]) / host < 1.4:
                    print(f'warning: {emulator}: {word[0]}: the guest says {word[2]} s, the host {host:.2f} s', file=sys.stderr)
            elif line.startswith('BENCH-DONE'):
                seconds[RSS] = peak_rss(p.pid)
            if now > o.timeout:
                raise Failed(f'{emulator}: no end after {o.timeout} s; last: {tail}')
        p.wait()
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
    if BOOT not in seconds:
        raise Failed(f'{emulator}: never reached init; last: {tail}')
    return seconds


def run_native(vmbench, tests):
    out = subprocess.run([vmbench, *(tests.split(',') if tests else [])], capture_output=True, text=True, check=False).stdout
    return {w[0]: float(w[2]) for w in map(str.split, out.splitlines()) if len(w) == 6}


def exit_guest(emulator, flat):
    """The command line of a guest whose first instructions end it (isa-debug-exit), with code 3."""
    return emulator.split() + ['-M', 'pc', '-m', '512', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-no-reboot', '-device',
                               'isa-debug-exit,iobase=0xf4,iosize=0x4', '-kernel', flat]


def start_time(emulator, flat):
    """Seconds from exec to the end of that guest."""
    begin = time.time()
    code = subprocess.run(exit_guest(emulator, flat), stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False).returncode
    if code != 3:
        raise Failed(f'{emulator}: the start-up payload ended with {code}, not 3')
    return time.time() - begin


def exit_payload(path):
    """A multiboot kernel: mov eax, 1; out 0xf4, al; hlt."""
    load = 0x100000
    header = [0x1badb002, 0x10000, -(0x1badb002 + 0x10000) & 0xffffffff, load, load, load + 4096, load + 4096, load + 32]
    code = b'\xb8\x01\0\0\0\xe6\xf4\xf4\xeb\xfd'
    with open(path, 'wb') as f:
        f.write((b''.join(v.to_bytes(4, 'little') for v in header) + code).ljust(4096, b'\0'))


def seconds_to_run(argv):
    begin = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    os.waitpid(pid, 0)
    return time.perf_counter() - begin


def report_process_times(o, flat):
    """What starting costs, as multiples of what the smallest program costs here: the shortest of turns that alternate."""
    kinds = {'/bin/true': ['/bin/true'], '-version': o.ours.split() + ['-version'], 'guest': exit_guest(o.ours, flat)}
    best = {k: min(times) for k, times in zip(kinds, zip(*([seconds_to_run(a) for a in kinds.values()] for _ in range(40))))}
    if o.stamp:
        stamp(start=f'{best["guest"] / best["/bin/true"]:.1f}')
    for kind, what, goal in (('-version', '-version', 2.5), ('guest', 'first guest instruction and out', 4)):
        print(f'{what}: {best[kind] * 1e3:.1f} ms, {best[kind] / best["/bin/true"]:.2f} times /bin/true (goal {goal:g})')


def make_initrd(o, folder):
    out = os.path.join(folder, 'initrd.gz')
    subprocess.run([f'{SOURCE}/scripts/initramfs.py', out, '--init', f'{SOURCE}/tests/bench/init', '--busybox',
                    f'{o.guests}/busybox', '--file', f'/vmbench={o.vmbench}'], check=True)
    return out


def measure(o, folder):
    initrd, rows = make_initrd(o, folder), {}
    flat = os.path.join(folder, 'exit.bin')
    exit_payload(flat)
    report_process_times(o, flat)
    vmargs = 'boot' if o.boot_only else o.tests
    for r in range(o.rounds):
        ours, peer = run_guest(o.ours, o, initrd, vmargs), run_guest(o.peer, o, initrd, vmargs)
        try:
            ours[START], peer[START] = start_time(o.ours, flat), start_time(o.peer, flat)
        except (Failed, subprocess.TimeoutExpired) as e:
            print(f'warning: {e}', file=sys.stderr)
        native = {} if o.boot_only else run_native(o.vmbench, o.tests)
        for k, v in ours.items():
            if k in peer:
                rows.setdefault(k, []).append((v, peer[k], native.get(k)))
        print(f'round {r + 1} of {o.rounds} done', file=sys.stderr)
    return rows


def report(rows, stamped):
    print(f'{"":22s} {"ours":>9s} {"peer":>9s} {"peer/ours":>10s} {"ours/native":>12s}')
    ratios = {}
    for k, v in rows.items():
        ratios[k] = statistics.median(p / u for u, p, _ in v if u)
        native = [u / n for u, _, n in v if n]
        print(f'{k:22s} {statistics.median(u for u, _, _ in v):9.3f} {statistics.median(p for _, p, _ in v):9.3f} '
              f'{ratios[k]:10.2f} {statistics.median(native) if native else float("nan"):12.2f}')
    bench = {k: r for k, r in ratios.items() if k not in (BOOT, START, RSS)}
    if bench:
        worst = min(bench, key=bench.get)
        floats = {k: bench[k] for k in FLOAT if k in bench}
        print(f'geometric mean {statistics.geometric_mean(bench.values()):.2f} (goal 2); slowest {worst} {bench[worst]:.2f} (goal 1)'
              + (f'; slowest float {min(floats, key=floats.get)} {min(floats.values()):.2f} (goal 5)' if floats else ''))
    if stamped and bench:
        stamp(speed=f'{statistics.geometric_mean(bench.values()):.1f}', float=f'{statistics.geometric_mean(floats.values()):.0f}')
    if BOOT in ratios:
        print(f'boot takes {1 / ratios[BOOT]:.2f} of the peer\'s time (goal 0.8)')


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--ours', default=f'{SOURCE}/build/rhea')
    ap.add_argument('--peer', default='qemu-system-x86_64')
    ap.add_argument('--guests', default=f'{SOURCE}/guests', help='folder made by scripts/guests.sh')
    ap.add_argument('--vmbench', default=None, help='the static benchmark program (default: beside ours)')
    ap.add_argument('--cpu', default='max')
    ap.add_argument('--rounds', type=int, default=3)
    ap.add_argument('--tests', default='', help='comma-separated subtests')
    ap.add_argument('--boot-only', action='store_true')
    ap.add_argument('--timeout', type=float, default=300)
    ap.add_argument('--stamp', action='store_true', help='put the figures into the README')
    ap.add_argument('--json', help='write all figures there')
    o = ap.parse_args()
    o.vmbench = o.vmbench or os.path.join(os.path.dirname(o.ours.split()[0]), 'tests/bench/vmbench')
    for program, remedy in ((o.peer.split()[0], 'install qemu-system-x86 or name a peer by --peer'),
                            (o.ours.split()[0], 'build it first'), (o.vmbench, 'build it first')):
        if not shutil.which(program):
            sys.exit(f'bench: {program} is not there: {remedy}')
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(o, folder)
    except Failed as e:
        sys.exit(f'bench: {e}')
    report(rows, o.stamp)
    if o.json:
        with open(o.json, 'w', encoding='ascii') as f:
            json.dump(rows, f)
    return 0


if __name__ == '__main__':
    sys.exit(main())
