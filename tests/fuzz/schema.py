#!/usr/bin/env python3
# tests/fuzz/schema.py: every QMP command with random and boundary arguments out of the schema, against a live machine. The
# emulator survives, its replies are as the schema says, and every error names a parameter, a value or what is missing. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""schema.py RHEA SCRATCH [--seconds N] [--seed N]"""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../qmp'))
from arguments import Maker  # noqa: E402
from client import SPIN, Emulator, guest  # noqa: E402
from seeds import main  # noqa: E402

MACHINE = ['-smp', '2', '-device', 'pvpanic', '-device', 'vmcoreinfo', '-object', 'authz-list,id=au0,rules.0.match=x,rules.0.policy=allow', '-device', 'ib700', '-device', 'isa-debug-exit,id=exit0', '-chardev', 'ringbuf,id=ring', '-chardev', 'null,id=n0',
           '-object', 'secret,id=sec0,data=x', '-object', 'iothread,id=io0', '-object', 'memory-backend-ram,id=mem0,size=1M', '-object',
           'throttle-group,id=t0']
ENDS = ('poweroff', 'shutdown', 'exit-failure')  # actions
# Errors about the state of the machine name that instead.
STATES = ('state', 'machine', 'descriptor', 'dump', 'guest', 'CPU', 'progress', 'negotiation', "parameter '", "'arguments'")


def words(c, scratch):
    """Strings that lead somewhere, by the member that takes them."""
    paths, todo = ['/'], ['/']
    while todo and len(paths) < 150:
        path = todo.pop(0)
        for p in c.run('qom-list', {'path': path}):
            if p['type'].startswith('child<'):
                todo.append(path.rstrip('/') + '/' + p['name'])
                paths.append(todo[-1])
    types = [t['name'] for t in c.run('qom-list-types', {'abstract': True})]
    ids = ['ring', 'n0', 'sec0', 'io0', 'mem0', 't0', 'au0', 'exit0', 'new0', 'new1', 'compat_monitor0', 'pc.ram', '0x', 'a b']
    files = [f'{scratch}/file', f'{scratch}/../nosuch/x', '/dev/full', '/dev/null', scratch, '']
    properties = ['type', 'realized', 'size', 'limits', 'rules', 'policy', 'poll-max-ns', 'merge', 'host-nodes', 'iobase', 'chardev', 'dump-guest-core', 'data', 'memory-backend']
    return {'path': paths + ids, 'property': properties, 'typename': types, 'implements': types, 'driver': types, 'id': ids, 'device': ids, 'label': ids,
            'chardev': ids, 'qom-type': types, 'filename': files, 'protocol': [f'file:{scratch}/dump', 'file:/dev/full', 'fd:x', 'file:', 'tcp:1'],
            'mem-path': files, 'file': files, 'dir': files, 'out': files, 'in': files, 'logfile': files, 'name': ['max', 'qemu64', 'nosuch', 'reg_*', '*'],
            'data': ['aGVsbG8=', 'x' * 1000, '***'], 'option': ['machine', 'm', 'nosuch'], 'bus': ['isa', 'main', 'nosuch'], 'fdname': ['x', '1x'],
            'host': ['127.0.0.1', '::1'], 'port': ['0', '99999', 'x'], 'str': ['x', '99'], 'data-dir': files,
            'command-line': ['info status', 'info qtree', 'info mtree -f', 'x /4xw 0', 'print 1+1', 'info registers', 'help', 'nosuch', 'x', 'info'],
            'keyid': ids, 'passwordid': ids, 'priority': ['NORMAL', 'NOSUCH'], 'username': ['x']}


def leaves(value):
    if isinstance(value, dict):
        for k, v in value.items():
            yield k
            yield from leaves(v)
    elif isinstance(value, list):
        for v in value:
            yield from leaves(v)
    elif isinstance(value, bool) or value is None:
        yield {True: 'on', False: 'off', None: 'null'}[value]
    else:
        yield str(value)


def names_something(error, command, arguments):
    text = error['desc']
    given = list(leaves(arguments))
    return any(x[:60] in text if len(x) > 1 or x.isdigit() else f"{x}'" in text for x in [*given, command]) or any(x in text for x in STATES)


class Run:
    def __init__(self, rhea, scratch, seed):
        self.rhea, self.scratch, self.r = rhea, scratch, random.Random(seed)
        self.calls = self.errors = self.starts = 0
        self.vague, self.failures = {}, []

    def start(self):
        self.starts += 1
        self.e = Emulator(self.rhea, self.scratch, '-M', 'pc', '-m', '16', '-S', '-no-shutdown', '-kernel', guest(f'{self.scratch}/guest', SPIN), *MACHINE)
        self.c = self.e.connect()
        self.words = words(self.c, self.scratch)
        self.history = []

    def stop(self, killed=False):
        code = self.e.process.wait(60) if killed else self.e.stop()
        text = self.e.output()
        if code not in (0,) or 'Sanitizer' in text or 'runtime error' in text:
            self.failures.append(f'exit code {code} after {self.history[-5:]}: {text[-6000:]}')
        self.e.__exit__()

    def call(self, command, wrong):
        maker = Maker(self.c.checker, self.r.random(), wrong, self.words)
        arguments = maker.make(self.c.checker.commands[command]['arg-type'])
        sizes = isinstance(arguments, dict) and arguments.get('size') in (1 << 31, 1 << 32)
        big = sizes and (command in ('memsave', 'pmemsave') or arguments.get('prealloc'))  # possible, but slow
        if command == 'quit' or big or (command in ('chardev-add', 'chardev-change') and 'stdio' in str(arguments)):
            return
        self.history.append((command, arguments))
        m = self.c.ask(command, arguments)
        self.calls += 1
        if command == 'set-action':  # a machine that ends tells nothing
            self.c.run(command, {'shutdown': 'pause', 'reboot': 'reset', 'panic': 'pause'})
        if 'error' in m:
            self.errors += 1
            if not names_something(m['error'], command, arguments):
                self.vague[command] = (arguments, m['error']['desc'])

    def may_end(self):
        """The last command lets a reset that was asked for before end the machine, as it should."""
        command, arguments = self.history[-1] if self.history else (None, None)
        return command == 'set-action' and isinstance(arguments, dict) and any(v in ENDS for v in arguments.values())

    def round(self):
        """All commands, in any order."""
        self.start()
        commands = sorted(self.c.checker.commands) * 2
        self.r.shuffle(commands)
        try:
            for command in commands:
                self.call(command, self.r.random() < 0.5)
            self.c.run('query-status')
        except (OSError, EOFError, AssertionError) as gone:
            if not (self.may_end() and isinstance(gone, (EOFError, ConnectionError))):
                self.failures.append(f'{gone!r} at {self.history[-1:]}')
                self.e.process.send_signal(signal.SIGTERM)
            self.stop(killed=True)
            return
        self.stop()


def fuzz(rhea, scratch, seed, until):
    run = Run(rhea, scratch, seed)
    while not run.starts or (time.time() < until and not run.failures):
        run.round()
    vague = [f'{command} {arguments}: the error names nothing: {text!r}' for command, (arguments, text) in run.vague.items()]
    return f'{run.calls} calls, {run.errors} errors, {run.starts} machines', run.failures + vague


sys.exit(main(__doc__, fuzz))
