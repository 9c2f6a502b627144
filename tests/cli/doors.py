#!/usr/bin/env python3
# tests/cli/doors.py: rhea run, check and monitor; machine files; -runas and -chroot. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""doors.py RHEA docs/from-qemu.md"""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

from harness import BZIMAGE, HALT, PATIENCE, RHEA, SCRATCH, Background, Skip, Terminal, fails, main, multiboot_kernel, rhea, scratch, test, with_bytes

GUIDE = os.path.abspath(sys.argv[2])


# ---- rhea run ----

@test
def run_shows_its_command_line():
    kernel, initrd = scratch('vmlinuz-1.2', BZIMAGE), scratch('initrd.img-1.2', b'x')
    line = shlex.split(rhea('run', kernel, '--show')[0])
    pairs = dict(zip(line[1::1], line[2::1]))
    assert pairs['-kernel'] == kernel and pairs['-initrd'] == initrd and pairs['-append'] == 'console=ttyS0', line
    assert pairs['-machine'] == 'pc' and pairs['-accel'] in ('tcg', 'kvm') and '-nographic' in line, line
    assert 1 <= int(pairs['-smp']) <= 4 and 256 <= int(pairs['-m'].rstrip('M')) <= 2048, line
    line = shlex.split(rhea('run', '--cpus=3', '--memory', '1G', '--initrd', 'none', '--append', 'a b', kernel, '--show', '--', '-accel', 'tcg', '-S')[0])
    pairs = dict(zip(line, line[1:]))
    assert pairs['-smp'] == '3' and pairs['-m'] == '1024M' and pairs['-append'] == 'console=ttyS0 a b' and '-initrd' not in line, line
    assert line.count('-accel') == 1 and line[-3:] == ['-accel', 'tcg', '-S'], line
    line = shlex.split(rhea('run', kernel, '--append', 'console=hvc0', '--show')[0])
    assert line[line.index('-append') + 1] == 'console=hvc0', line
    line = shlex.split(rhea('run', HALT, '--show')[0])
    assert '-append' not in line, line  # no Linux


@test
def run_runs():
    t = Terminal('run', HALT, '--memory', '64M', '--cpus', '1', '--', '-accel', 'tcg')
    said = t.wait_for('Ctrl-A x leaves')
    assert 'Multiboot kernel on pc (x86_64), 1 CPU, 64M RAM' in said, said
    t.type(b'\x01c')
    t.wait_for('(qemu) ')
    t.type(b'info status\r')
    t.wait_for('VM status: running')
    t.type(b'\x01x')
    t.finish(0)


@test
def a_guest_that_has_come_to_its_end_is_told_of():
    t = Terminal('run', HALT, '--memory', '64M', '--cpus', '2', '--', '-accel', 'tcg')
    t.wait_for('come to its end: every CPU is halted')
    t.type(b'\x01x')
    t.finish(0)
    triple = scratch('triple.bin', multiboot_kernel(b'\x0f\x01\x1d\0\0\0\0\xcc'))  # lidt [0]; int3
    t = Terminal('run', triple, '--memory', '64M', '--cpus', '1', '--', '-accel', 'tcg')
    t.wait_for('resets itself over and over')
    t.type(b'\x01x')
    t.finish(0)


@test
def run_says_what_is_not_there():
    arm = bytearray(64)
    arm[:4], arm[18:20] = b'\x7fELF', (183).to_bytes(2, 'little')
    for content, texts in ((b'QFI\xfb' + bytes(600), ['qcow2', 'not supported yet: disks']), (with_bytes(600, (0x1fe, b'\x55\xaa')), ['raw disk image', 'disks']),
                           (with_bytes(0x8100, (0x8001, b'CD001')), ['CD or DVD']), (bytes(arm), ['aarch64', 'not supported yet']),
                           (with_bytes(100, (0x38, b'ARM\x64')), ['aarch64']), (b'\x1f\x8b' + bytes(50), ['gzip', 'unpack']),
                           (b'', ['neither a kernel']), (b'hello', ['neither a kernel'])):
        fails('run', scratch('image', content), texts=['image'] + texts)
    for args, texts in ((['--ssh', '2222'], ['--ssh 2222', 'not supported yet', 'network']), (['--share', '/tmp'], ['--share', 'not supported yet', 'virtio']),
                        (['--display', 'vnc'], ['--display vnc', 'not supported yet']), (['--display', 'gtk'], ['gtk', 'none']),
                        (['--arch', 'aarch64'], ['--arch aarch64', 'x86_64']), (['--cpus', '0'], ['--cpus 0']), (['--cpus', 'many'], ['many']),
                        (['--memory', '1K'], ['1K', '512M']), (['--memory'], ['--memory', 'missing']), (['--memroy', '1G'], ["did you mean '--memory'"]),
                        (['--show=1'], ['--show', 'no value']), (['second'], ['second', 'one image'])):
        fails('run', HALT, *args, texts=texts)
    fails('run', texts=['image is missing'])
    fails('run', '/no/such/image', texts=['/no/such/image', 'No such file'])
    fails('run', SCRATCH, texts=[SCRATCH, 'directory'])


