#!/usr/bin/env python3
# tests/cli/hmp.py: the commands of the human monitor, against machines without and with a running guest. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""hmp.py RHEA [PROGRAM]: PROGRAM is an ELF kernel that runs with paging in 64-bit mode."""
import os
import re
import sys
import time

from harness import BZIMAGE, HALT, PATIENCE, SCRATCH, Background, Skip, Terminal, main, multiboot_kernel, need_address_space, rhea, scratch, test

PROGRAM = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None


class Monitor:
    def __init__(self, b):
        self.b = b

    def __call__(self, line):
        return rhea('monitor', self.b.hmp, stdin=line.encode() + b'\n')[0]


def halted(*args):
    return Background('-M', 'pc', '-m', '64', '-accel', 'tcg', '-kernel', HALT, '-S', *args)


def expect(text, *patterns):
    for p in patterns:
        assert re.search(p, text, re.M), f'{p!r} is not in:\n{text}'


@test
def every_info_command_shows_something():
    with halted('-smp', '2', '-object', 'iothread,id=io0,poll-grow=3', '-name', 'box', '-uuid', '12345678-1234-1234-1234-123456789abc', '-numa', 'node,cpus=1', '-numa', 'node,cpus=0') as b:
        m = Monitor(b)
        items = re.findall(r'^info (\S+)', m('info'), re.M)
        assert len(items) > 25 and items == sorted(items), items
        for item in items:
            text = m(f'info {item}' + (' vm' if item == 'stats' else ''))
            assert text or item in ('fdsets', 'stats'), f'info {item} shows nothing'
            assert 'Error' not in text and 'unknown' not in text, f'info {item}: {text}'
        expect(m('info status'), r'^VM status: paused \(prelaunch\)$')
        expect(m('info registers -a'), 'CPU#0', 'CPU#1', 'CR0=', 'YMM00=')
        expect(m('info name'), '^box$')
        expect(m('info uuid'), '^12345678-1234-1234-1234-123456789abc$')
        expect(m('info numa'), '^2 nodes', r'^node 0 cpus: 1$', r'^node 1 cpus: 0$', '^node 1 size: 32 MB$')
        expect(m('info hotpluggable-cpus'), r'cpu\[1\]: .*"node-id":0', r'cpu\[0\]: .*"node-id":1')
        expect(m('info mtree'), 'system', 'pc.ram')
        expect(m('info mtree -f'), 'FlatView|flat')
        expect(m('info qtree'), 'isa-i8259')
        expect(m('info qdm'), 'name "isa-serial", bus isa')
        expect(m('info qom-tree /machine'), r'/cpu\[0\]')
        expect(m('info ramblock'), r'pc\.ram +0x0000000000000000 0x0000000004000000')
        expect(m('info iothreads'), '^io0:\n  thread_id=[1-9][0-9]*\n  poll-max-ns=32768\n  poll-grow=3\n  poll-shrink=0\n  aio-max-batch=0$')
        expect(m('info lapic'), '/lapic$')
        expect(m('info tlb'), 'PG disabled')
        expect(m('info cpus'), r'^\* CPU #0', r'^  CPU #1')
        expect(m('info mtree -x'), "Error: unexpected '-x'.*-f")
        expect(m('info nosuch'), "unknown command: 'info nosuch'")
        commands = re.findall(r'^(\S+)', m('help'), re.M)
        assert len(commands) > 30 and commands == sorted(commands), commands
        expect(m('help'), '^cont -- ', '^x expression -- ')
        assert m('help info tlb').startswith('info tlb -- ') and len(m('help info tlb').splitlines()) == 1
        assert m('help cont') == 'cont -- resume emulation\n' and m('help info') == m('info') and m('?') == m('help')
        expect(m('help nosuch'), "unknown command: 'nosuch'")
        for line in ('info foo', 'help info foo'):
            assert m(line) == "unknown command: 'info foo' ('info' lists all)\n", m(line)
        expect(m('info regsters'), "did you mean 'info registers'\\?")
        expect(m('help dump-guest-memory'), r'^dump-guest-memory \[-p\].* filename \[begin\] \[length\] -- ')


