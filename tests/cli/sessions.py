#!/usr/bin/env python3
# tests/cli/sessions.py: the sessions that docs/qmp.md shows work as they stand there. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""sessions.py RHEA docs/qmp.md"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

from harness import PATIENCE, RHEA, SCRATCH, Skip, main, test, wait_for_sockets

with open(sys.argv[2], encoding='utf-8') as page:
    # Indented blocks, each a list of lines.
    BLOCKS = [[line[4:] for line in block.splitlines()] for block in re.findall(r'(?:^    .*\n)+', page.read(), re.M)]
SOCKET = os.path.join(SCRATCH, 'qmp.sock')


def block(start):
    found = [b for b in BLOCKS if b[0].startswith(start)]
    assert len(found) == 1, f'{len(found)} blocks begin with {start!r}'
    return found[0]


def here(line):
    return line.replace('/tmp/qmp.sock', SOCKET)


class Server:
    """The emulator that the page starts in the background."""

    def __enter__(self):
        words = shlex.split(here(block('rhea ')[0]))
        assert words[0] == 'rhea' and words[-1] == '&', words
        self.p = subprocess.Popen([RHEA] + words[1:-1], stdin=subprocess.DEVNULL)
        wait_for_sockets(self.p, SOCKET)

    def __exit__(self, *exc):
        self.p.terminate()
        assert self.p.wait(PATIENCE) == 0
        if os.path.exists(SOCKET):
            os.unlink(SOCKET)


def same(got, shown):
    """Equal but for times."""
    if isinstance(shown, dict) and isinstance(got, dict):
        return got.keys() == shown.keys() and all(k == 'timestamp' or same(got[k], shown[k]) for k in shown)
    return got == shown


@test
def socat():
    if not shutil.which('socat'):
        raise Skip('socat is not installed')
    client = block('rhea ')[1]
    assert client.startswith('socat '), client
    with Server():
        p = subprocess.Popen(shlex.split(here(client)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        sent = 0
        for line in block('{"QMP"'):
            if '"execute"' in line:
                p.stdin.write(line + '\n')
                p.stdin.flush()
                sent += 1
            else:
                got = p.stdout.readline()
                assert same(json.loads(got), json.loads(line)), f'the page shows {line}\nthe emulator says {got}'
        assert sent >= 4, sent
        p.stdin.close()
        p.wait(PATIENCE)
        p.stdout.close()


@test
def python():
    with Server():
        p = subprocess.run([sys.executable, '-c', here('\n'.join(block('import json')))], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert p.returncode == 0 and p.stdout == "{'return': []}\n", p.stdout + p.stderr


@test
def rhea_monitor():
    with Server():
        text = here('\n'.join(block('$ rhea monitor')))
        parts = re.split(r'^(\$|\(qmp\)) ', text, flags=re.M)
        commands = [(parts[i], *parts[i + 1].split('\n', 1)) for i in range(1, len(parts), 2)]
        assert len(commands) > 2 and commands[0][1].startswith('rhea monitor '), commands
        p = subprocess.run([RHEA] + shlex.split(commands[0][1])[1:], input='\n'.join(c[1] for c in commands[1:]), capture_output=True, text=True,
                           timeout=PATIENCE, check=False)
        shown = ''.join(c[2] for c in commands[1:] if len(c) > 2)
        assert p.stdout.split() == shown.split(), f'the page shows {shown!r}\nthe emulator says {p.stdout!r} {p.stderr!r}'


main()
