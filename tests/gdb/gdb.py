#!/usr/bin/env python3
# tests/gdb/gdb.py: the debugger stub against a live guest. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb.py --emulator RHEA --program guest.elf [--guests DIR] [NAME...]: runs the tests whose names contain one of NAME.

A client of the remote serial protocol written here drives the program; one test drives a Debian kernel
when there is one, and one runs gdb itself when it is installed."""
import argparse
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import tap  # noqa: E402
from tap import Skip  # noqa: E402

TIMEOUT = 20


def expect(got, want, what='value'):
    if got != want:
        raise AssertionError(f'{what}: got {got!r}, want {want!r}')


# ---- symbols of an ELF file ----
def elf_symbols(path):
    b = open(path, 'rb').read()
    off, = struct.unpack_from('<Q', b, 0x28)
    size, count, _ = struct.unpack_from('<HHH', b, 0x3a)
    sections = [struct.unpack_from('<IIQQQQIIQQ', b, off + i * size) for i in range(count)]
    found = {}
    for s in sections:
        if s[1] != 2:  # SHT_SYMTAB
            continue
        strings = b[sections[s[6]][4]:]
        for at in range(s[4], s[4] + s[5], 24):
            name, _, _, _, value, _ = struct.unpack_from('<IBBHQQ', b, at)
            found[strings[name:strings.index(b'\0', name)].decode()] = value
    return found


# ---- the protocol ----
class Client:
    emulated = False  # a KVM in software: no watchpoints, INT3 only in protected mode, REP as one instruction

    def __init__(self, path, features='multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386'):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        for left in range(100, -1, -1):
            try:
                self.sock.connect(path)
                break
            except ConnectionRefusedError:  # the socket exists a moment before it listens
                if not left:
                    raise
                time.sleep(0.01)
        self.buf = b''
        self.ack = True
        if features is not None:
            self.supported = self.ask('qSupported:' + features)

    def close(self):
        self.sock.close()

    def byte(self):
        while not self.buf:
            self.buf = self.sock.recv(65536)
            if not self.buf:
                raise EOFError('the stub closed the connection')
        c, self.buf = self.buf[:1], self.buf[1:]
        return c

    @staticmethod
    def frame(data):
        out = b''
        for c in data:
            out += bytes([0x7d, c ^ 0x20]) if c in b'$#}*' else bytes([c])
        return b'$' + out + b'#%02x' % (sum(out) & 255)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode('latin1')
        self.sock.sendall(self.frame(data))
        if self.ack:
            expect(self.byte(), b'+', 'acknowledgement')

    def receive(self):
        c = self.byte()
        expect(c, b'$', 'start of a packet')
        raw = b''
        while (c := self.byte()) != b'#':
            raw += c
        want = int(self.byte() + self.byte(), 16)
        expect(sum(raw) & 255, want, 'checksum')
        if self.ack:
            try:
                self.sock.sendall(b'+')
            except BrokenPipeError:
                pass  # these were its last words
        out, i = b'', 0
        while i < len(raw):
            if raw[i] == 0x7d:
                i += 1
                out += bytes([raw[i] ^ 0x20])
            else:
                out += raw[i:i + 1]
            i += 1
        return out.decode('latin1')

    def ask(self, data):
        self.send(data)
        return self.receive()

    def ok(self, data):
        expect(self.ask(data), 'OK', f'reply to {data!r}')

    # registers by name, as the description numbers them
    def describe(self):
        self.regs = {}
        names = re.findall(r'href="([^"]+)"', self.document('target.xml'))
        for name in names:
            for reg in ElementTree.fromstring(self.document(name)).iter('reg'):
                self.regs[reg.get('name')] = (len(self.regs), int(reg.get('bitsize')) // 8)
        return names

    def document(self, annex, piece=0x3fb):
        text = ''
        while True:
            r = self.ask(f'qXfer:features:read:{annex}:{len(text):x},{piece:x}')
            text += r[1:]
            if r[0] == 'l':
                return text
            expect(r[0], 'm', 'reply to qXfer')

    def reg(self, name):
        n, size = self.regs[name]
        text = self.ask(f'p{n:x}')
        expect(len(text), 2 * size, f'length of {name}')
        return int.from_bytes(bytes.fromhex(text), 'little')

    def set_reg(self, name, value):
        n, size = self.regs[name]
        return self.ask(f'P{n:x}={value.to_bytes(size, "little").hex()}')

    def mem(self, addr, n):
        r = self.ask(f'm{addr:x},{n:x}')
        if len(r) == 3 and r[0] == 'E':
            raise OSError(r)
        return bytes.fromhex(r)

    def u64(self, addr):
        return int.from_bytes(self.mem(addr, 8), 'little')

    def go(self, how='vCont;c'):
        """Resume; the stop reply as (signal, {reason: value})."""
        self.send(how)
        return self.stop()

    def stop(self):
        r = self.receive()
        expect(r[0], 'T', f'stop reply {r!r}')
        items = dict(i.split(':', 1) for i in r[3:].rstrip(';').split(';'))
        return int(r[1:3], 16), items

    def interrupt(self):
        self.sock.sendall(b'\x03')
        return self.stop()


class Machine:
    def __init__(self, options, *extra, stopped=True):
        self.dir = tempfile.mkdtemp(prefix='rhea-gdb-')
        self.gdb = os.path.join(self.dir, 'gdb')
        self.serial = os.path.join(self.dir, 'serial')
        argv = options.emulator.split() + ['-M', 'pc', '-accel', options.accel, '-cpu', options.cpu, '-nodefaults', '-display', 'none',
                                           '-gdb', f'unix:{self.gdb},server=on,wait=off', '-serial', f'file:{self.serial}']
        argv += ['-S'] if stopped else []
        self.p = subprocess.Popen(argv + list(extra), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.clients = []
        end = time.time() + TIMEOUT
        while not os.path.exists(self.gdb):
            if self.p.poll() is not None or time.time() > end:
                raise AssertionError('emulator does not start: ' + self.p.stdout.read().decode())
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for c in self.clients:
            c.close()
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()
        shutil.rmtree(self.dir)

    def client(self, **kw):
        c = Client(self.gdb, **kw)
        self.clients.append(c)
        c.describe()
        return c


def program(o, *extra, **kw):
    return Machine(o, '-m', '32', '-kernel', o.program, *extra, **kw)


def to(c, addr, kind=0):
    """Run to a breakpoint at addr."""
    c.ok(f'Z{kind},{addr:x},1')
    sig, items = c.go()
    expect(sig, 5, 'signal')
    expect(c.reg('rip'), addr, 'rip')
    c.ok(f'z{kind},{addr:x},1')
    return items


def need_watchpoints():
    if Client.emulated:
        raise Skip('the host\'s KVM does not stop at watchpoints')


# ---- tests ----
def test_handshake(o, s):
    """handshake: features, unknown packets, threads, description"""
    with program(o) as m:
        c = m.client()
        for f in ('PacketSize=', 'qXfer:features:read+', 'vContSupported+', 'multiprocess+', 'QStartNoAckMode+'):
            assert f in c.supported, c.supported
        expect(c.ask('vMustReplyEmpty'), '')
        expect(c.ask('qTStatus'), '')
        expect(c.ask('qNoSuchThing:1'), '')
        expect(c.ask('vCont?'), 'vCont;c;C;s;S')
        expect(c.ask('?'), 'T05thread:p1.1;')
        expect(c.ask('qfThreadInfo'), 'mp1.1')
        expect(c.ask('qsThreadInfo'), 'l')
        expect(c.ask('qAttached:1'), '1')
        expect(c.ask('qC'), 'QCp1.1')
        c.ok('Hgp0.0')
        c.ok('Hc-1')
        c.ok('Tp1.1')
        expect(c.ask('Tp1.2')[0], 'E')
        expect(bytes.fromhex(c.ask('qThreadExtraInfo,p1.1')), b'CPU#0 [running]')
        assert 'i386-64bit.xml' in c.describe()
        assert c.document('target.xml').find('<architecture>i386:x86-64</architecture>') > 0
        expect(c.document('target.xml', piece=7), c.document('target.xml'))
        expect(c.ask('qXfer:features:read:none.xml:0,fff'), 'E00')
        expect(list(c.regs)[:18], 'rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags'.split())
        names = 'st7 fop xmm15 mxcsr fs_base gs_base k_gs_base cr0 cr2 cr3 cr4 cr8 efer' + ('' if Client.emulated else ' ymm15h')
        for name in names.split():
            assert name in c.regs, name
        expect(len(c.ask('g')), 2 * sum(size for _, size in c.regs.values()))
        expect(c.ask(f'p{len(c.regs):x}')[0], 'E')


def test_framing(o, s):
    """framing: bad checksums, retransmission, escapes, noise, long packets, no-ack mode"""
    with program(o) as m:
        c = m.client()
        c.sock.sendall(b'$qC#00')
        expect(c.byte(), b'-', 'answer to a bad checksum')
        c.sock.sendall(b'$qC#zz')
        expect(c.byte(), b'-', 'answer to no checksum')
        first = c.ask('qC')
        c.sock.sendall(b'-')
        expect(c.receive(), first, 'retransmission')
        c.sock.sendall(b'noise++' + c.frame(b'qC'))
        expect(c.byte(), b'+')
        expect(c.receive(), first)
        c.sock.sendall(b'$half a pack' + c.frame(b'qC'))
        expect(c.byte(), b'+')
        expect(c.receive(), first)
        c.sock.sendall(b'$' + b'm' * 100000 + b'#00')
        expect(c.byte(), b'-', 'answer to a packet that is too long')
        # run-length encoding of what a client sends: 0 and 3 more
        body = b'm0* ,1'
        c.sock.sendall(b'$' + body + b'#%02x' % (sum(body) & 255))
        expect(c.byte(), b'+')
        expect(len(c.receive()), 2)
        every = bytes(range(256))
        c.ok(b'X%x,100:' % s['area'] + every)
        expect(c.mem(s['area'], 256), every)
        c.ok('X%x,0:' % s['area'])
        c.ok('QStartNoAckMode')
        c.ack = False
        expect(c.ask('qC'), first)
        c.sock.sendall(b'$qC#00' + c.frame(b'qC'))
        expect(c.receive(), first, 'the packet after a bad one')


def test_bad_packets(o, s):
    """bad packets: errors, not crashes"""
    with program(o) as m:
        c = m.client()
        for p in ('p', 'pzz', 'pffffffffffffffff', 'P0', 'P0=', 'P0=12', 'P10=zz', 'G12', 'm', 'm0', 'm,', 'mzz,1', 'M0,4:12', 'M0,1:zz',
                  'X0,4:a', 'Z0', 'Z0,', 'Z0,zz,1', 'z0,123,1', 'z2,1,1', 'H', 'Hg', 'Hgzz', 'Hgp2.1', 'Hgp1.9', 'Hx1', 'T', 'vCont;x',
                  'vCont;c:p1.7', 'vCont;s:', 'qThreadExtraInfo,', 'qXfer:features:read:target.xml:zz', 'qXfer:features:read:',
                  'qXfer:features:read:target.xml:ffffff,1', 'Qqemu.sstep:ff', 'Qqemu.PhyMemMode:2', 'qRcmd,1', 'D;9',
                  'Z2,fffffffffffffffe,8'):
            expect(c.ask(p)[:1], 'E', f'reply to {p}')
        for p in ('', 'Z9,0,1', 'x', 'vNothing', 'qSupporte', 'qCRC:0,1'):
            expect(c.ask(p), '', f'reply to {p!r}')
        expect(c.ask('?'), 'T05thread:p1.1;')


def test_breakpoints(o, s):
    """breakpoints: software and hardware, hit each time, gone when removed, go on from one"""
    with program(o) as m:
        c = m.client()
        expect(to(c, s['leaf']).get('swbreak'), '')
        expect(c.reg('rdi'), 3)
        before = c.u64(s['counter'])
        expect(to(c, s['stores'], kind=1).get('hwbreak'), '')
        expect(c.u64(s['counter']), before + 3, 'counter after the call')
        # left in place, it is hit once a round, and gone on from without being lifted
        c.ok(f'Z0,{s["leaf"]:x},1')
        c.ok(f'Z1,{s["loads"]:x},1')
        for i in range(20):
            sig, items = c.go('c')
            expect((sig, c.reg('rip')), (5, s['loads']))
            sig, items = c.go()
            expect((sig, c.reg('rip')), (5, s['leaf']))
            expect(c.u64(s['counter']), before + 3 + 3 * i, 'counter')
        c.ok(f'z0,{s["leaf"]:x},1')
        c.ok(f'z1,{s["loads"]:x},1')
        end = time.time() + TIMEOUT
        while c.u64(s['rounds']) < 1000:
            assert time.time() < end, 'the guest does not run on'
            c.send('vCont;c')
            time.sleep(0.2)
            sig, _ = c.interrupt()
            expect(sig, 2, 'signal of the interrupt')
        # amid a block that was translated and is hot
        expect(to(c, s['rmw_add'])['thread'], 'p1.1')
        expect(to(c, s['rmw_add'])['thread'], 'p1.1')


def test_steps(o, s):
    """single step: calls, returns, repeated instructions, halt; pc written"""
    with program(o) as m:
        c = m.client()
        to(c, s['leaf'])
        seen = [s['leaf']]
        for _ in range(200):
            expect(c.go('vCont;s:p1.1')[0], 5)
            seen.append(c.reg('rip'))
        for name in ('stores', 'loads', 'fill'):
            assert s[name] in seen, f'{name} was not stepped into'
        assert len(set(seen)) > 25, len(set(seen))
        # one iteration of REP at a time
        to(c, s['loads'])
        to(c, s['fill_stos'])
        for left in () if Client.emulated else (255, 254, 253):
            expect(c.go('s')[0], 5)
            expect((c.reg('rip'), c.reg('rcx')), (s['fill_stos'], left))
        c.set_reg('rcx', 1)
        c.go('s')
        if Client.emulated and c.reg('rip') == s['fill_stos']:
            c.go('s')
        expect((c.reg('rip'), c.reg('rcx')), (s['fill_end'], 0))
        # over a breakpoint that stands at the PC
        c.ok(f'Z0,{s["fill_end"]:x},1')
        c.go('s')
        assert c.reg('rip') != s['fill_end']
        c.ok(f'z0,{s["fill_end"]:x},1')
        # a step with an address
        c.go(f's{s["leaf"]:x}')
        assert 0 < c.reg('rip') - s['leaf'] < 16
        # HLT with interrupts off
        to(c, s['stores'])
        c.ok(f'M{s["halts"]:x},1:01')
        to(c, s['halt'])
        c.go('s')
        expect(c.reg('rip'), s['halt_next'])
        expect(bytes.fromhex(c.ask('qThreadExtraInfo,p1.1')), b'CPU#0 [halted ]')
        c.go('s')
        assert c.reg('rip') != s['halt_next']
        to(c, s['leaf'])


def test_step_refused_jump(o, s):
    """single step of a return to a non-canonical address: the fault's handler, never that address"""
    if Client.emulated:
        raise Skip('the host\'s KVM has no processor below it that could fault')
    code, idt, handler, stack, bad = 0x300000, 0x301000, 0x302000, 0x304000, 0x7123456789abcdef
    with program(o) as m:
        c = m.client()
        to(c, s['leaf'])

        def put(addr, data):
            c.ok(f'M{addr:x},{len(data):x}:{data.hex()}')
        put(code, bytes.fromhex('0f 01 18 50 c3'))  # lidt [rax]; push rax; ret
        put(idt, struct.pack('<HQ', 14 * 16 - 1, idt + 16))
        put(idt + 16 + 13 * 16, struct.pack('<HHBBHQ', handler & 0xffff, c.reg('cs'), 0, 0x8e, handler >> 16, 0))
        put(handler, b'\xeb\xfe')
        for name, value in (('rax', idt), ('rsp', stack), ('rip', code)):
            c.set_reg(name, value)
        c.go('s')
        c.set_reg('rax', bad)
        c.go('s')
        expect((c.reg('rip'), c.u64(c.reg('rsp'))), (code + 4, bad))
        c.go('s')
        expect(c.reg('rip'), handler)
        expect(c.u64(c.reg('rsp') + 8), code + 4, 'the saved rip')