@test
def without_a_cpu():
    with Background('-M', 'none', '-S') as b:
        m = Monitor(b)
        for line in ('x 0', 'info tlb', 'info mem', 'info lapic', 'gva2gpa 0', 'print $rip', 'x/2i $pc'):
            expect(m(line), '^Error: .*no (CPU|local)')


@test
def numbers_and_registers():
    with halted() as b:
        m = Monitor(b)
        for text, want in (('6*7', '42'), ('1 + 2 * 3', '7'), ('(1 + 2) * 3', '9'), ('7 % 4 << 2', '12'), ('~0', '-1'), ('0xff & 0xf0 | 1', '241'),
                           ('/x 255', '0xff'), ('/o 8', '010'), ("/c 65", "'A'"), ('-5 / 2', '-2'), ('$rip - $pc', '0'), ('/x $cr0 & 1', '0x1'), ('$sp - $rsp', '0'), ('$fp - $rbp', '0')):
            expect(m('print ' + text), '^' + re.escape(want) + '$')
        eax = int(m('print $eax'))
        assert eax == int(m('print $rax')) == 0x2badb002, eax  # what a Multiboot kernel finds
        for text, error in (('1/0', 'division'), ('(1', "'\\)'"), ('$nosuch', 'no such register'), ('x', 'expected a number'), ('1 2', "unexpected '2'"),
                            ('(' * 200 + '1', 'too many brackets')):
            expect(m('print ' + text), '^Error: .*' + error)


@test
def memory_and_ports():
    with halted() as b:
        m = Monitor(b)
        expect(m('xp /2xw 0x100000'), '^0000000000100000: 0x1badb002 0x00010000$')
        expect(m('x /3i 0x100020'), '^0x00100020: +cli', '^0x00100021: +hlt', 'jmp')
        expect(m('xp /4xb 0x100000'), '0x02 0xb0 0xad 0x1b')
        expect(m('gva2gpa 0x100020'), '^gpa: 0x100020$')
        data = open(HALT, 'rb').read()
        total = 0
        for c in data:
            total = ((total >> 1 | total << 15) + c) & 0xffff
        expect(m(f'sum 0x100000 {len(data)}'), f'^{total:05}$')
        expect(m('sum 0 0x100000000'), 'Error: size')
        path = os.path.join(SCRATCH, 'saved')
        m(f'pmemsave 0x100000 {len(data)} {path}')
        assert open(path, 'rb').read() == data
        expect(m('i /b 0x71'), r'^portb\[0x0071\] = 0x[0-9a-f]{2}$')
        m('o /b 0x70 0x0f')  # an unused byte of CMOS: reads back
        m('o /b 0x71 0x5a')
        expect(m('i 0x71'), '= 0x5a$')
        expect(m('gpa2hva 0x100020'), r'^Host virtual address for 0x100020 \(pc\.ram\S*\) is 0x[0-9a-f]+$')
        expect(m('gpa2hpa 0x100020'), r'^Host physical address for 0x100020 \(pc\.ram\S*\) is 0x[0-9a-f]+020$|^Error: .*CAP_SYS_ADMIN')
        for line in ('gpa2hva 0xfec00000', 'gpa2hpa 0xfec00000'):
            expect(m(line), '^Error: Memory at address 0xfec00000 is not RAM$')
        core = os.path.join(SCRATCH, 'core')
        assert m(f'dump-guest-memory {core} 0x100000 4096') == '' and data in open(core, 'rb').read()
        assert m(f'dump-guest-memory -z {core}') == '' and open(core, 'rb').read(12) == b'makedumpfile'
        expect(m(f'dump-guest-memory -z -l {core}'), "^Error: only one of '-z'")
        expect(m(f'dump-guest-memory -q {core}'), "^Error: unexpected '-q'; possible: -p -d")
        assert m(f'dump-guest-memory -d -p {core}') == ''
        expect(m('boot_set cd'), '^Error: boot_set cd: not supported yet')
        assert m('watchdog_action pause') == ''
        expect(m('watchdog_action fly'), 'Error: .*fly')
        expect(m('device_add isa-serial,id=s9'), 'Error: .*isa')
        expect(m('device_add VGA'), "Error: device 'VGA' is not supported yet")
        expect(m('device_del nosuch'), "Error: .*'nosuch'")
        for line in ('i /g 0x70', 'i 0x10000', 'i', 'o 0x70', 'i /z 0', 'o /b 0x70 1 2', 'i /2b 0x70'):
            expect(m(line), '^Error: ')


