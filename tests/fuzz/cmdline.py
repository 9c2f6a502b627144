#!/usr/bin/env python3
# tests/fuzz/cmdline.py: command lines out of the option table: good shapes, boundary values, garbage. The emulator ends with 0 or 1,
# never by a signal, and its message names an option that was given. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""cmdline.py RHEA SCRATCH [--seconds N] [--seed N]"""
import random
import re
import subprocess
import sys
import time

from seeds import main

LAST = ['-device', 'nosuch-device']  # refused after everything else was looked at: so no run goes on for long
NUMBERS = ['0', '1', '-1', '255', '4096', '0x1000', '2147483648', '4294967296', '9223372036854775807', '18446744073709551616', '1.5', '64M', '1G', '9999T', '']
TEXT = ['', 'x', 'on', 'off', 'none', 'help', '?', 'a=b', '=', ',', ',,', 'a,,b', 'x' * 5000, '\u00e4', '%s%n', '{', '{}', '{"a":1}', '[', '/', '..', 'id=x', 'null', 'pc', 'max',
        'tcg', 'isa-serial', 'secret', '/dev/full', '/dev/null', '/nosuch/x', 'scratch-file']
# They would leave this folder, this process or this terminal; tests/cli has them.
LEFT_OUT = {'daemonize', 'chroot', 'runas', 'h', 'version', 'writeconfig'}


def options(rhea):
    """[(name, shape or None)] as -h shows them."""
    out = subprocess.run([rhea, '-h'], capture_output=True, text=True, check=True).stdout
    found = []
    for line in out.splitlines():
        short = '  ' in line[:16] or (' ' not in line[:15] and line[15:16] == ' ')  # then its help is beside it
        head = line[:15].rstrip() if short else line
        m = re.match(r'-(\S+)(?: or -\S+)?(?: (\S.*))?$', head)
        if m and m[1] not in LEFT_OUT:
            found.append((m[1], m[2]))
    assert len(found) > 40, found
    return found


class Values:
    def __init__(self, r):
        self.r = r

    def scalar(self):
        return self.r.choice(self.r.choice([NUMBERS, TEXT]))

    def shaped(self, shape):
        """Keys and choices out of the shape."""
        keys = re.findall(r'([a-z0-9_-]+)\]?=([a-z0-9_|-]*)', shape)
        if not keys:
            return self.r.choice(shape.split('|')) if self.r.random() < 0.5 else self.scalar()
        items = []
        for key, choices in self.r.sample(keys, self.r.randrange(1, len(keys) + 1)):
            items.append(f'{key}={self.r.choice(choices.split("|")) if choices and self.r.random() < 0.5 else self.scalar()}')
        if self.r.random() < 0.2:
            items.append(self.scalar())
        return ','.join(items)

    def known(self, name):
        """Arguments that get somewhere."""
        good = {'machine': ['pc', 'none', 'microvm', 'pc,hpet=off', 'pc,memory-backend=m'], 'M': ['pc'], 'cpu': ['max', 'qemu64,+avx', 'max,-sse4.2'], 'accel': ['tcg', 'kvm:tcg'],
                'object': ['secret,id=s,data=x', 'iothread,id=i', 'memory-backend-ram,id=m,size=64M', '{"qom-type":"throttle-group","id":"t","limits":{"iops-total":5}}',
                           'rng-random,id=r,filename=/dev/urandom', 'memory-backend-memfd,id=m,size=64M', 'tls-creds-anon,id=tls',
                           'authz-list,id=a,rules.0.match=x,rules.0.policy=allow', '{"qom-type":"authz-list","id":"a","rules":[{"match":"x","policy":"deny"}]}'],
                'device': ['isa-serial', '{"driver":"isa-debug-exit","iobase":5}', 'pvpanic,ioport=0', 'ib700,id=w', 'vmcoreinfo'], 'chardev': ['null,id=n', 'ringbuf,id=r,size=4096', 'pty,id=p'],
                'serial': ['null', 'none', 'chardev:n'], 'mon': ['n', 'chardev=n,mode=control'], 'smp': ['2', '4,sockets=2', 'cpus=1,maxcpus=2'], 'm': ['64', '64M', 'size=1G'],
                'global': ['isa-serial.iobase=5', 'driver=ib700,property=x,value=y'], 'sandbox': ['off'], 'rtc': ['base=utc', 'base=2006-06-17'], 'd': ['guest_errors'],
                'trace': ['reg_*'], 'uuid': ['965214bc-8f5c-4d2c-8b5f-0d2ac4fdd8cd'], 'gdb': ['none']}
        return self.r.choice(good.get(name, TEXT))

    def argument(self, name, shape):
        x = self.r.random()
        value = self.known(name) if x < 0.4 else self.shaped(shape) if x < 0.8 else self.scalar()
        if self.r.random() < 0.2 and value:  # a slip
            i = self.r.randrange(len(value))
            value = value[:i] + self.r.choice(['', ',', '=', '\x7f', 'x', '{', '"', value[i:]]) + value[i + 1:]
        return value


def one(rhea, table, r, folder):
    """None, or what is wrong."""
    argv = []
    for name, shape in r.choices(table, k=r.randrange(1, 5)):
        argv.append('-' + name)
        if shape:
            argv.append(Values(r).argument(name, shape))
    argv = [x.replace('\0', '') for x in argv]
    full = [rhea, '-S', '-display', 'none', *([] if r.random() < 0.3 else ['-nodefaults']), *(['-M', 'none'] if r.random() < 0.5 else []), *argv, *LAST]
    try:
        p = subprocess.run(full, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, timeout=60)
    except subprocess.TimeoutExpired:
        return f'{argv}: it did not end'
    text = p.stdout.decode(errors='replace')
    if p.returncode not in (0, 1) or 'Sanitizer' in text or 'runtime error' in text or 'CRITICAL' in text:
        return f'{full}: code {p.returncode}: {text[-4000:]}'
    names = [x.lstrip('-') for x in argv if x.startswith('-') and len(x) > 1]
    values = [v for x in argv for v in re.split(r'[,=:"{}]', x) if len(v) > 1]
    if p.returncode == 1 and not any(x in text for x in names + values + ['nosuch-device', 'nothing to boot', '-kernel']):
        return f'{argv}: the message names nothing: {text[-500:]!r}'
    return None


def fuzz(rhea, scratch, seed, until):
    table, r, runs, bad = options(rhea), random.Random(seed), 0, []
    while time.time() < until and len(bad) < 5:
        problem = one(rhea, table, r, scratch)
        bad += [problem] if problem else []
        runs += 1
    return f'{runs} command lines', bad


sys.exit(main(__doc__, fuzz))