def test_sstep_bits(o, s):
    """qemu.sstep: bits and their default"""
    with program(o) as m:
        c = m.client()
        expect(c.ask('qqemu.sstepbits'), 'ENABLE=1,NOIRQ=2,NOTIMER=4')
        expect(c.ask('qqemu.sstep'), '0x7')
        c.ok('Qqemu.sstep:1')
        expect(c.ask('qqemu.sstep'), '0x1')
        to(c, s['leaf'])
        c.go('vCont;s:p1.1')
        assert 0 < c.reg('rip') - s['leaf'] < 16
        c.ok('Qqemu.sstep=5')
        c.go('vCont;s:p1.1')


def test_watchpoints(o, s):
    """watchpoints: write, read, access; after the instruction; neighbours do not hit; all kinds of instructions"""
    need_watchpoints()
    with program(o) as m:
        c = m.client()
        to(c, s['leaf'])
        w = s['watched']
        c.ok(f'Z2,{w:x},8')
        for _ in range(5):
            sig, items = c.go()
            expect((sig, int(items['watch'], 16)), (5, w))
            expect(c.u64(w), c.u64(s['rounds']) + 1000, 'value stored')
            assert s['stores'] < c.reg('rip') < s['loads'], hex(c.reg('rip'))
        expect(c.u64(s['neighbour']), c.u64(s['rounds']), 'the store after it was not done')
        c.ok(f'z2,{w:x},8')
        c.ok(f'Z3,{w:x},8')
        sig, items = c.go()
        expect((sig, int(items['rwatch'], 16)), (5, w))
        assert c.reg('rip') > s['loads']
        c.ok(f'z3,{w:x},8')
        c.ok(f'Z4,{w + 2:x},1')
        kinds = [c.go()[1]['awatch'] for _ in range(4)]
        expect([int(k, 16) for k in kinds], [w + 2] * 4)
        c.ok(f'z4,{w + 2:x},1')
        # string stores: after the iteration that hits
        c.ok(f'Z2,{s["area"] + 100:x},2')
        for left in (155, 154, 155):
            sig, items = c.go()
            expect((int(items['watch'], 16), c.reg('rip'), c.reg('rcx')), (s['area'] + 255 - left, s['fill_stos'], left))
        c.ok(f'z2,{s["area"] + 100:x},2')
        # an atomic, a read-modify-write, a vector
        cell = s['cell']
        c.ok(f'Z2,{cell:x},8')
        c.ok(f'Z2,{cell + 20:x},4')
        before = c.u64(cell)
        for label, value, where in (('rmw_add', 1, cell), ('rmw_load', 3, cell), ('rmw_end', 3, cell + 20)) * 2:
            sig, items = c.go()
            expect((c.reg('rip'), int(items['watch'], 16)), (s[label], where))
            if label == 'rmw_add' and value == 1:
                base = c.u64(cell) - 1
            expect(c.u64(cell), base + value)
        c.ok(f'z2,{cell:x},8')
        c.ok(f'z2,{cell + 20:x},4')
        c.ok(f'Z3,{cell:x},1')
        expect(c.reg('rip') and [c.go() and c.reg('rip') for _ in range(3)], [s['rmw_add'], s['rmw_load'], s['rmw_vector']])
        c.ok(f'z3,{cell:x},1')
        # while stepping
        c.ok(f'Z2,{w:x},8')
        for _ in range(400):
            sig, items = c.go('vCont;s:p1.1')
            if 'watch' in items:
                break
        assert 'watch' in items, 'no hit while stepping'
        expect(c.u64(w), c.u64(s['rounds']) + 1000)
        c.ok(f'z2,{w:x},8')
        before = c.u64(s['rounds'])
        end = time.time() + TIMEOUT
        while c.u64(s['rounds']) <= before + 1000:
            assert time.time() < end, 'the guest does not run on'
            c.send('c')
            time.sleep(0.1)
            c.interrupt()


