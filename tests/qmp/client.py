# tests/qmp/client.py: an emulator under test and QMP connections to it.
# SPDX-License-Identifier: GPL-2.0-or-later
import array
import json
import os
import signal
import socket
import struct
import subprocess
import time

PATIENCE = 20


class QmpError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.cls, self.desc = error['class'], error['desc']


class Connection:
    """One client. Messages are lines; events are kept aside. `seen` gets (command or None, message) of each message."""

    def __init__(self, sock, seen=None):
        self.sock, self.buffer, self.events, self.seen = sock, b'', [], seen
        self.sock.settimeout(PATIENCE)
        self.greeting = self.message()

    def line(self):
        while b'\n' not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError('the emulator closed the connection')
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line

    def message(self):
        return json.loads(self.line())

    def raw(self, data):
        self.sock.sendall(data)

    def reply(self, command=None):
        """The next message that is no event."""
        while True:
            m = self.message()
            if 'event' not in m:
                if self.seen is not None and command:
                    self.seen.append((command, m))
                return m
            self.events.append(m)
            if self.seen is not None:
                self.seen.append((None, m))

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
            if self.seen is not None:
                self.seen.append((None, m))

    def negotiate(self):
        self.run('qmp_capabilities')
        return self

    def close(self):
        self.sock.close()


class Emulator:
    """A process, with a QMP socket unless qmp=False."""

    count = 0

    def __init__(self, binary, scratch, *args, qmp=True, pass_fds=(), seen=None):
        Emulator.count += 1
        self.path = os.path.join(scratch, f'qmp-{os.getpid()}-{Emulator.count}.sock')
        self.seen = seen
        argv = [binary, '-display', 'none', '-nodefaults', *args]
        if qmp:
            argv += ['-qmp', f'unix:{self.path},server=on,wait=off']
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=pass_fds,
                                        cwd=scratch)

    def connect(self, path=None, negotiate=True):
        deadline = time.time() + PATIENCE
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path or self.path)
                break
            except OSError:
                s.close()
                if self.process.poll() is not None or time.time() > deadline:
                    raise RuntimeError(f'no QMP socket: {self.process.stdout.read().decode(errors="replace")}') from None
                time.sleep(0.01)
        c = Connection(s, self.seen)
        return c.negotiate() if negotiate else c

    def rss(self):
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as f:
            return int(f.read().split()[1]) * 4096

    def wait(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        self.output = self.process.stdout.read().decode(errors='replace')
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if not self.process.stdout.closed:
            self.process.stdout.close()


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
