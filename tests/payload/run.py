#!/usr/bin/env python3
# tests/payload/run.py: run a test program in the emulator and turn its lines into TAP-like verdicts.
# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py EMULATOR PROGRAM [options of the emulator]. Fails unless the program came to its last line
with no check failed and a plausible number of them done."""
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


def main():
    emulator, program, *options = sys.argv[1:]
    argv = [emulator, '-M', 'pc', '-accel', 'tcg', '-m', '128', '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot',
            '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', program] + options
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