def test_registers(o, s):
    """registers: general, x87, SSE, AVX, system; one and all; refusals"""
    with program(o) as m:
        c = m.client()
        to(c, s['leaf'])
        expect(c.reg('cs'), 8)
        expect(c.reg('cr0'), 0x80010033)
        expect(c.reg('cr3'), s['pml4'])
        expect(c.reg('cr4'), 0x6a0)
        expect(c.reg('efer'), 0x500)
        values = {'rax': 0x1122334455667788, 'r15': 2**64 - 1, 'st0': 0x4000c000000000000000, 'st5': 0x3fff8000000000000000,
                  'xmm0': 0x0102030405060708090a0b0c0d0e0f10, 'xmm15': 2**127 + 5, 'fs_base': 0x12345000,
                  'gs_base': 0x7fff00001000, 'k_gs_base': 0xffff888000000000, 'cr2': 0x1234, 'mxcsr': 0x1fbf, 'fctrl': 0x27f, 'cr8': 5}
        values.update({} if Client.emulated else {'ymm3h': 2**100 + 3})
        for name, value in values.items():
            expect(c.set_reg(name, value), 'OK', f'write of {name}')
        for name, value in values.items():
            expect(c.reg(name), value, name)
        whole = c.ask('g')
        c.ok('G' + whole)
        expect(c.ask('g'), whole)
        at = 2 * sum(size for n, size in list(c.regs.values())[:c.regs['rbx'][0]])
        c.ok('G' + whole[:at] + '21' + '00' * 7 + whole[at + 16:])
        expect(c.reg('rbx'), 0x21)
        expect(c.reg('rax'), values['rax'])
        flags = c.reg('eflags')
        c.set_reg('eflags', flags ^ 0x8d5)
        expect(c.reg('eflags'), flags ^ 0x8d5)
        c.set_reg('eflags', flags)
        for name, value in (('cr0', 0x33), ('efer', 0), ('cs', 16), ('mxcsr', 2**31), ('cr3', 2**60)):
            expect(c.set_reg(name, value)[0], 'E', f'refusal of {name}={value:#x}')
        expect(c.reg('efer'), 0x500)
        # what is written is what the guest has
        c.set_reg('mxcsr', 0x1f80)
        c.set_reg('rdi', 0x1000)
        before = c.u64(s['counter'])
        ret = c.u64(c.reg('rsp'))
        to(c, ret)
        expect(c.u64(s['counter']), before + 0x1000)
        expect(c.reg('rax'), 2 * (before + 0x1000))
        to(c, s['rmw_end'])
        expect(c.mem(s['cell'] + 16, 16), values['xmm0'].to_bytes(16, 'little'))


