#!/usr/bin/env python3
# tests/payload/run.py: run a test program in the emulator and turn its lines into TAP-like verdicts.
# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py EMULATOR PROGRAM [options of the emulator]. Fails unless the program came to its last line
with no check failed and a plausible number of them done."""
import os
import re
import subprocess
import sys

LEAST = 150


def triple_fault(argv):
    """With -no-reboot the emulator ends by itself, having said so under -d guest_errors."""
    r = subprocess.run(argv + ['-d', 'guest_errors'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60)
    text = r.stdout.decode(errors='replace')
    print(text)
    sys.exit(0 if r.returncode == 0 and text.count('T\n') + text.count('T\r\n') == 1 and 'triple fault' in text and '!' not in text else 1)


def bios(argv):
    """All letters, once; the jump to the reset vector ends the emulator (-no-reboot)."""
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    text = r.stdout.decode(errors='replace')
    print(text)
    sys.exit(0 if r.returncode == 0 and text.replace('\r', '') == 'MECT\n' else 1)


def garbage(argv, seeds):
    """Random code: the emulator may end as it likes, by its own doing, or be stopped after some seconds."""
    for seed in seeds:
        p = subprocess.Popen(argv + ['-append', str(seed)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            text = p.communicate(timeout=3)[0]
        except subprocess.TimeoutExpired:
            p.terminate()
            try:
                text = p.communicate(timeout=20)[0]
            except subprocess.TimeoutExpired:
                p.kill()
                print(f'seed {seed}: does not end')
                sys.exit(1)
        if p.returncode < 0 or b'Sanitizer' in text or b'runtime error' in text or b'garbage ' not in text:
            print(f'seed {seed}: code {p.returncode}')
            print(text.decode(errors='replace'))
            sys.exit(1)
        print(f'seed {seed}: code {p.returncode}')
    sys.exit(0)


def main():
    emulator, program, *options = sys.argv[1:]
    argv = [emulator, '-M', 'pc', *([] if '-accel' in options else ['-accel', 'tcg']), '-m', '128', '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot',
            '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', program] + options
    if 'garbage' in program:
        at = argv.index('-device') # a random OUT would end it too soon
        garbage(argv[:at] + argv[at + 2:], os.environ.get('SEEDS', '1 2 3 4').split())
    if 'bios' in program:
        bios(argv)
    if 'triple' in program:
        triple_fault(argv)
    try:
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=110)
        text = r.stdout.decode(errors='replace')
    except subprocess.TimeoutExpired as e:
        text = (e.stdout or b'').decode(errors='replace') + '\n# timed out\n'
    lines = text.replace('\r', '').split('\n')
    for line in lines:
        if not line.startswith('ok '):
            print(line)
    done = re.search(r'^done: (\d+) checks, (\d+) failed', text, re.M)
    ok = done and int(done[1]) >= LEAST and int(done[2]) == 0
    sys.exit(0 if ok else 1)


main()