@test
def keys():
    with halted() as b:
        m = Monitor(b)
        if '"send-key"' not in rhea('monitor', b.qmp, stdin=b'query-commands\n')[0]:
            expect(m('sendkey ctrl-alt-f1'), '^Error: sendkey: not supported yet')
            raise Skip('there is no send-key yet')
        m('cont')
        for line, error in (('sendkey nosuch', 'nosuch'), ('sendkey', 'keys')):
            expect(m(line), '^Error: .*' + error)
        assert m('sendkey ctrl-a 50') == '' and m('sendkey 0x1c') == ''
        for _ in range(1000):
            if '= 0x1d' in m('i /b 0x60'):  # left Ctrl, as the guest gets it
                return
        raise AssertionError('the key does not arrive')


@test
def backends_come_and_go():
    with halted('-chardev', 'ringbuf,id=ring') as b:
        m = Monitor(b)
        m('ringbuf_write ring hello')
        expect(m('ringbuf_read ring 10'), '^hello$')
        path = os.path.join(SCRATCH, 'changed')
        assert m(f'chardev-add file,id=c1,path={path}') == ''
        expect(m('info chardev'), '^c1: filename=file')
        assert m('chardev-change c1 null') == ''
        expect(m('info chardev'), '^c1: filename=null')
        expect(m('chardev-change nosuch null'), "Error: .*'nosuch'")
        expect(m('chardev-change compat_monitor0 null'), 'belongs to a monitor')
        expect(m('chardev-change c1 nosuch'), 'Error: .*nosuch')
        expect(m('info chardev'), '^c1: filename=null')
        assert m('chardev-remove c1') == ''
        assert m('object_add secret,id=s1,data=x') == ''
        expect(m('qom-list /objects'), r'^s1 \(child<secret>\)')
        assert m('object_del s1') == ''
        expect(m('object_del s1'), "Error: .*'s1'")
        log = os.path.join(SCRATCH, 'log')
        assert m(f'logfile {log}') == '' and m('log int') == '' and m('log none') == ''
        expect(m('log nosuch'), 'Error: .*nosuch')
        assert m('set-action shutdown pause') == ''
        expect(m('set-action fly'), "Error: .*'?fly")
        expect(m('cpu 7'), 'Error: there is no CPU 7')


@test
def keys_complete_and_recall():
    with halted('-chardev', 'null,id=a-chardev') as b:
        m = Monitor(b)
        m('object_add secret,id=an-object,data=x')
        t = Terminal('monitor', b.hmp)
        t.wait_for('(qemu) ')
        for typed, whole in (('info tl', 'info tlb '), ('info registers ', 'info registers -a '), ('chardev-rem', 'chardev-remove '),
                             ('chardev-remove a', 'chardev-remove a-chardev '), ('object_del a', 'object_del an-object '), ('log in_', 'log in_asm '),
                             ('log int,in_', 'log int,in_asm '), ('qom-list /machine/cp', 'qom-list /machine/cpu[0] '), ('help gdb', 'help gdbserver '),
                             ('help info lap', 'help info lapic '), ('set-action sh', 'set-action shutdown '),
                             ('set-action reset pa', 'set-action reset pause '), ('chardev-add ringb', 'chardev-add ringbuf '),
                             ('object_add memory-backend-f', 'object_add memory-backend-file '), ('sendkey ctrl-dele', 'sendkey ctrl-delete '),
                             ('device_add isa-ser', 'device_add isa-serial '), ('watchdog_action inj', 'watchdog_action inject-nmi '),
                             ('singlestep of', 'singlestep off ')):
            t.type(typed.encode() + b'\t')
            t.wait_for(whole)
            t.type(b'\x15')
        t.type(b'info name\rinfo history\r')
        t.wait_for("'info name'")
        t.type(b'\x03\x04')
        t.finish(0)