def test_memory(o, s):
    """memory: virtual and physical, partly mapped, code is changed in place, ROM"""
    with program(o) as m:
        c = m.client()
        to(c, s['leaf'])
        high = 0xffff800000000000
        c.ok(f'M{s["area"]:x},4:deadbeef')
        expect(c.mem(high + s['area'], 4), bytes.fromhex('deadbeef'))
        for bad in (0x5000000000, 2**63, high + 0x8000000000):
            expect(c.ask(f'm{bad:x},4'), 'E14')
            expect(c.ask(f'M{bad:x},1:00'), 'E14')
        expect(len(c.mem(0x1fffff0, 0x20)), 0x10, 'bytes up to where memory ends')
        expect(c.ask('qqemu.PhyMemMode'), '0')
        c.ok('Qqemu.PhyMemMode:1')
        expect(c.ask('qqemu.PhyMemMode'), '1')
        expect(c.mem(s['area'], 4), bytes.fromhex('deadbeef'))
        expect(c.ask(f'm{high + s["area"]:x},4'), 'E14')
        c.ok(f'M{s["area"]:x},2:0102')
        c.ok('Qqemu.PhyMemMode:0')
        expect(c.mem(high + s['area'], 4), bytes.fromhex('0102beef'))
        # code that has run: leaf returns at once
        old = c.mem(s['leaf'], 1)
        c.ok(f'M{s["leaf"]:x},1:c3')
        before = c.u64(s['counter'])
        to(c, s['stores'])
        to(c, s['stores'])
        expect(c.u64(s['counter']), before)
        c.ok(f'M{s["leaf"]:x},1:{old.hex()}')
        to(c, s['stores'])
        expect(c.u64(s['counter']), before + 3)
        big = bytes((i * 7) & 255 for i in range(6000))
        c.ok(b'X%x,%x:' % (0x1800000, len(big)) + big)
        expect(c.mem(0x1800000, 6000), big)