@test
def words_are_only_words_where_they_should():
    fails('./run', texts=['./run'])
    fails('-S', 'run', texts=['run', 'disk images'])
    link = os.path.join(SCRATCH, 'qemu-system-x86_64')
    os.symlink(RHEA, link)
    p = subprocess.run([link, 'check'], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert p.returncode == 1 and 'disk images' in p.stderr, p.stderr  # an image of that name
    assert 'rhea run IMAGE' in rhea('-h')[0]
    for word in ('run', 'check', 'monitor'):
        assert f'usage: rhea {word}' in rhea(word, '--help')[0]


@test
def words_near_to_commands():
    assert rhea('version')[0] == rhea('-version')[0] and 'run IMAGE' in rhea('help')[0]
    fails('runn', 'vmlinuz', texts=['runn', "did you mean 'run'"])
    fails('disk.img', texts=['disk images are not supported yet'])


# ---- rhea check ----

@test
def check_reports():
    out, _ = rhea('check', '--json')
    report = json.loads(out)
    names = [c['name'] for c in report['checks']]
    for name in ('cpu', 'kvm', 'memfd', 'memory', 'hugepages', 'limits', 'seccomp', 'libraries', 'firmware'):
        assert name in names, names
    assert report['usable'] is True and all(c['status'] in ('ok', 'note') and c['detail'] for c in report['checks']), report
    out, _ = rhea('check')
    assert 'Guests can run here.' in out and len(out.splitlines()) > len(names)
    fails('check', '--jsno', texts=['--jsno', '--json'])


@test
def check_and_the_start_agree_on_the_host_cpu():
    features = json.loads(rhea('check', '--json')[0])['cpu-features']
    docs = open(os.path.join(os.path.dirname(GUIDE), 'accelerators.md'), encoding='utf-8').read()
    rows = [f"| `{f['name']}` | {f['use']} | {f['without'] or 'required'} |" for f in features]
    assert '\n'.join(rows) in docs, rows
    for lack in ['all'] + [f['name'] for f in features]:
        required = any(f['name'] == lack and not f['without'] for f in features)
        seen = subprocess.run([RHEA, 'check', f'--host-cpu=-{lack}'], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (seen.returncode == 1) == required and (lack == 'all' or lack in seen.stdout), (lack, seen)
        start = subprocess.run([RHEA, '-M', 'none', '-display', 'none', '-accel', f'tcg,host-cpu=-{lack}', '-device', 'isa-serial,chardev=nosuch'],
                               capture_output=True, text=True, timeout=PATIENCE, check=False).stderr
        assert (f'lacks {lack} ' if required else "nosuch") in start, (lack, start)
    fails('check', '--host-cpu=-nosuch', texts=['-nosuch', '-movbe'])


@test
def check_fails_where_guests_cannot_run():
    p = subprocess.run(['sh', '-c', f'ulimit -v 1200000; exec {shlex.quote(RHEA)} check'], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if not p.stdout:
        raise Skip('this build needs more address space than that')
    assert p.returncode == 1 and 'ulimit -v unlimited' in p.stdout and 'cannot run' in p.stdout, p.stdout


# ---- Tab in a shell ----

@test
def the_shell_completes():
    script = os.path.join(os.path.dirname(GUIDE), '../scripts/rhea.bash-completion')
    if not shutil.which('bash'):
        raise Skip('there is no bash')
    for words, want in ((['-dae'], ['-daemonize']), (['-M', 'micro'], ['microvm']), (['-machine', 'pc-i'], ['pc-i440fx-7.2']),
                        (['-cpu', 'Skylake-Client-noTSX'], ['Skylake-Client-noTSX-IBRS']), (['-accel', 'tc'], ['tcg']), (['che'], ['check']),
                        (['-device', 'isa-debug-e'], ['isa-debug-exit']), (['-object', 'iot'], ['iothread']), (['-chardev', 'ring'], ['ringbuf']),
                        (['-d', 'in_'], ['in_asm']), (['-kernel', SCRATCH + '/halt.b'], [HALT])):
        line = ' '.join(shlex.quote(w) for w in [RHEA, *words])
        out = subprocess.run(['bash', '-c', f'source {shlex.quote(script)}; COMP_WORDS=({line}) COMP_CWORD={len(words)}; _rhea; '
                              'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert out.stdout.split() == want and not out.stderr, (words, out)


# ---- libraries ----

# What every run needs. Anything else is loaded by those who need it (util/library.h), since each library costs each start.
AT_START = r'lib(c|m|dl|pthread|rt|glib-2\.0|pcre2?-?8?|urcu-(qsbr|common)|jansson)\.so'
OF_SANITIZERS = r'lib(asan|ubsan|tsan|lsan|stdc\+\+|gcc_s)\.so'


def run_in(env, *args):
    """Standard output and standard error, and the exit code."""
    p = subprocess.run([RHEA, *args], env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace',
                       timeout=PATIENCE, check=False)
    return p.stdout + p.stderr, p.returncode


@test
def few_libraries_are_loaded_at_start():
    for args in (['-version'], ['-M', 'pc', '-nodefaults', '-display', 'none', '-kernel', '/no/such/kernel']):
        paths = re.findall(r'calling init: (\S+\.so\S*)', run_in({'LD_DEBUG': 'files'}, *args)[0])
        if not paths:
            raise Skip('this dynamic linker does not tell what it loads (LD_DEBUG)')
        allowed = f'ld-|{AT_START}' + (f'|{OF_SANITIZERS}' if any(re.search('/lib[atl]san', p) for p in paths) else '')
        surplus = [p for p in paths if not re.match(allowed, os.path.basename(p))]
        assert not surplus, f'{args}: {surplus} should be loaded at first use'


@test
def a_library_that_is_not_there():
    if 'seccomp' not in re.search(r'built with ([\w ]*)', run_in({}, 'check')[0]).group(1).split():
        raise Skip('this build has no libseccomp')
    folder = os.path.join(SCRATCH, 'libraries')
    os.mkdir(folder)
    scratch('libraries/libseccomp.so.2')
    env = {'LD_LIBRARY_PATH': folder, 'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}
    out, code = run_in(env, '-M', 'none', '-nodefaults', '-display', 'none', '-sandbox', 'on')
    assert code == 1 and all(text in out for text in ('-sandbox on: ', 'libseccomp.so.2', 'package libseccomp2')), out
    out, _ = run_in(env, 'check')
    assert 'package libseccomp2' in out, out


# ---- rhea monitor ----

@test
def monitor_on_a_pipe():
    with Background('-M', 'none', '-S') as b:
        out, err = rhea('monitor', b.hmp, stdin=b'info status\n# nothing\nprint 6*7\ninfo\tversion')
        assert out.startswith('VM status: paused (prelaunch)\n42\n7.2.22') and '(qemu)' not in out and '\r' not in out and not err, (out, err)
        fails('monitor', b.hmp, stdin=b'x' * 1025 + b'\ninfo name\n', texts=['1025', '1024'])
        out, err = rhea('monitor', f'unix:{b.qmp}', stdin=b'query-status\n\n# nothing\nqom-get path=/machine property=type\n{"execute":\n'
                        b'"qom-list",\n"arguments": {"path": "/"}}\nhuman-monitor-command command-line="print 6 * 7"\n')
        texts = json.JSONDecoder()
        values, at = [], 0
        while at < len(out):
            value, at = texts.raw_decode(out, at)
            values.append(value)
            at += len(out[at:]) - len(out[at:].lstrip())
        assert values[0]['status'] == 'prelaunch' and values[1] == 'none-machine' and {'name': 'machine', 'type': 'child<none-machine>'} in values[2], out
        assert values[3] == '42\r\n', values
        out, err = rhea('monitor', b.qmp, stdin=b'nosuch\nqom-get path\nquery-name bogus=1\n{"x"]\nquery-name\n', code=1)
        assert all(t in err for t in ('CommandNotFound', 'name=value', "'bogus'", 'JSON')) and out == '{}\n', (out, err)
        fails('monitor', b.qmp, stdin=b'{"execute":', texts=['amid'])
        out, err = rhea('monitor', b.qmp, stdin=b'chardev-add id=c1 backend.type=null backend.data={}\nchardev-remove id=c1\nsystem_reset\nquery-status\n')
        assert 'event RESET {' in err and '"prelaunch"' in out, (out, err)
        out, _ = rhea('monitor', b.hmp, stdin=b'quit\n')
        assert b.p.wait(PATIENCE) == 0
    with Background('-M', 'none', '-S') as b:
        fails('monitor', b.hmp, stdin=b'quit\ninfo status\n', texts=['closed the connection'])
    fails('monitor', b.hmp, texts=[b.hmp, 'No such file'])
    fails('monitor', 'x' * 200, texts=['longer'])
    fails('monitor', 'tcp:nowhere', texts=['tcp:HOST:PORT'])
    fails('monitor', texts=['SOCKET'])


@test
def monitor_on_a_terminal():
    with Background('-M', 'none', '-S') as b:
        t = Terminal('monitor', b.hmp)
        t.wait_for('(qemu) ')
        t.type(b'info statu\t')
        t.wait_for('info status ')
        t.type(b'\r')
        t.wait_for('prelaunch')
        t.wait_for('(qemu) ')
        t.type(b'\x1b[A')  # recalls it
        t.wait_for('info status')
        t.type(b'\x03print 6*7\r')  # Ctrl-C: another line
        t.wait_for('\r\n42\r\n(qemu) ')
        t.type(b'abc\x04')  # amid a line: nothing
        t.wait_for('abc')
        t.type(b'\x03\x04')
        t.finish(0)
        t = Terminal('monitor', b.qmp)
        t.wait_for('(qmp) ')
        t.type(b'query-statu\t')
        t.wait_for('query-status')
        t.type(b'\r')
        t.wait_for('"prelaunch"')
        t.wait_for('(qmp) ')
        for typed, whole in ((b'dump-guest-memory prot', 'protocol='), (b'dump-guest-memory format=kdump-z', 'format=kdump-zlib '),
                             (b'chardev-add backend.type=pt', 'backend.type=pty '), (b'chardev-add backend.data.addr.data.pa', 'backend.data.addr.data.path='),
                             (b'device_add driver=isa-ser', 'driver=isa-serial '), (b'dump-guest-memory paging=t', 'paging=true '),
                             (b'object-add qom-type=iot', 'qom-type=iothread ')):
            t.type(typed + b'\t')
            t.wait_for(whole)
            t.type(b'\x15')
        t.type(b'query-status x\r')
        t.wait_for('expected name=value')
        t.type(b'nosuch\r')
        t.wait_for('Error (CommandNotFound)')
        t.wait_for('(qmp) ')
        t.type(b'\x1b[A\x1b[A')
        t.wait_for('query-status')
        t.type(b'\x03{"execute":\r')
        t.wait_for('...... ')
        t.type(b'"query-name"}\r')
        t.wait_for('{}')
        t.wait_for('(qmp) ')
        t.type(b'half a li')
        t.wait_for('half a li')
        rhea('monitor', b.hmp, stdin=b'system_reset\n')
        t.wait_for('event RESET')
        t.wait_for('(qmp) half a li')  # the line is still there
        t.type(b'\x03exit\r')
        t.finish(0)
        t = Terminal('monitor', b.qmp)
        t.wait_for('(qmp) ')
        t.p.send_signal(signal.SIGTERM)
        t.finish(0)
        t = Terminal('monitor', b.hmp)
        t.wait_for('(qemu) ')
        t.type(b'quit\r')
        t.wait_for('closed the connection')
        t.finish(0)


# ---- machine files ----

@test
def machine_files():
    js = scratch('m.json', json.dumps({'machine': {'type': 'none'}, 'S': True, 'no-reboot': False, 'name': 'one', 'm': 64, 'smp': {'cpus': 1},
                                       'object': [{'qom-type': 'secret', 'id': 's1', 'data': 'x,y'}, 'secret,id=s2,data=z']}).encode())
    ini = scratch('m.ini', b'# comment\n[machine]\n  type = "none"\n\n[name]\nguest="a,b"\n[object "s3"]\n qom-type = "secret"\n data = "q"\n[memory]\n size = "64M"\n')
    ask = b'info name\nqom-list /objects\nquit\n'
    out, _ = rhea('-readconfig', js, '-display', 'none', '-monitor', 'stdio', stdin=ask)
    assert 's1 (child<secret>)' in out and 's2 (' in out and '\r\none\r\n' in out, out
    out, _ = rhea('-readconfig', ini, '-S', '-display', 'none', '-monitor', 'stdio', stdin=ask)
    assert 'a,b' in out and 's3 (' in out, out
    # what is written reads the same
    written, _ = rhea('-readconfig', js, '-readconfig', ini, '-serial', 'null', '-serial', 'null', '-writeconfig', '-')
    value = json.loads(written)
    assert value['S'] is True and 'no-reboot' not in value and value['serial'] == ['null', 'null'], value
    assert value['machine'] == [{'type': 'none'}, 'type=none'] and len(value['object']) == 3 and value['name'][1] == 'guest=a,,b', value
    again = scratch('again.json', written.encode())
    assert json.loads(rhea('-readconfig', again, '-writeconfig', '-')[0]) == value
    path = os.path.join(SCRATCH, 'out.json')
    rhea('-M', 'none', '-writeconfig', path)
    assert json.load(open(path, encoding='utf-8')) == {'machine': 'none'}
    fails('-M', 'none', '-writeconfig', '/no/such/folder/x', texts=['/no/such/folder'])
    fails('-readconfig', '/no/such/file', texts=['-readconfig', '/no/such/file'])
    for content, texts in (('{', ['line 1']), ('{"kernle": "x"}', ['kernle', "'-kernel'"]), ('{"S": 1}', ["'S'", 'true']), ('{"smp": true}', ["'smp'"]),
                           ('{"kernel": {"a": 1}}', ["'kernel'"]), ('{"m": [[1]]}', ["'m'"]), ('{"readconfig": "x"}', ['readconfig']),
                           ('{"S": true, "S": true}', ['uplicate']), ('{"vnc": ":0"}', ['not supported yet']), ('[x', ['line 1', '[x']),
                           ('[kernel]', ['[kernel]', 'no keys']), ('\na="b"', ['line 2']), ('[machine]\ntype=none', ['line 2', 'key = "value"']),
                           ('[nosuch]', ['nosuch']), ('[drive]\nfile="x"', ['drive', 'not supported yet']), ('\xff', ['UTF-8'])):
        fails('-readconfig', scratch('bad', content.encode('latin1')), texts=['bad'] + texts)


QEMU_OPTIONS = '''accel acpitable action add-fd append async-teardown audio audio-help audiodev bios blockdev boot cdrom chardev chroot compat cpu D d
daemonize debugcon device dfilter display drive dtb dump-vmstate echr enable-kvm enable-sync-profile fda fdb fsdev full-screen fw_cfg gdb global
h hda hdb hdc hdd help icount incoming initrd iscsi k kernel L loadvm M m machine mem-path mem-prealloc mon monitor msg mtdblock name net netdev nic
no-acpi no-fd-bootchk no-hpet no-reboot no-shutdown no-user-config nodefaults nographic numa object only-migratable option-rom overcommit parallel
pflash pidfile plugin portrait preconfig qmp qmp-pretty readconfig rotate rtc runas S s sandbox sd seed serial set singlestep smbios smp snapshot
spice tb-size tpmdev trace usb usbdevice uuid version vga virtfs vnc watchdog-action win2k-hack xen-attach xen-domid xen-domid-restrict'''.split()


@test
def no_option_of_qemu_is_unknown():
    for option in QEMU_OPTIONS:
        p = subprocess.run([RHEA, '-' + option, '?', '-nosuch-option'], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert p.returncode == 1 and any(t in p.stderr for t in ('-nosuch-option', '?: disk', '-readconfig: cannot', f'-{option}: this option is not supported yet')), \
            f'-{option}: {p.stderr}'


@test
def the_guide_tells_of_each_option_of_qemu():
    with open(GUIDE, encoding='utf-8') as f:
        told = set(re.findall(r'`-([A-Za-z0-9_-]+)', f.read())) | {'hdb', 'hdc', 'help'}  # -hda to -hdd; -h
    assert not set(QEMU_OPTIONS) - told, f'docs/from-qemu.md does not mention {sorted(set(QEMU_OPTIONS) - told)}'


# ---- privileges ----

def status(pid, task):
    with open(f'/proc/{pid}/task/{task}/status', encoding='ascii') as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


@test
def runas_and_chroot():
    with open('/proc/self/uid_map', encoding='ascii') as f:
        every_user = f.read().split()[2] == str(2**32 - 1)
    if os.geteuid() == 0 and not every_user:
        fails('-M', 'none', '-display', 'none', '-S', '-runas', '65534:65533', texts=['-runas', 'only root'])
        raise Skip('root of a user namespace without other users')
    if os.geteuid() != 0:
        fails('-M', 'none', '-display', 'none', '-S', '-runas', 'nobody', texts=['-runas', 'only root'])
        fails('-M', 'none', '-display', 'none', '-S', '-chroot', SCRATCH, texts=['-chroot', 'only root'])
        raise Skip('the rest is for root')
    room = os.path.join(SCRATCH, 'room')
    os.mkdir(room)
    os.chmod(SCRATCH, 0o755)
    built_with = re.search(r'built with .*libcap_ng|built without (?!.*libcap_ng)', run_in({}, 'check', '--json')[0])
    gnutls = re.search(r'built with .*gnutls', run_in({}, 'check')[0])
    with Background('-M', 'pc', '-m', '64', '-smp', '2', '-accel', 'tcg', '-kernel', HALT, '-chroot', room, '-runas', '65534:65533', '-sandbox',
                    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny') as b:
        out, _ = rhea('monitor', b.hmp, stdin=b'stop\ncont\ninfo status\n')
        assert 'running' in out, out  # it lives
        tasks = os.listdir(f'/proc/{b.p.pid}/task')
        assert len(tasks) >= 3, tasks
        for task in tasks:
            s = status(b.p.pid, task)
            assert s['Uid'].split() == ['65534'] * 4 and s['Gid'].split() == ['65533'] * 4 and s['Groups'].split() == ['65533'], s
            assert int(s['CapEff'], 16) == int(s['CapPrm'], 16) == int(s['CapInh'], 16) == 0 and s['Seccomp'] == '2', s
            assert not built_with or int(s['CapBnd'], 16) == 0, s
        assert os.readlink(f'/proc/{b.p.pid}/root') == room
        _, err = rhea('monitor', b.qmp, stdin=b'chardev-add id=f backend={"type":"file","data":{"out":"/etc/x"}}\n', code=1)
        assert '/etc/x' in err, err  # there is no /etc there
        if gnutls:  # it is not in the room, but was loaded before
            rhea('monitor', b.qmp, stdin=b'object-add qom-type=tls-creds-anon id=tls\n')
        # no descriptor of a folder outside is a way out
        for fd in os.listdir(f'/proc/{b.p.pid}/fd'):
            assert not os.path.isdir(f'/proc/{b.p.pid}/fd/{fd}'), os.readlink(f'/proc/{b.p.pid}/fd/{fd}')
    # by name, in the background: the standard streams are closed all the same
    pidfile = os.path.join(SCRATCH, 'pid')
    rhea('-M', 'none', '-S', '-display', 'none', '-nodefaults', '-daemonize', '-pidfile', pidfile, '-chroot', room, '-runas', 'nobody', '-qmp',
         f'unix:{SCRATCH}/d,server=on,wait=off')
    with open(pidfile, encoding='ascii') as f:
        pid = int(f.read())
    try:
        assert os.readlink(f'/proc/{pid}/fd/0') == os.readlink(f'/proc/{pid}/fd/2') == '/dev/null'
        assert status(pid, pid)['Uid'].split()[0] == str(65534)
    finally:
        os.kill(pid, signal.SIGTERM)
    fails('-M', 'none', '-runas', 'no-such-user', texts=['no-such-user', 'UID:GID'])
    fails('-M', 'none', '-runas', '0:0', texts=['-runas 0:0'])
    fails('-M', 'none', '-display', 'none', '-S', '-chroot', '/no/such/folder', texts=['-chroot /no/such/folder', 'No such file'])


main()
