#!/usr/bin/env python3
# tests/qmp/dump.py: dumps of guest memory: their structure, their contents, what other programs make of them. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""dump.py RHEA SCRATCH [TEST...]"""
import ctypes
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

RHEA, SCRATCH = (os.path.abspath(x) for x in sys.argv[1:3])
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import Emulator, Skip, fails, guest, main, test  # noqa: E402
from tap import need_address_space  # noqa: E402

SCRATCH = tempfile.mkdtemp(dir=SCRATCH)
MB = 1 << 20
# A guest in long mode: 2 MiB pages map the first GiB at 0 and at 0xffffffff80000000; registers have known values.
LONG_MODE = bytes.fromhex(
    'bf00002000' '31c0' 'b900100000' 'f3ab'              # edi = 2 MiB: clear 16 KiB
    'c7050000200003102000' 'c705f80f200003102000'        # PML4[0], PML4[511] -> PDPT at 0x201000
    'c7050010200003202000' 'c705f01f200003202000'        # PDPT[0], PDPT[510] -> PD at 0x202000
    'bf00202000' 'b883000000' 'b900020000'               # 512 pages of 2 MiB
    '8907' 'c7470400000000' '83c708' '0500002000' 'e2ed'
    'b800002000' '0f22d8' '0f20e0' '83c820' '0f22e0'     # CR3, CR4.PAE
    'b9800000c0' '0f32' '0d00010000' '0f30'              # EFER.LME
    '0f20c0' '0d00000080' '0f22c0'                       # CR0.PG
)


def long_mode_guest(more=b''):
    """The code above, then a far jump to 64-bit code: `more`, then it sets registers and spins."""
    base = 0x10000c
    body = LONG_MODE + b'\x0f\x01\x15'                   # lgdt [gdt]
    tail64 = more + bytes.fromhex('48b8efcdab8967452301' '48bb1111111122222222' '49bf3333333344444444' 'ebfe')
    at = base + len(body) + 4 + 7
    gdt = (at + len(tail64) + 7) & ~7
    code = body + struct.pack('<I', gdt + 24) + b'\xea' + struct.pack('<IH', at, 8) + tail64
    code = code.ljust(gdt - base, b'\0') + struct.pack('<QQQHI', 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 23, gdt)
    return guest(os.path.join(SCRATCH, 'long.elf'), code)


def emulator(*args, more=b''):
    return Emulator(RHEA, SCRATCH, '-M', 'pc', '-m', '20', '-S', '-kernel', long_mode_guest(more), *args)


def run_a_bit(c):
    c.run('cont')
    c.event('RESUME')
    while 'RAX=0123456789abcdef' not in c.run('human-monitor-command', {'command-line': 'info registers'}):
        pass


def memory(c, addr, size):
    path = os.path.join(SCRATCH, 'pmem')
    c.run('pmemsave', {'val': addr, 'size': size, 'filename': path})
    with open(path, 'rb') as f:
        return f.read()


def parse_notes(data):
    notes = []
    while data:
        n, d, kind = struct.unpack_from('<III', data)
        at = 12 + (n + 3 & ~3)
        notes.append((data[12:12 + n - 1].decode(), kind, data[at:at + d]))
        data = data[at + (d + 3 & ~3):]
    return notes


def parse_elf(path):
    """(notes, [(va, pa, bytes)])"""
    with open(path, 'rb') as f:
        data = f.read()
    assert data[:8] == b'\x7fELF\x02\x01\x01\0'
    kind, machine, _, _, phoff, _, _, ehsize, phentsize, phnum = struct.unpack_from('<HHIQQQIHHH', data, 16)
    assert (kind, machine, ehsize, phentsize) == (4, 62, 64, 56)
    notes, loads = None, []
    for i in range(phnum):
        p_type, _, offset, va, pa, filesz, memsz, _ = struct.unpack_from('<IIQQQQQQ', data, phoff + i * 56)
        assert filesz == memsz and offset + filesz <= len(data)
        if p_type == 4:
            notes = parse_notes(data[offset:offset + filesz])
        else:
            assert p_type == 1
            loads.append((va, pa, data[offset:offset + filesz]))
    return notes, loads