@test
def machine_checks():
    """32-bit code that takes machine checks and halts; vector 18 ends the emulator with (0x21 << 1) + 1."""
    gate, code = 0x100000 + 0x200 + 18 * 8, bytes.fromhex('0f011df0011000' '0f20e0' '83c840' '0f22e0' 'f4ebfd' 'b021e6f4f4')
    image = bytearray(multiboot_kernel(code))
    handler = 0x100000 + 32 + code.index(b'\xb0\x21')
    image[0x1f0:0x1f6] = (0xff).to_bytes(2, 'little') + (0x100200).to_bytes(4, 'little')
    image[gate - 0x100000:gate - 0x100000 + 8] = (handler & 0xffff).to_bytes(2, 'little') + b'\x08\0\0\x8e' + (handler >> 16).to_bytes(2, 'little')
    with Background('-M', 'pc', '-m', '64', '-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-kernel', scratch('mce.bin', image),
                    '-device', 'isa-debug-exit,iobase=0xf4,iosize=4') as b:
        m = Monitor(b)
        while not int(m('print $cr4 & 0x40')):
            pass
        for line, error in (('mce 7 0 0x8000000000000000 0 0 0', 'no CPU 7'), ('mce 0 10 0x8000000000000000 0 0 0', 'no bank 10; there are 0 to 9'),
                            ('mce 0 1 1 0 0 0', 'bit 63'), ('mce 0 1', "'status' is missing"), ('mce -x 0 1', "'-x'; possible: -b")):
            expect(m(line), f'^Error: .*{error}')
        assert m('mce 0 1 0x8000000000000001 0 0x1234 0') == ''  # a corrected error interrupts nobody
        expect(m('info status'), 'running')
        assert m('mce 0 1 0xb200000000000000 5 0x1234 0') == ''
        b.p.wait(PATIENCE)
        assert b.p.returncode == 67, b.output()


@test
def instructions_one_by_one():
    log = os.path.join(SCRATCH, 'in_asm')
    loop = scratch('loop.bin', multiboot_kernel(b'\x40\x43\x41\xeb\xfb'))  # inc eax; inc ebx; inc ecx; jmp
    for args, command in ((['-singlestep'], None), (['-accel', 'tcg,one-insn-per-tb=on'], None), ([], 'singlestep'), ([], None)):
        with Background('-M', 'pc', '-m', '64', *args, '-kernel', loop, '-S', '-D', log) as b:
            m = Monitor(b)
            assert command is None or m(command) == ''
            m('log in_asm')
            m('cont')
            while int(m('print $ecx')) < 3:
                pass
            m('log none')
            assert m('singlestep off') == ''
            before = int(m('print $ecx'))
            while int(m('print $ecx')) == before:
                pass
        with open(log, encoding='utf-8') as f:
            translated = f.read().count('inc ecx')
        assert translated >= 3 if args or command else 1 <= translated < 3, (args, command, translated)