def test_monitor(o, s):
    """qRcmd: the monitor's output"""
    with program(o) as m:
        c = m.client()

        def run(line):
            c.send('qRcmd,' + line.encode().hex())
            text = ''
            while (r := c.receive()) != 'OK':
                expect(r[0], 'O', f'reply {r!r}')
                text += bytes.fromhex(r[1:]).decode()
            return text
        assert 'VM status: paused' in run('info status')
        assert 'RIP=' in run('info registers')
        assert 'unknown command' in run('nothing of the kind')
        assert 'cut off' in run('gdbserver none')
        assert len(run('info mtree')) > 1000
        expect(c.ask('qC'), 'QCp1.1')


def alone_past(m, c, s, rounds, go):
    """A new client that finds the guest beyond so many rounds, after `go` set it going and c went."""
    end = time.time() + TIMEOUT
    while True:
        go(c)
        time.sleep(0.1)
        c.close()
        c = m.client()
        if c.u64(s['rounds']) > rounds:
            return c
        assert time.time() < end, 'the guest did not run on'


def test_detach(o, s):
    """detach and attach again: the machine runs on without breakpoints"""
    with program(o) as m:
        c = m.client()
        to(c, s['leaf'])
        c.ok(f'Z0,{s["leaf"]:x},1')
        if not Client.emulated:
            c.ok(f'Z2,{s["watched"]:x},8')
        at = c.u64(s['rounds'])
        c = alone_past(m, c, s, at + 100, lambda c: c.ok('D;1'))
        expect(c.ask('?'), 'T05thread:p1.1;')
        now = c.u64(s['rounds'])
        # a connection that breaks: stays stopped, and forgets
        c.ok(f'Z0,{s["leaf"]:x},1')
        c.close()
        time.sleep(0.1)
        c = m.client()
        expect(c.u64(s['rounds']), now, 'rounds while nobody was there')
        to(c, s['stores'])
        to(c, s['stores'])
        # and while it runs with breakpoints to be hit
        c.ok(f'Z1,{s["stores"]:x},1')
        c.ok(f'z1,{s["stores"]:x},1')
        if not Client.emulated:
            c.ok(f'Z2,{s["watched"]:x},8')
            c.ok(f'z2,{s["watched"]:x},8')
        alone_past(m, c, s, now + 100, lambda c: c.send('c'))


def test_without_features(o, s):
    """a client that says nothing about features: plain thread ids"""
    with program(o, '-smp', '2') as m:
        c = m.client(features=None)
        expect(c.ask('?'), 'T05thread:1;')
        expect(c.ask('qfThreadInfo'), 'm1,2')
        c.ok('Hg2')
        expect(c.ask('qC'), 'QC2')
        c.ok('Hg1')
        c.ok(f'Z0,{s["leaf"]:x},1')
        c.send('vCont;c')
        expect(c.receive(), 'T05thread:1;')


def test_threads(o, s):
    """threads: two CPUs, one in real mode; each stepped alone; breakpoints and watchpoints of either"""
    with program(o, '-smp', '2') as m:
        c = m.client()
        expect(c.ask('qfThreadInfo'), 'mp1.1,p1.2')
        expect(bytes.fromhex(c.ask('qThreadExtraInfo,p1.2')), b'CPU#1 [halted ]')
        # stepping one that waits to be started: nothing happens, at once
        expect(c.go('vCont;s:p1.2')[1]['thread'], 'p1.2')
        c.ok('Hgp1.1')
        to(c, s['leaf'])
        ap_leaf = 0x10000 + s['ap_leaf'] - s['ap_begin']
        count = 0x10000 + s['ap_counter'] - s['ap_begin']
        kind = 1 if Client.emulated else 0
        c.ok(f'Z{kind},{ap_leaf:x},1')
        hits = [c.go()[1] for _ in range(10)]
        expect({h['thread'] for h in hits}, {'p1.2'})
        expect(c.ask('qC'), 'QCp1.2')
        expect(c.reg('cs'), 0x1000)
        expect(c.reg('rip'), ap_leaf - 0x10000)
        expect(c.reg('cr0') & 1, 0)
        c.ok(f'z{kind},{ap_leaf:x},1')
        # the other one stands still meanwhile
        rounds, n = c.u64(s['rounds']), c.u64(count)
        for _ in range(9):
            expect(c.go('vCont;s:p1.2'), (5, {'thread': 'p1.2'}))
        expect(c.u64(s['rounds']), rounds)
        assert n + 2 <= c.u64(count) <= n + 4, (n, c.u64(count))
        n = c.u64(count)
        c.ok('Hgp1.1')
        at = c.reg('rip')
        expect(c.go('vCont;s:p1.1'), (5, {'thread': 'p1.1'}))
        assert c.reg('rip') != at
        expect(c.u64(count), n)
        # or runs on
        expect(c.go('vCont;s:p1.1;c:p1.-1')[0], 5)
        if Client.emulated:
            return
        # both run; a watchpoint of the second one
        c.ok(f'Z2,{count:x},4')
        for _ in range(5):
            n = c.u64(count) & 0xffffffff
            sig, items = c.go()
            expect(items['thread'], 'p1.2')
            expect(c.u64(count) & 0xffffffff, n + 1)
        c.ok(f'z2,{count:x},4')
        # both hit at the same time: none is lost
        c.ok(f'Z2,{count:x},4')
        c.ok(f'Z2,{s["watched"]:x},8')
        n, w = c.u64(count) & 0xffffffff, 0
        seen = {'p1.1': 0, 'p1.2': 0}
        first = c.u64(s['rounds'])
        for _ in range(60):
            seen[c.go()[1]['thread']] += 1
        assert seen['p1.1'] and seen['p1.2'], seen
        assert abs((c.u64(count) & 0xffffffff) - n - seen['p1.2']) <= 1, (seen, c.u64(count) - n)
        assert abs(c.u64(s['rounds']) - first - seen['p1.1']) <= 1, (seen, c.u64(s['rounds']) - first)
        c.ok(f'z2,{count:x},4')
        c.ok(f'z2,{s["watched"]:x},8')
        c.send('vCont;c')
        time.sleep(0.1)
        expect(c.interrupt()[0], 2)