def check_registers(notes, cpus=1):
    assert [(n, k) for n, k, _ in notes] == [('CORE', 1), ('QEMU', 0)] * cpus, notes
    prstatus, qemu = notes[0][2], notes[1][2]
    assert len(prstatus) == 336 and struct.unpack_from('<I', prstatus, 32) == (1,)
    regs = struct.unpack_from('<27Q', prstatus, 112)
    assert regs[0] == 0x4444444433333333 and regs[5] == 0x2222222211111111 and regs[10] == 0x123456789abcdef, [hex(x) for x in regs]
    assert 0x10000c < regs[16] < 0x101000 and regs[17] == 8, hex(regs[16])
    version, size, rax = struct.unpack_from('<IIQ', qemu)
    assert (version, size, rax, len(qemu)) == (1, 440, 0x123456789abcdef, 440)
    cr3, = struct.unpack_from('<Q', qemu, 8 + 18 * 8 + 10 * 24 + 3 * 8)
    assert cr3 == 0x200000, hex(cr3)


def gdb(path, *commands):
    """What gdb says of the core file, None without gdb."""
    if not shutil.which('gdb'):
        return None
    return subprocess.run(['gdb', '-q', '-batch', '-nx', '-ex', f'core-file {path}', *(x for c in commands for x in ('-ex', c))],
                          capture_output=True, text=True).stdout


@test
def elf_of_physical_memory():
    path = os.path.join(SCRATCH, 'core')
    with emulator('-smp', '2') as e:
        c = e.connect()
        run_a_bit(c)
        c.run('dump-guest-memory', {'paging': False, 'protocol': f'file:{path}'})
        assert [x['event'] for x in c.events] == ['STOP', 'DUMP_COMPLETED', 'RESUME'], c.events
        result = c.event('DUMP_COMPLETED')['data']['result']
        assert result['status'] == 'completed' and result['completed'] == result['total'] >= 19 * MB, result
        assert c.run('query-dump') == result and c.run('query-status')['running']
        c.run('stop')
        notes, loads = parse_elf(path)
        check_registers(notes, 2)
        assert any(pa <= MB < pa + len(d) for _, pa, d in loads)
        for va, pa, d in loads:
            assert va == pa and d == memory(c, pa, len(d)), hex(pa)
        assert loads == sorted(loads, key=lambda x: x[0])
        assert sum(len(d) for _, _, d in loads) == result['total']
    out = gdb(path, 'x/1xw 0x100000', 'x/1xw 0xc0000')
    if out:
        words = [struct.unpack('<I', next(d[at - pa:at - pa + 4] for _, pa, d in loads if pa <= at < pa + len(d)))[0] for at in (MB, 0xc0000)]
        assert f'0x100000:\t0x{words[0]:08x}' in out and f'0xc0000:\t0x{words[1]:08x}' in out, (words, out)


@test
def elf_with_virtual_addresses():
    path = os.path.join(SCRATCH, 'core')
    with emulator() as e:
        c = e.connect()
        run_a_bit(c)
        c.run('dump-guest-memory', {'paging': True, 'protocol': f'file:{path}'})
        notes, loads = parse_elf(path)
        check_registers(notes)
        for base in (0, 0xffffffff80000000):
            d = [d for va, pa, d in loads if va == base + pa and pa <= MB < pa + len(d)]
            assert len(d) == 1, [(hex(va), hex(pa), len(x)) for va, pa, x in loads]
    out = gdb(path, 'info registers', 'x/1xw 0xffffffff80100000', 'x/1i $rip')
    if out:
        assert '0x123456789abcdef' in out and '0x1badb002' in out and 'jmp' in out, out


