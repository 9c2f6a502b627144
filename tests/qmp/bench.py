#!/usr/bin/env python3
# tests/qmp/bench.py: what a probe costs and how fast commands are answered, beside an installed qemu-system-x86_64.
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench.py RHEA: exit code 1 if RHEA takes more than PROBE_MS of processor time for a probe or ROUND_TRIP_US for a command."""
import ctypes
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import SPIN, Emulator, connect, guest  # noqa: E402

PROBE_MS, ROUND_TRIP_US = 30, 100
PROBES, COMMANDS = 10, 5000
QUEUED = 1000
PR_SET_CHILD_SUBREAPER = 36


def processor_time():
    """Of children that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def probe(binary, folder):
    """libvirt's: into the background, one command, SIGTERM. Processor time of all its processes and time passed, in ms."""
    path, pidfile = f'{folder}/probe', f'{folder}/pid'
    begin, before = time.perf_counter(), processor_time()
    subprocess.run([binary, '-S', '-no-user-config', '-nodefaults', '-nographic', '-machine', 'none,accel=tcg', '-qmp',
                    f'unix:{path},server=on,wait=off', '-pidfile', pidfile, '-daemonize'], stdin=subprocess.DEVNULL, check=True)
    with open(pidfile, encoding='ascii') as f:
        pid = int(f.read())
    c = connect(path)
    c.run('query-version')
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)  # ours: orphans come to us
    c.close()
    return (processor_time() - before) * 1e3, (time.perf_counter() - begin) * 1e3


def round_trips(binary, folder):
    """Of query-status while the guest does not rest, in microseconds; and the time per command of a queue."""
    kernel = guest(f'{folder}/spin', SPIN)
    with Emulator(binary, folder, '-machine', 'pc,accel=tcg', '-m', '64', '-kernel', kernel) as e:
        c = e.connect()
        request, times = b'{"execute": "query-status"}\n', []
        for _ in range(COMMANDS):
            begin = time.perf_counter()
            c.raw(request)
            c.line()
            times.append((time.perf_counter() - begin) * 1e6)
        begin = time.perf_counter()
        c.raw(request * QUEUED)
        for _ in range(QUEUED):
            c.line()
        queued = (time.perf_counter() - begin) * 1e6 / QUEUED
        e.stop()
    return times, queued


def measure(binary):
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        probes = [probe(binary, folder) for _ in range(PROBES)]
        times, queued = round_trips(binary, folder)
    return {'probe, processor time (ms)': statistics.median(p[0] for p in probes), 'probe, time passed (ms)': statistics.median(p[1] for p in probes),
            'round trip, median (us)': statistics.median(times), 'round trip, 99 of 100 (us)': statistics.quantiles(times, n=100)[98],
            'command of a queue (us)': queued}


def main():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours = measure(os.path.abspath(sys.argv[1]))
    peer = shutil.which('qemu-system-x86_64')
    theirs = measure(peer) if peer else {}
    print(f'{"":30s} {"rhea":>9s} {"peer":>9s}')
    for name, value in ours.items():
        print(f'{name:30s} {value:9.1f} {theirs.get(name, float("nan")):9.1f}')
    return ours['probe, processor time (ms)'] > PROBE_MS or ours['round trip, median (us)'] > ROUND_TRIP_US


if __name__ == '__main__':
    sys.exit(main())
