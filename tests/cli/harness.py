# tests/cli/harness.py: running the emulator and its subcommands from tests.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..'), os.path.join(HERE, '../qmp')]
import tap  # noqa: E402
from client import PATIENCE, Emulator, environment  # noqa: E402, F401
from tap import Skip, need_address_space, test  # noqa: E402, F401: for those who import this

RHEA = os.path.abspath(sys.argv[1])
SCRATCH = tempfile.mkdtemp(prefix='rhea-doors-')


def scratch(name, content=b''):
    path = os.path.join(SCRATCH, name)
    with open(path, 'wb') as f:
        f.write(content)
    return path


def multiboot_kernel(code):
    """A multiboot kernel: header with addresses, then the code."""
    load = 0x100000
    header = [0x1badb002, 0x10000, -(0x1badb002 + 0x10000) & 0xffffffff, load, load, load + 4096, load + 4096, load + 32]
    return (b''.join(v.to_bytes(4, 'little') for v in header) + code).ljust(4096, b'\0')


def with_bytes(size, *places):
    b = bytearray(size)
    for offset, text in places:
        b[offset:offset + len(text)] = text
    return bytes(b)


HALT = scratch('halt.bin', multiboot_kernel(b'\xfa\xf4\xeb\xfd'))  # cli; hlt; jmp
BZIMAGE = with_bytes(4096, (0x1fe, b'\x55\xaa'), (0x202, b'HdrS'))


def rhea(*args, stdin=b'', code=0):
    """Its stdout and stderr."""
    p = subprocess.run([RHEA, *args], input=stdin, capture_output=True, timeout=PATIENCE, check=False)
    out, err = p.stdout.decode(errors='replace'), p.stderr.decode(errors='replace')
    assert p.returncode == code, f'{args}: exit code {p.returncode}, not {code}\n{out}\n{err}'
    return out, err


def fails(*args, texts, stdin=b''):
    _, err = rhea(*args, stdin=stdin, code=1)
    for text in texts:
        assert text in err, f'{args}: {text!r} is not in {err!r}'


def listens(path):
    """A socket is there a moment before it takes connections."""
    with open('/proc/net/unix', encoding='utf-8', errors='replace') as f:
        return any(line.split()[3] == '00010000' and line.split()[-1] == path for line in f if path in line)


def wait_for_sockets(process, *paths):
    end = time.time() + PATIENCE
    while not all(listens(p) for p in paths):
        assert process.poll() is None, process.stdout.read().decode() if process.stdout else process.returncode
        assert time.time() < end, f'nobody listens on {paths}'
        time.sleep(0.01)


class Background(Emulator):
    """An emulator with a human monitor and a QMP socket."""

    def __init__(self, *args):
        self.hmp = os.path.join(SCRATCH, f'hmp-{Emulator.count}')
        super().__init__(RHEA, SCRATCH, *args, '-monitor', f'unix:{self.hmp},server=on,wait=off')
        self.p, self.qmp = self.process, self.path
        wait_for_sockets(self.p, self.hmp, self.qmp)


class Terminal:
    def __init__(self, *args):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.p = subprocess.Popen([RHEA, *args], stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
                                  preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # nohup's is inherited
        self.text = ''

    def wait_for(self, text):
        """Text up to and with it; it is forgotten then."""
        end = time.time() + PATIENCE
        while text not in self.text:
            assert time.time() < end, f'{text!r} does not come; there is {self.text!r}'
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536).decode(errors='replace')
            elif self.p.poll() is not None:
                raise AssertionError(f'it ended without {text!r}: {self.text!r}')
        before, self.text = self.text.split(text, 1)
        return before + text

    def wait_until_raw(self):
        end = time.time() + PATIENCE
        while termios.tcgetattr(self.slave)[3] & termios.ICANON:
            assert time.time() < end and self.p.poll() is None, 'the terminal does not become raw'
            time.sleep(0.01)

    def type(self, keys):
        os.write(self.master, keys)

    def finish(self, *codes):
        """Keep reading, so that nobody waits for us. The exit code is one of these."""
        end = time.time() + PATIENCE
        while self.p.poll() is None:
            assert time.time() < end, f'still running; {self.text!r}'
            if select.select([self.master], [], [], 0.05)[0]:
                self.text += os.read(self.master, 65536).decode(errors='replace')
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536).decode(errors='replace')
        after = termios.tcgetattr(self.slave)
        os.close(self.master)
        os.close(self.slave)
        assert self.p.returncode in codes, f'exit code {self.p.returncode}, not {codes}: {self.text!r}'
        assert after == self.before, 'the terminal did not get its settings back'


def main():
    code = tap.run(tap.TESTS)
    shutil.rmtree(SCRATCH)
    sys.exit(code)