@test
def memory_that_the_translator_does_not_track():
    """A guest of 300 GiB stores at 260 GiB, by a page of 1 GiB: beyond the tables of pages that may hold code."""
    need_address_space(400 << 30)
    store = bytes.fromhex('48ba8300000041000000' '48891425' + '20182000' + '48b90000000041000000' 'c70178563412' 'f0ff4104')
    with Emulator(RHEA, SCRATCH, '-M', 'pc', '-m', '300G', '-accel', 'tcg', '-cpu', 'max', '-S', '-kernel', long_mode_guest(store)) as e:
        c = e.connect()
        run_a_bit(c)
        c.run('stop')
        assert memory(c, 0x4100000000, 8) == struct.pack('<II', 0x12345678, 1)


@test
def a_part_of_memory():
    path = os.path.join(SCRATCH, 'part')
    with emulator() as e:
        c = e.connect()
        c.run('dump-guest-memory', {'paging': False, 'protocol': f'file:{path}', 'begin': MB - 100, 'length': 5000})
        loads = parse_elf(path)[1]
        assert loads[0][1] == MB - 100 and sum(len(d) for _, _, d in loads) == 5000, [(pa, len(d)) for _, pa, d in loads]
        assert b''.join(d for _, _, d in loads) == memory(c, MB - 100, 5000)
        for more, text in (({'begin': 5}, "'length' is missing"), ({'length': 5}, "'begin' is missing"), ({'begin': -1, 'length': 5}, '-1'),
                           ({'begin': 0, 'length': 0}, '0, 0'), ({'begin': 1 << 60, 'length': 1 << 62}, '0x1000000000000000'),
                           ({'begin': (1 << 63) - 1, 'length': (1 << 63) - 1}, 'to 0xfffffffffffffffe'),
                           ({'format': 'kdump-zlib', 'begin': 0, 'length': 4096}, 'kdump-zlib'), ({'format': 'kdump-zlib', 'paging': True}, 'kdump-zlib'),
                           ({'protocol': 'tcp:x'}, 'tcp:x'), ({'protocol': 'file:'}, 'file:'), ({'protocol': 'fd:nosuch'}, 'nosuch'),
                           ({'protocol': 'file:/nosuch/x'}, '/nosuch/x'), ({'format': 'win-dmp'}, 'win-dmp')):
            fails(c, 'dump-guest-memory', {'paging': False, 'protocol': f'file:{path}', **more}, text=text)
        fails(c, 'dump-guest-memory', {'paging': False, 'protocol': 'file:/dev/full'}, text='No space')
        assert c.event('DUMP_COMPLETED')['data']['result']['status'] == 'completed'
        failed = c.event('DUMP_COMPLETED')['data']
        assert failed['result']['status'] == 'failed' and 'No space' in failed['error'] and c.run('query-dump')['status'] == 'failed'
    with Emulator(RHEA, SCRATCH, '-M', 'none') as e:
        fails(e.connect(), 'dump-guest-memory', {'paging': False, 'protocol': f'file:{path}'}, text='no CPUs')


def unflatten(data):
    assert data[:12] == b'makedumpfile' and struct.unpack_from('>QQ', data, 16) == (1, 1)
    out, at = bytearray(), 4096
    while True:
        offset, size = struct.unpack_from('>QQ', data, at)
        at += 16
        if offset == size == 0xffffffffffffffff:
            assert at == len(data)
            return bytes(out)
        out.extend(bytes(max(0, offset + size - len(out))))
        out[offset:offset + size] = data[at:at + size]
        at += size


def unlzo(page):
    out, n = ctypes.create_string_buffer(4096), ctypes.c_size_t(4096)
    assert ctypes.CDLL('liblzo2.so.2').lzo1x_decompress_safe(page, ctypes.c_size_t(len(page)), out, ctypes.byref(n), None) == 0
    return out.raw[:n.value]


def unsnappy(page):
    out, n = ctypes.create_string_buffer(4096), ctypes.c_size_t(4096)
    assert ctypes.CDLL('libsnappy.so.1').snappy_uncompress(page, ctypes.c_size_t(len(page)), out, ctypes.byref(n)) == 0
    return out.raw[:n.value]


# name → (number in the file, function)
COMPRESSION = {'zlib': (1, zlib.decompress), 'lzo': (2, unlzo), 'snappy': (4, unsnappy)}


