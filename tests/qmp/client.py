# tests/qmp/client.py: an emulator under test and QMP connections to it. All tests that speak QMP use it: it holds every
# reply, error and event against the schema that the emulator itself tells.
# SPDX-License-Identifier: GPL-2.0-or-later
import array
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..'), os.path.join(HERE, '../../scripts')]
import tap  # noqa: E402
from qapi.introspect import Checker  # noqa: E402
from tap import Skip, test  # noqa: E402, F401: for those who import this

PATIENCE = 60
ERROR_CLASSES = {'GenericError', 'CommandNotFound', 'DeviceNotFound', 'DeviceNotActive', 'KVMMissingCap'}


class QmpError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.cls, self.desc = error['class'], error['desc']


class Schema:
    """What emulators of this run were seen to do: of each program, its schema; of all, which commands succeeded and which
    events came."""

    checkers, succeeded, events, messages = {}, set(), set(), 0

    @staticmethod
    def hold(checker, command, m):
        Schema.messages += 1
        bad = []
        if 'event' in m:
            Schema.events.add(m['event'])
            bad = checker.event(m['event'], m.get('data'))
            ts = m['timestamp']
            assert set(m) <= {'event', 'data', 'timestamp'} and set(ts) == {'seconds', 'microseconds'}, m
        elif 'error' in m:
            assert set(m) <= {'error', 'id'} and set(m['error']) == {'class', 'desc'}, m
            assert m['error']['class'] in ERROR_CLASSES and m['error']['desc'], m
        elif 'return' in m:
            assert set(m) <= {'return', 'id'}, m
            if command in checker.commands:
                Schema.succeeded.add(command)
                bad = [f'{command}: {x}' for x in checker.reply(command, m['return'])]
        else:
            bad = [f'{m} is no reply, error or event']
        assert not bad, bad[:10]


class Connection:
    """One client. Messages are lines; events are kept aside."""

    def __init__(self, sock, program=''):
        self.sock, self.buffer, self.events, self.program, self.checker = sock, b'', [], program, None
        self.sock.settimeout(PATIENCE)
        self.greeting = json.loads(self.line())

    def line(self):
        while b'\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError('the emulator closed the connection')
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line

    def message(self, command=None):
        m = json.loads(self.line())
        if self.checker:
            Schema.hold(self.checker, command, m)
        return m

    def raw(self, data):
        self.sock.sendall(data)

    def reply(self, command=None):
        """The next message that is no event."""
        while True:
            m = self.message(command)
            if 'event' not in m:
                return m
            self.events.append(m)

    def ask(self, command, arguments=None, fds=None, **more):
        request = {'execute': command, **({} if arguments is None else {'arguments': arguments}), **more}
        data = json.dumps(request).encode()
        if fds:
            self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
        else:
            self.raw(data)
        return self.reply(command)

    def run(self, command, arguments=None, fds=None):
        m = self.ask(command, arguments, fds)
        if 'error' in m:
            raise QmpError(m['error'])
        return m['return']

    def event(self, name):
        """Wait for an event; it and those before it are taken out."""
        while True:
            for i, e in enumerate(self.events):
                if e['event'] == name:
                    del self.events[:i + 1]
                    return e
            m = self.message()
            assert 'event' in m, f'unexpected {m} while waiting for {name}'
            self.events.append(m)

    def negotiate(self):
        self.run('qmp_capabilities')
        if self.program not in Schema.checkers:
            Schema.checkers[self.program] = Checker(self.run('query-qmp-schema'))
        self.checker = Schema.checkers[self.program]
        Schema.succeeded.add('qmp_capabilities')
        return self

    def close(self):
        self.sock.close()


def connect(path, program='', alive=lambda: True, negotiate=True):
    """A connection to the QMP socket at path, as soon as it is there."""
    deadline = time.time() + PATIENCE
    while True:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            break
        except OSError:
            s.close()
            if not alive() or time.time() > deadline:
                raise
            time.sleep(0.01)
    c = Connection(s, program)
    return c.negotiate() if negotiate else c


def environment(args):
    """Of an emulator with these arguments: to look for leaks needs what a sandbox denies."""
    return {**os.environ, **({'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'} if '-sandbox' in args else {})}


class Emulator:
    """A process, with a QMP socket unless qmp=False."""

    count = 0

    def __init__(self, binary, scratch, *args, qmp=True, pass_fds=()):
        Emulator.count += 1
        self.binary, self.path = binary, os.path.join(scratch, f'qmp-{os.getpid()}-{Emulator.count}.sock')
        argv = [binary, '-display', 'none', '-nodefaults', *args]
        if qmp:
            argv += ['-qmp', f'unix:{self.path},server=on,wait=off']
        self.log = self.path + '.log'  # not a pipe: nobody would read it meanwhile
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, pass_fds=pass_fds, cwd=scratch,
                                            env=environment(args))

    def output(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()

    def connect(self, path=None, negotiate=True):
        try:
            return connect(path or self.path, self.binary, lambda: self.process.poll() is None, negotiate)
        except OSError:
            self.process.kill()
            raise RuntimeError(f'no QMP socket: {self.output()}') from None

    def rss(self):
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as f:
            return int(f.read().split()[1]) * 4096

    def wait(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.remove(self.log)


def guest(path, code):
    """A Multiboot kernel that runs `code` in 32-bit protected mode, interrupts off."""
    base, offset = 0x100000, 0x1000
    text = struct.pack('<III', 0x1badb002, 0, (-0x1badb002) & 0xffffffff) + code
    header = b'\x7fELF\x01\x01\x01' + bytes(9) + struct.pack('<HHIIIIIHHHHHH', 2, 3, 1, base + 12, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack('<IIIIIIII', 1, offset, base, base, len(text), len(text), 7, 4096)
    with open(path, 'wb') as f:
        f.write((header + segment).ljust(offset, b'\0') + text)
    return path


HALT = b'\xf4\xeb\xfd'
SPIN = b'\xeb\xfe'


def out_byte(port, value):
    return b'\x66\xba' + struct.pack('<H', port) + b'\xb0' + bytes([value]) + b'\xee'


def fails(c, command, arguments=None, cls='GenericError', text=''):
    try:
        value = c.run(command, arguments)
    except QmpError as e:
        assert e.cls == cls, f'{command}: class {e.cls} ({e.desc}), expected {cls}'
        assert text in e.desc, f'{command}: {e.desc!r} lacks {text!r}'
        return e.desc
    raise AssertionError(f'{command}: expected an error, got {value}')


def main(wanted, last=()):
    """Run the tests, or those that are named; then, if all were run, the last ones."""
    code = tap.run([t for t in tap.TESTS if not wanted or t.__name__ in wanted] + ([] if wanted else list(last)), name=lambda t: t.__name__)
    tap.comment(f'{Schema.messages} messages held against the schema')
    return code