@test
def dirty_rate():
    """A guest that writes to 4,096 pages over and over: 16 MiB in the second that is looked at."""
    loop = bytes.fromhex('bf00002000' 'b900100000' 'ff07' '81c700100000' 'e2f6' 'ebea')
    with Background('-M', 'pc', '-m', '64', '-accel', 'tcg', '-kernel', scratch('writer.bin', multiboot_kernel(loop))) as b:
        m = Monitor(b)
        expect(m('info dirty_rate'), '^Status: unstarted$', 'not ready')
        for options, least, most in (('-b', 12, 16), ('', 4, 40)):
            assert m(f'calc_dirty_rate {options} 1 4096') == ''
            expect(m('info dirty_rate'), '^Status: measuring$', 'not ready')
            expect(m('calc_dirty_rate 1'), 'Error: .*already')
            while 'measured' not in m('info dirty_rate'):
                time.sleep(0.05)
            rate = int(re.search(r'^Dirty rate: (\d+) \(MB/s\)$', m('info dirty_rate'), re.M).group(1))
            assert least <= rate <= most, m('info dirty_rate')
        for line, error in (('calc_dirty_rate 61', '61 is not from 1 to 60'), ('calc_dirty_rate 1 5', '5 is not from 128')):
            expect(m(line), 'Error: .*' + error)


@test
def memory_below_4_gib():
    need_address_space(6 << 30)
    for machine, mib, below in (('pc', 3500, 3500), ('pc', 3584, 3072), ('pc,max-ram-below-4g=2G', 3500, 2048), ('microvm', 3500, 3072)):
        with Background('-M', machine, '-m', str(mib), '-accel', 'tcg', '-kernel', HALT, '-S') as b:
            tree = Monitor(b)('info mtree')
            expect(tree, rf'^ *0000000000100000-{(below << 20) - 1:016x} .*ram-below-4g')
            assert ('ram-above-4g' in tree) == (mib > below), tree


@test
def a_kernel_that_works_by_bios_calls():
    head = bytearray(BZIMAGE)
    head[0x206:0x212] = b'\x07\x02' + bytes(6) + b'\x00\x01' + b'\x00\x01'
    for entry, version, warns in ((0x100000, b'MEMDISK 6.04', True), (0, b'1.0.0+git', True), (0x100000, b'6.1.0', False)):
        head[0x214:0x218] = entry.to_bytes(4, 'little')
        head[0x300:0x310] = version.ljust(16, b'\0')
        out = rhea('-M', 'pc', '-kernel', scratch('by-bios', head), '-S', '-nodefaults', '-display', 'none', '-monitor', 'stdio', stdin=b'quit\n')
        assert ("by-bios' works by BIOS calls" in out[1]) == warns and 'without -append console=ttyS0 it is silent' in out[1], out


@test
def page_tables():
    if not PROGRAM:
        raise Skip('no program for 64-bit mode was built')
    with Background('-M', 'pc', '-m', '64', '-accel', 'tcg', '-cpu', 'max', '-kernel', PROGRAM) as b:
        m = Monitor(b)
        for _ in range(1000):
            if int(m('print $efer & 0x400').strip()):
                break
        m('stop')
        tlb, mem = m('info tlb'), m('info mem')
        rows = [line.split() for line in tlb.splitlines()]
        assert rows and all(re.fullmatch(r'[0-9a-f]{16}:', r[0]) and re.fullmatch(r'[XGPDACTUW-]{9}', r[2]) for r in rows), tlb[:1000]
        mapped = sum(int(e, 16) - int(s, 16) for s, e in re.findall(r'^([0-9a-f]{16})-([0-9a-f]{16}) ', mem, re.M))
        assert mapped >= len(rows) * 4096 and len(mem.splitlines()) <= len(rows), mem
        # each page leads where the debugger's walk leads
        for r in rows[:5] + rows[-5:]:
            expect(m(f'gva2gpa 0x{r[0][:-1]}'), f'^gpa: 0x{int(r[1], 16):x}$' if int(r[1], 16) else '^gpa: 0(x0)?$')
        expect(m('gva2gpa 0x7fff00000000'), 'Unmapped')
        expect(m('x /2i $pc'), r'^0x[0-9a-f]+: +\w+')
        expect(m('print $cs'), '^8$')


main()