def parse_kdump(data, by):
    """(notes, {page number: bytes})"""
    number, unpack = COMPRESSION[by]
    assert data[:8] == b'KDUMP   ' and struct.unpack_from('<I', data, 8) == (6,)
    status, block, sub, bitmaps, max_mapnr = struct.unpack_from('<IIIII', data, 424)
    cpus, = struct.unpack_from('<I', data, 460)
    assert (status, block) == (number, 4096)
    note_at, note_size = struct.unpack_from('<QQ', data, 4096 + 48)
    assert struct.unpack_from('<Q', data, 4096 + 96) == (max_mapnr,)
    maps = data[(1 + sub) * 4096:(1 + sub + bitmaps) * 4096]
    assert maps[:len(maps) // 2] == maps[len(maps) // 2:]
    present = [pfn for pfn in range(max_mapnr) if maps[pfn // 8] >> pfn % 8 & 1]
    pages, zeros = {}, set()
    for i, pfn in enumerate(present):
        offset, size, flags, _ = struct.unpack_from('<QIIQ', data, (1 + sub + bitmaps) * 4096 + i * 24)
        page = data[offset:offset + size]
        pages[pfn] = unpack(page) if flags == number else page
        assert flags in (0, number) and len(pages[pfn]) == 4096
        if not any(pages[pfn]):
            zeros.add(offset)
    assert len(zeros) == 1  # one copy of them
    return parse_notes(data[note_at:note_at + note_size]), pages, cpus


def check_kdump(c, data, cpus, by='zlib'):
    notes, pages, n = parse_kdump(data, by)
    check_registers(notes, cpus)
    assert n == cpus
    ram = memory(c, 0, 20 * MB)
    for pfn in list(range(0xa0)) + list(range(256, 20 * MB // 4096)):
        assert pages[pfn] == ram[pfn * 4096:(pfn + 1) * 4096], pfn


@test
def kdump():
    flat, raw = os.path.join(SCRATCH, 'flat'), os.path.join(SCRATCH, 'raw')
    with emulator('-smp', '2') as e:
        c = e.connect()
        if 'kdump-zlib' not in c.run('query-dump-guest-memory-capability')['formats']:
            raise Skip('this build has no zlib')
        run_a_bit(c)
        c.run('stop')
        c.run('dump-guest-memory', {'paging': False, 'protocol': f'file:{flat}', 'format': 'kdump-zlib'})
        with open(raw, 'wb') as f:
            c.run('getfd', {'fdname': 'dump'}, fds=[f.fileno()])
        c.run('dump-guest-memory', {'paging': False, 'protocol': 'fd:dump', 'format': 'kdump-raw-zlib'})
        fails(c, 'closefd', {'fdname': 'dump'}, text='dump')  # it was used up
        assert c.run('query-status')['status'] == 'paused'
        with open(flat, 'rb') as f:
            check_kdump(c, unflatten(f.read()), 2)
        with open(raw, 'rb') as f:
            check_kdump(c, f.read(), 2)
        assert os.path.getsize(flat) < 4 * MB
        r, w = os.pipe()
        c.run('getfd', {'fdname': 'pipe'}, fds=[w])
        fails(c, 'dump-guest-memory', {'paging': False, 'protocol': 'fd:pipe', 'format': 'kdump-raw-zlib'}, text='any order')
        os.close(r)
        os.close(w)
    if shutil.which('makedumpfile'):
        with open(flat, 'rb') as f:
            out = subprocess.run(['makedumpfile', '-R', f'{flat}.out'], stdin=f, capture_output=True, text=True)
        assert out.returncode == 0, out
        with open(f'{flat}.out', 'rb') as f, open(flat, 'rb') as g:
            assert f.read().rstrip(b'\0') == unflatten(g.read()).rstrip(b'\0')


@test
def kdump_by_other_libraries():
    path, tried = os.path.join(SCRATCH, 'other'), 0
    with emulator() as e:
        c = e.connect()
        formats = c.run('query-dump-guest-memory-capability')['formats']
        run_a_bit(c)
        c.run('stop')
        for by in COMPRESSION:
            assert (f'kdump-{by}' in formats) == (f'kdump-raw-{by}' in formats), formats
            if f'kdump-{by}' not in formats:
                fails(c, 'dump-guest-memory', {'paging': False, 'protocol': f'file:{path}', 'format': f'kdump-{by}'}, text=by)
                continue
            tried += by != 'zlib'
            for raw in ('', 'raw-'):
                c.run('dump-guest-memory', {'paging': False, 'protocol': f'file:{path}', 'format': f'kdump-{raw}{by}'})
                with open(path, 'rb') as f:
                    check_kdump(c, f.read() if raw else unflatten(f.read()), 1, by)
                assert os.path.getsize(path) < 4 * MB
    if not tried:
        raise Skip('this build has neither LZO nor Snappy')


class Informer:
    """A machine whose guest has a note at 0x101100, and who can be made to tell the device of it by a DMA request at 0x101000."""

    NOTE = struct.pack('<III', 11, 25, 0) + b'VMCOREINFO\0\0' + b'NUMBER(phys_base)=4194304\n'.ljust(28, b'\0')
    LOCATION, REQUEST, AT = 0x101080, 0x101000, 0x101100

    def __init__(self, size=len(NOTE) + 24, paddr=AT, guest_format=1, note=NOTE):
        code = bytearray(b'\xeb\xfe'.ljust(0x2000, b'\0'))
        for at, data in ((self.REQUEST, struct.pack('>IIQ', 0x10, 16, self.LOCATION)), (self.LOCATION, struct.pack('<HHIQ', 1, guest_format, size, paddr)),
                         (self.AT, note)):
            code[at - 0x10000c:at - 0x10000c + len(data)] = data
        self.e = Emulator(RHEA, SCRATCH, '-M', 'pc', '-m', '20', '-S', '-device', 'vmcoreinfo', '-kernel', guest(os.path.join(SCRATCH, 'informer'), bytes(code)))

    def __enter__(self):
        self.c = self.e.connect()
        return self

    def __exit__(self, *exc):
        self.e.__exit__(*exc)

    def hmp(self, line):
        return self.c.run('human-monitor-command', {'command-line': line})

    def read(self, key, n):
        self.hmp(f'o /h 0x510 {key}')
        return bytes(int(self.hmp('i /b 0x511').split('= ')[1], 0) for _ in range(n))

    def key(self):
        """The selector of etc/vmcoreinfo."""
        directory = self.read(0x19, 4 + 64 * self.read(0x19, 4)[3])
        size, key = next(struct.unpack_from('>IH', directory, at) for at in range(4, len(directory), 64) if directory[at + 8:at + 24] == b'etc/vmcoreinfo\0\0')
        assert size == 16
        return key

    def tell(self):
        self.hmp(f'o /h 0x510 {self.key()}')
        self.hmp('o /w 0x514 0')
        self.hmp(f'o /w 0x518 {int.from_bytes(struct.pack(">I", self.REQUEST), "little")}')
        assert memory(self.c, self.REQUEST, 4) == bytes(4)  # it went well

    def note(self):
        """What a dump has of it."""
        path = os.path.join(SCRATCH, 'told')
        self.c.run('dump-guest-memory', {'paging': False, 'protocol': f'file:{path}'})
        return [d for name, _, d in parse_elf(path)[0] if name == 'VMCOREINFO']


@test
def vmcoreinfo():
    with Informer() as m:
        assert m.read(m.key(), 16) == b'\1' + bytes(15) and m.note() == []
        m.tell()
        assert m.read(m.key(), 4) == b'\1\0\1\0' and m.note() == [m.NOTE[24:49]]
        if 'kdump-raw-zlib' in m.c.run('query-dump-guest-memory-capability')['formats']:
            path = os.path.join(SCRATCH, 'told')
            m.c.run('dump-guest-memory', {'paging': False, 'protocol': f'file:{path}', 'format': 'kdump-raw-zlib'})
            with open(path, 'rb') as f:
                data = f.read()
            phys_base, _, _, _, _, at, size = struct.unpack_from('<QIIQQQQ', data, 4096)
            assert phys_base == 4194304 and data[at:at + size] == m.NOTE[24:49], (phys_base, at, size)
        m.c.run('system_reset')
        m.c.event('RESET')
        assert m.note() == [] and m.e.output() == ''


@test
def vmcoreinfo_that_is_wrong():
    """The dump is made all the same, and the log says what is wrong with the note."""
    for arguments, text in (({'size': 0}, 'size 0'), ({'size': 0xffffffff}, 'size 4294967295'), ({'guest_format': 7}, 'format 7'), ({'paddr': 1 << 40}, '0x10000000000'),
                            ({'paddr': (1 << 64) - 8}, '0xfffffffffffffff8'), ({'size': 11}, 'not an ELF note'), ({'size': 30}, 'not an ELF note'),
                            ({'note': b'\xff' * 64}, 'not an ELF note'), ({'note': Informer.NOTE[:4] + b'\xff\xff\xff\xff' + Informer.NOTE[8:]}, 'not an ELF note')):
        with Informer(**arguments) as m:
            m.tell()
            assert m.note() == [] and text in m.e.output(), (arguments, m.e.output())
    with Emulator(RHEA, SCRATCH, '-M', 'none', '-device', 'vmcoreinfo') as e:
        assert e.wait() == 1 and 'vmcoreinfo' in e.output() and 'pc' in e.output(), e.output()


@test
def detached():
    """The monitor is usable meanwhile; the machine cannot be started or reset; the end is told."""
    with emulator() as e:
        c = e.connect()
        run_a_bit(c)
        c.events.clear()
        r, w = os.pipe()
        c.run('getfd', {'fdname': 'dump'}, fds=[w])
        os.close(w)
        c.run('dump-guest-memory', {'paging': False, 'protocol': 'fd:dump', 'detach': True})
        status = c.run('query-dump')  # nobody reads the pipe yet
        assert status['status'] == 'active' and status['completed'] < status['total'], status
        assert c.run('query-status')['status'] == 'save-vm'
        fails(c, 'cont', text='query-dump')
        fails(c, 'dump-guest-memory', {'paging': False, 'protocol': 'file:/dev/null'}, text='in progress')
        c.run('system_reset')
        assert not [x for x in c.events if x['event'] == 'RESET']
        data = []

        def read_all():
            with os.fdopen(r, 'rb') as f:
                data.append(f.read())
        t = threading.Thread(target=read_all)
        t.start()
        result = c.event('DUMP_COMPLETED')['data']
        t.join()
        assert result['result']['status'] == 'completed' and 'error' not in result
        assert len(data[0]) > result['result']['total']
        c.event('RESUME')
        c.event('RESET')
        assert c.run('query-dump') == result['result']


@test
def the_emulator_ends_while_a_dump_waits():
    with emulator() as e:
        c = e.connect()
        r, w = os.pipe()
        c.run('getfd', {'fdname': 'dump'}, fds=[w])
        c.run('dump-guest-memory', {'paging': False, 'protocol': 'fd:dump', 'detach': True})
        assert c.run('query-dump')['status'] == 'active'
        c.run('quit')
        assert e.wait() == 0
        os.close(r)
        os.close(w)


@test
def page_tables_in_a_circle():
    """Entries of all levels lead to the same table: an error, within bounds, and the machine goes on."""
    fill = bytes.fromhex('48c7c708002000' '48c7c003002000' '48c7c1fe010000' 'f348ab')  # PML4[1] to PML4[510]
    with emulator(more=fill) as e:
        c = e.connect()
        run_a_bit(c)
        fails(c, 'dump-guest-memory', {'paging': True, 'protocol': f'file:{SCRATCH}/circle'}, text='paging')
        assert c.run('query-status')['running'] and not os.path.exists(f'{SCRATCH}/circle')


try:
    sys.exit(main(sys.argv[3:]))
finally:
    shutil.rmtree(SCRATCH, ignore_errors=True)