def test_mode32(o, s):
    """32-bit code without paging: breakpoints, steps, watchpoints, memory"""
    with program(o) as m:
        c = m.client()
        for i in range(3):
            to(c, s['leaf32'])
            expect(int.from_bytes(c.mem(s['counter32'], 4), 'little'), i)
        expect(c.reg('cr0') & 0x80000001, 1)
        c.go('s')
        expect(int.from_bytes(c.mem(s['counter32'], 4), 'little'), 3)
        if not Client.emulated:
            c.ok(f'Z2,{s["counter32"]:x},4')
            expect(int(c.go()[1]['watch'], 16), s['counter32'])
            c.ok(f'z2,{s["counter32"]:x},4')
        to(c, s['after32'])
        to(c, s['main'])
        expect(c.reg('cs'), 8)


def test_exit(o, s):
    """the end: W for the guest's or the user's, k ends the emulator"""
    with program(o) as m:
        c = m.client()
        m.p.terminate()
        expect(c.receive(), 'W00')
        expect(m.p.wait(TIMEOUT), 0)
    with program(o) as m:
        c = m.client()
        c.send('k')
        expect(m.p.wait(TIMEOUT), 0)
    with program(o) as m:
        c = m.client()
        expect(c.ask('vKill;1'), 'OK')
        expect(m.p.wait(TIMEOUT), 0)


def test_running(o, s):
    """a machine that runs is stopped by a connection, and again by the interrupt byte"""
    with program(o, stopped=False) as m:
        time.sleep(0.1)
        c = m.client()
        a = c.u64(s['rounds'])
        time.sleep(0.05)
        expect(c.u64(s['rounds']), a)
        for _ in range(20):
            c.send('vCont;c')
            expect(c.interrupt()[0], 2)


def kernel_options(o):
    kernel = next((k for k in (os.path.join(o.guests, n) for n in ('kernel-cloud', 'kernel')) if os.path.exists(k)), None)
    if not kernel:
        raise Skip('no Debian kernel (scripts/guests.sh)')
    return ['-m', '256', '-smp', '2', '-kernel', kernel, '-append', 'console=ttyS0 nokaslr earlyprintk=ttyS0 panic=-1', '-no-reboot']


def test_kernel(o, s):
    """a Debian kernel: stops anywhere, steps without landing in interrupts, watchpoint on its stack, two CPUs"""
    with Machine(o, *kernel_options(o), stopped=False) as m:
        end = time.time() + 60
        while b'smpboot: Total of 2 processors' not in open(m.serial, 'rb').read():
            if time.time() > end or m.p.poll() is not None:
                raise AssertionError('the kernel does not come up: ' + open(m.serial, 'rb').read().decode(errors='replace')[-500:])
            time.sleep(0.1)
        c = m.client()
        expect(c.ask('qfThreadInfo'), 'mp1.1,p1.2')
        assert c.reg('cr0') >> 31 and c.reg('efer') & 0x400
        for _ in range(30):
            c.send('vCont;c')
            time.sleep(0.01)
            expect(c.interrupt()[0], 2)
        for tid in ('p1.1', 'p1.2'):
            c.ok('Hg' + tid)
            for _ in range(100):
                expect(c.go(f'vCont;s:{tid}')[0], 5)
        c.ok('Hgp1.1')
        sp = c.reg('rsp') & ~7
        code = c.mem(c.reg('rip'), 8)
        expect(len(code), 8)
        c.ok(f'Z4,{sp - 64:x},40')
        sig, items = c.go()
        expect(sig, 5)
        assert sp - 64 <= int(items['awatch'], 16) < sp, items
        c.ok(f'z4,{sp - 64:x},40')
        c.ok('D;1')
        size = os.path.getsize(m.serial)
        end = time.time() + 60
        while os.path.getsize(m.serial) == size and m.p.poll() is None:
            assert time.time() < end, 'the kernel does not go on'
            time.sleep(0.1)


KERNEL_SCRIPT = '''
set pagination off
set confirm off
set architecture i386:x86-64
target remote {socket}
hbreak *{start_kernel}
continue
p/x $pc
stepi
stepi
stepi
info registers rip rsp cr0 cr3 cr4 efer gs_base
watch *(long *){jiffies}
continue
info threads
delete
break *{rest_init}
continue
break *{kernel_init}
continue
p/x $pc
delete
continue
'''


def kernel_symbols(o, options):
    """Addresses that the kernel itself tells: a first run of it, without messages that could come amid a line."""
    with Machine(o, *(w + ' quiet loglevel=0' if w.startswith('console=') else w for w in options), stopped=False) as m:
        m.p.wait(120)
        text = open(m.serial, errors='replace').read()
    found = {name: address for address, name in re.findall(r'^([0-9a-f]{16}) \w (\w+)\r?$', text, re.M)}
    missing = {'start_kernel', 'jiffies', 'rest_init', 'kernel_init'} - found.keys()
    assert not missing, f'the kernel does not tell {missing}:\n{text[-2000:]}'
    return found


def needs_gdb(o):
    gdb = shutil.which('gdb-multiarch') or shutil.which('gdb')
    if not gdb:
        raise Skip('neither gdb-multiarch nor gdb is installed')
    return gdb


def symbol_file(path, symbols):
    """An ELF executable of symbols alone: {name: (address, is a function)}."""
    names, table = b'\0', bytes(24)
    sections = [(b'', 0, 0, 0, 0, 0, 0, 0)]  # name, type, flags, address, size, link, info, entry size
    for name, (address, function) in symbols.items():
        sections.append((b'.' + name.encode(), 8, 6 if function else 3, address, 16, 0, 0, 0))  # NOBITS
        table += struct.pack('<IBBHQQ', len(names), 0x12 if function else 0x11, 0, len(sections) - 1, address, 8)
        names += name.encode() + b'\0'
    sections += [(b'.symtab', 2, 0, 0, len(table), len(sections) + 1, 1, 24), (b'.strtab', 3, 0, 0, len(names), 0, 0, 0)]
    headings = b''.join(n + b'\0' for n, *_ in sections) + b'.shstrtab\0'
    sections.append((b'.shstrtab', 3, 0, 0, len(headings), 0, 0, 0))
    body, rows = b'', b''
    for name, kind, flags, address, size, link, info, entry in sections:
        at = 64 + len(body)
        body += table if name == b'.symtab' else names if name == b'.strtab' else headings if name == b'.shstrtab' else b''
        rows += struct.pack('<IIQQQQIIQQ', headings.index(name + b'\0'), kind, flags, address, at, size, link, info, 1, entry)
    header = b'\x7fELF\2\1\1' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 2, 62, 1, symbols['start_kernel'][0], 0, 64 + len(body), 0, 64, 56, 0, 64,
                                                       len(sections), len(sections) - 1)
    with open(path, 'wb') as f:
        f.write(header + body + rows)


def test_documentation(o, s):
    """the session of docs/gdb.md as it stands there"""
    gdb = needs_gdb(o)
    if not o.initrd:
        raise Skip('no busybox for an initramfs (scripts/guests.sh)')
    text = open(o.docs, encoding='utf-8').read()
    session = next(b for b in re.findall(r'^```\n(.*?)^```', text, re.M | re.S) if '$ rhea ' in b)
    rhea, = re.findall(r'^\$ rhea (.*)', session, re.M)
    commands = re.findall(r'^\(gdb\) (.*)', session, re.M)
    assert len(commands) > 8 and rhea.endswith('-s -S'), session
    found = kernel_symbols(o, kernel_options(o) + ['-initrd', o.initrd])
    with tempfile.TemporaryDirectory() as scratch:
        vmlinux, script = os.path.join(scratch, 'vmlinux'), os.path.join(scratch, 'script')
        symbol_file(vmlinux, {n: (int(found[n], 16), n != 'jiffies') for n in ('start_kernel', 'jiffies')})
        with socket.socket() as probe:  # the port of the page may be taken here
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        kernel = kernel_options(o)[kernel_options(o).index('-kernel') + 1]
        argv = o.emulator.split() + rhea.replace('vmlinuz', kernel).replace('-s -S', f'-gdb tcp:127.0.0.1:{port} -S').split() + ['-accel', 'tcg']
        with open(script, 'w') as f:
            f.write('set pagination off\n' + ''.join(c.replace(':1234', f'127.0.0.1:{port}') + '\n' for c in commands))
        with open(os.path.join(scratch, 'console'), 'wb') as console, \
                subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=console, stderr=subprocess.STDOUT) as p:
            try:
                r = subprocess.run([gdb, '-nx', '-batch', '-ex', 'set tcp connect-timeout 30', '-x', script, vmlinux], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180)
            finally:
                p.kill()
        out = r.stdout.decode(errors='replace')
        for want in (r'Breakpoint 1, .*start_kernel', r'\nrip +0x' + found['start_kernel'][:8], r'cr3 .*\[ ', r'efer .*LMA', r'Hardware watchpoint 2',
                     r'New value = \d+', r'VM status: paused', r'detached'):
            if not re.search(want, out):
                raise AssertionError(f'{want!r} is missing from what gdb says:\n{out}')


def test_start_kernel(o, s):
    """gdb and a Debian kernel: start_kernel, steps, registers, a watchpoint, on to init and the end"""
    gdb = needs_gdb(o)
    if not o.initrd:
        raise Skip('no busybox for an initramfs (scripts/guests.sh)')
    options = kernel_options(o) + ['-initrd', o.initrd]
    found = kernel_symbols(o, options)
    with Machine(o, *options) as m:
        script = os.path.join(m.dir, 'script')
        with open(script, 'w') as f:
            f.write(KERNEL_SCRIPT.format(socket=m.gdb, **{k: '0x' + v for k, v in found.items()}))
        r = subprocess.run([gdb, '-nx', '-batch', '-x', script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=180)
        text = r.stdout.decode(errors='replace')
        for want in (r'\$1 = 0x' + found['start_kernel'], r'cr0 .*\[ .*PG.*\]', r'Hardware watchpoint 2', r'Old value = \d+\s+New value = \d+',
                     r'Thread 1\.2 \(CPU#1', r'\$2 = 0x' + found['kernel_init'], r'exited normally'):
            if not re.search(want, text):
                raise AssertionError(f'{want!r} is missing from what gdb says:\n{text}')
        expect(m.p.wait(TIMEOUT), 0, 'exit code')
        assert 'INIT-REACHED' in open(m.serial, errors='replace').read()


GDB_SCRIPT = '''
set pagination off
set confirm off
set tcp connect-timeout 10
target remote {socket}
info threads
break leaf
continue
info registers rip cr0 efer
bt
stepi
stepi
p/x $pc != (long)leaf
delete
watch watched
continue
p watched == rounds + 1000
continue
delete
hbreak loads
continue
bt
delete
rwatch watched
continue
delete
set var neighbour = 77
p neighbour
finish
p $xmm0
p $ymm0
maintenance packet Qqemu.PhyMemMode:1
maintenance packet Qqemu.PhyMemMode:0
monitor info status
p leaf(5)
thread 1
detach
target remote {socket}
tbreak leaf
continue
p rounds > 2
kill
'''


GDB_THREADS_SCRIPT = '''
set pagination off
set confirm off
set tcp connect-timeout 10
target remote {socket}
hbreak leaf
continue
info threads
set scheduler-locking on
thread 2
p/x $cs
p/x $cr0 & 1
stepi
thread 1
p $pc == (long)leaf
p/x $cs
p/x $cr0 & 1
set scheduler-locking off
restore {binary} binary 0x1800000
dump binary memory {dump} 0x1800000 0x1800400
maintenance packet Qqemu.PhyMemMode:1
p/x *(unsigned char *)0x1800004
x/4xb 0x10000
maintenance packet Qqemu.PhyMemMode:0
set var $xmm3.uint128 = 0x1234
p/x $xmm3.uint128
p/x $ymm3.v8_int32[0]
set var $rax = 0x77
p/x $rax
monitor print /x $rax
monitor info registers
detach
target remote {socket}
info breakpoints
continue
p $pc == (long)leaf
kill
'''


def test_gdb_threads(o, s):
    """gdb itself: two CPUs in different modes, registers of all kinds written, binary packets, attach with breakpoints"""
    gdb = needs_gdb(o)
    if Client.emulated:
        raise Skip('the host\'s KVM has no AVX')
    with program(o, '-smp', '2') as m:
        script, binary, dump = (os.path.join(m.dir, n) for n in ('script', 'binary', 'dump'))
        data = bytes(range(256)) * 2 + b'$#}*' * 64 + bytes(range(255, -1, -1))
        with open(binary, 'wb') as f:
            f.write(data)
        with open(script, 'w') as f:
            f.write(GDB_THREADS_SCRIPT.format(socket=m.gdb, binary=binary, dump=dump))
        r = subprocess.run([gdb, '-nx', '-batch', '-x', script, o.program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=60)
        text = r.stdout.decode(errors='replace')
        for want in (r'Thread 1\.1 \(CPU#0', r'Thread 1\.2 \(CPU#1', r'\$1 = 0x', r'\$2 = 0x0', r'\$3 = 1', r'\$4 = 0x8', r'\$5 = 0x1', r'received: "OK"',
                     r'\$6 = 0x4', r'\$7 = 0x1234', r'\$8 = 0x1234', r'\$9 = 0x77\s+0x77', r'RIP=', r'detached', r'hw breakpoint', r'\$10 = 1'):
            if not re.search(want, text):
                raise AssertionError(f'{want!r} is missing from what gdb says:\n{text}')
        expect(open(dump, 'rb').read(), data, 'memory that was written and read')
        expect(m.p.wait(TIMEOUT), 0, 'exit code after kill')


GDB_SHORT_SCRIPT = '''
set pagination off
set confirm off
set tcp connect-timeout 10
target remote {socket}
break leaf
continue
bt
stepi
p/x $pc != (long)leaf
continue
delete
hbreak loads
continue
bt
delete
set var neighbour = 77
p neighbour
finish
p leaf(5)
detach
target remote {socket}
tbreak leaf
continue
p rounds > 1
kill
'''


def test_gdb_short(o, s):
    """gdb itself, without watchpoints"""
    gdb = needs_gdb(o)
    with program(o) as m:
        script = os.path.join(m.dir, 'script')
        with open(script, 'w') as f:
            f.write(GDB_SHORT_SCRIPT.format(socket=m.gdb))
        r = subprocess.run([gdb, '-nx', '-batch', '-x', script, o.program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=60)
        text = r.stdout.decode(errors='replace')
        for want in (r'Breakpoint 1, leaf', r'#1 .* in main', r'\$1 = 0x1', r'Breakpoint 1, leaf[^$]*\$1[^$]*Breakpoint 1, leaf',
                     r'Breakpoint 2, loads', r'\$2 = 77', r'\$3 = \d+', r'process 1\) detached', r'\$4 = 1'):
            if not re.search(want, text):
                raise AssertionError(f'{want!r} is missing from what gdb says:\n{text}')
        expect(m.p.wait(TIMEOUT), 0, 'exit code after kill')


def test_gdb(o, s):
    """gdb itself: break, step, watch, call, detach, attach"""
    gdb = needs_gdb(o)
    need_watchpoints()
    with program(o) as m:
        script = os.path.join(m.dir, 'script')
        with open(script, 'w') as f:
            f.write(GDB_SCRIPT.format(socket=m.gdb))
        r = subprocess.run([gdb, '-nx', '-batch', '-x', script, o.program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=60)
        text = r.stdout.decode(errors='replace')
        for want in (r'Thread 1(\.1)? .*CPU#0 \[running\]', r'Breakpoint 1, leaf', r'cr0 +0x80010033 +\[ .*PG.*\]',
                     r'efer +0x500 +\[ .*LME.*LMA.*\]', r'#1 .* in main', r'\$1 = 0x1', r'(Hardware w|W)atchpoint 2: watched', r'New value = 1001',
                     r'\$2 = 1', r'New value = 1002', r'Breakpoint 3, loads', r'read watchpoint 4: watched', r'Value = 1002', r'\$3 = 77',
                     r'v4_float = ', r'v8_float = ', r'received: "OK"[^$]*received: "OK"', r'VM status: paused', r'\$6 = \d+',
                     r'process 1\) detached', r'\$7 = 1'):
            if not re.search(want, text):
                raise AssertionError(f'{want!r} is missing from what gdb says:\n{text}')
        expect(m.p.wait(TIMEOUT), 0, 'exit code after kill')


def look_at_kvm(o, s):
    """Is it usable, and does it emulate?"""
    try:
        with program(o) as m:
            c = m.client()
            Client.emulated = c.ask(f'Z2,{s["watched"]:x},8') != 'OK'
    except AssertionError as e:
        reason = re.search(r'/dev/kvm: .*|the host kernel lacks .*', str(e))
        if not reason:
            raise
        print(f'1..0 # SKIP {reason[0]}')
        sys.exit(0)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--emulator', required=True)
    ap.add_argument('--program', required=True)
    ap.add_argument('--accel', default='tcg')
    ap.add_argument('--cpu', default='max')
    ap.add_argument('--guests', default='')
    ap.add_argument('--initrd')
    ap.add_argument('--docs', default='docs/gdb.md')
    ap.add_argument('names', nargs='*')
    o = ap.parse_args()
    tests = [f for n, f in globals().items() if n.startswith('test_') and (not o.names or any(w in n for w in o.names))]
    symbols = elf_symbols(o.program)
    if o.accel.startswith('kvm'):
        look_at_kvm(o, symbols)
    sys.exit(tap.run(tests, (o, symbols), name=lambda t: t.__doc__))


main()
