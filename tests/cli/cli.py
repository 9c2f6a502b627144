#!/usr/bin/env python3
# tests/cli/cli.py: what the command line does with good and bad input. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""cli.py RHEA"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import HALT, PATIENCE, RHEA, SCRATCH, Terminal, environment, scratch
from client import connect  # found by harness
from tap import finish, report


def bzimage(protocol=0x20f, setup_sects=1, size=8192):
    """Looks like a Linux bzImage as far as its header goes."""
    b = bytearray(size)
    b[0x1f1] = setup_sects
    b[0x1fe:0x200] = b'\x55\xaa'
    b[0x202:0x206] = b'HdrS'
    b[0x206:0x208] = protocol.to_bytes(2, 'little')
    return bytes(b)


def elf(machine, size=64):
    b = bytearray(max(size, 64))
    b[0:8] = b'\x7fELF\x02\x01\x01\x00'
    b[16:20] = (2).to_bytes(2, 'little') + machine.to_bytes(2, 'little')
    b[20:24] = (1).to_bytes(4, 'little')
    b[32:40] = (64).to_bytes(8, 'little')
    b[52:58] = (64).to_bytes(2, 'little') + (56).to_bytes(2, 'little') + (0).to_bytes(2, 'little')
    return bytes(b[:size])


EMPTY = scratch('empty')
GARBAGE = scratch('garbage', bytes(range(256)) * 64)
TRUNCATED = scratch('truncated', bzimage()[:600])
ARM = scratch('arm64.elf', elf(183))
SHORT_ELF = scratch('short.elf', elf(62, 40))
BIG = os.path.join(SCRATCH, 'big')
with open(BIG, 'wb') as sparse:
    sparse.truncate(2 << 30)
MEMORY = (f'-object memory-backend-ram,id=a,size=64M -object memory-backend-ram,id=b,size=64M -object memory-backend-ram,id=odd,size={(64 << 20) + 512} '
          f'-object memory-backend-file,id=ro,mem-path={BIG},size=64M,readonly=on -object iothread,id=null0 ')
READONLY = os.path.join(SCRATCH, 'missing-folder', 'serial.log')

# arguments → exit code, texts that must appear (in stderr for code 1, else stdout)
CASES = [
    ('-h', 0, ['QEMU emulator version 7.2.22 ', '-no-user-config', '-nodefaults', '-no-hpet', '-kernel']),
    ('-help', 0, ['QEMU emulator version 7.2.22 ']), ('--help', 0, ['usage:']),
    ('-version', 0, ['QEMU emulator version 7.2.22 (Rhea ']), ('--version', 0, ['QEMU emulator version']),
    ('-M help', 0, ['pc ']), ('-machine ?', 0, ['pc ']), ('-cpu help', 0, ['qemu64', 'max']),
    ('-accel help', 0, ['tcg']), ('-device help', 0, ['isa-serial']), ('-device ?', 0, ['"isa-debug-exit"']),
    ('-device isa-serial,help', 0, ['chardev']), ('-object help', 0, ['secret']), ('-object id=x,help', 0, ['secret']),
    ('-object secret,help', 0, ['keyid']), ('-chardev help', 0, ['stdio', 'socket', 'ringbuf']),
    ('-d help', 0, ['in_asm', 'guest_errors']),
    # what libguestfs and the KVM unit tests look for before anything else
    ('-display none -help', 0, ['-no-user-config', '-nodefaults', '-no-hpet']),
    ('-display none -machine accel=kvm:tcg -device ?', 0, ['name "isa-serial"', '"pc-testdev"']), ('-chardev ?', 0, ['testdev']),
    ('-M pc-i440fx-7.2,help', 0, ['hpet']), ('-M help', 0, ['pc-i440fx-7.2', 'alias']),
    ('-audiodev none', 1, ["'id'"]), ('-audiodev id=a', 1, ["'driver'"]), ('-audiodev alsa,id=a', 1, ['not supported yet', 'none']),
    ('-audiodev none,id=a,nosuch=1', 1, ['nosuch']), ('-audiodev none,id=a -audiodev {"driver":"none","id":"a"}', 1, ["'a'", 'in use']),

    ('-kernle x', 1, ['-kernle', "did you mean '-kernel'"]), ('-zzzzzz', 1, ['-zzzzzz', 'unknown option']),
    ('-kernel', 1, ['-kernel', 'argument is missing']), ('-vnc :0', 1, ['-vnc', 'not supported yet']),
    ('disk.img', 1, ['disk.img']),
    ('-M nosuch', 1, ['nosuch', 'pc']), ('-M pc,nosuch=1', 1, ['nosuch']), ('-M pc,=x', 1, ['=x']),
    ('-M pc,vmport=maybe', 1, ['vmport=maybe', 'on']),
    ('-cpu nosuch', 1, ['nosuch']), ('-cpu qemu64,+nosuch', 1, ['nosuch']), ('-cpu qemu64,level=many', 1, ['many']),
    ('-cpu Haswel', 1, ['Haswel', "did you mean 'Haswell'"]), ('-cpu max,help', 0, ['Recognized CPUID flags', 'Properties']),
    ('-cpu help', 0, ['Recognized CPUID flags', 'pclmulqdq']), ('-cpu qemu64,npt=off,-vmx-ept,rdctl-no=off,+nosuch', 1, ['no feature "nosuch"']),
    ('-cpu qemu64,+npt,vmx-vnmi=on,+nosuch', 1, ["'npt' is not supported yet", "'vmx-vnmi' is not supported yet"]),
    ('-M pcc', 1, ["did you mean 'pc'"]), ('-kernel /no/such/kernel', 1, ["could not open kernel file '/no/such/kernel'"]),
    ('-accel nosuch', 1, ['nosuch', 'tcg']), ('-accel tcg,nosuch=1', 1, ['nosuch']),
    ('-m 0', 1, ['-m 0', 'RAM']), ('-m 100K', 1, ['-m 100K']), ('-m lots', 1, ['lots', 'size']), ('-m -5', 1, ['-5']),
    ('-m 99999999T', 1, ['-m 99999999T']), ('-m 200T -kernel %s' % TRUNCATED, 1, ['RAM']),
    ('-m 512,slots=4,maxmem=4G', 1, ['not supported']), ('-m 512,maxmem=256', 1, ['maxmem']), ('-m 512,foo=1', 1, ["'foo'"]),
    ('-smp 0', 1, ['-smp 0']), ('-smp 300', 1, ['300', 'at most']), ('-smp 3,sockets=2', 1, ['topology']),
    ('-smp 4,maxcpus=2', 1, ['maxcpus=2']), ('-smp many', 1, ['many']), ('-smp 2,thraeds=2', 1, ['threads']),
    ('-kernel /no/such/kernel', 1, ['/no/such/kernel', 'No such file']), ('-kernel %s' % SCRATCH, 1, [SCRATCH]),
    ('-kernel %s' % EMPTY, 1, [EMPTY]), ('-kernel %s' % GARBAGE, 1, [GARBAGE]), ('-kernel %s' % TRUNCATED, 1, [TRUNCATED]),
    ('-kernel %s' % ARM, 1, [ARM]), ('-kernel %s' % SHORT_ELF, 1, [SHORT_ELF]),
    ('-kernel %s -initrd %s -m 64' % (HALT, BIG), 1, [BIG, '-m']), ('-kernel %s -initrd /no/initrd' % HALT, 1, ['/no/initrd']),
    ('-initrd x', 1, ['-initrd', '-kernel']), ('-append x', 1, ['-append', '-kernel']),
    ('-serial file:%s' % READONLY, 1, [READONLY, 'No such file']), ('-serial nosuch', 1, ['nosuch', 'stdio']),
    ('-serial chardev:none-such', 1, ['none-such']), ('-serial null -serial null -serial null -serial null -serial null', 1, ['4 serial']),
    ('-serial stdio -monitor stdio', 1, ['stdio', 'in use']),
    ('-chardev nosuch,id=a', 1, ['nosuch', 'stdio']), ('-chardev null', 1, ["'id'"]),
    ('-chardev null,id=a -chardev null,id=a', 1, ['a', 'exists']), ('-chardev file,id=a', 1, ['path']),
    ('-chardev socket,id=a,path=/no/such/socket', 1, ['/no/such/socket']), ('-mon chardev=x', 1, ['x']),
    ('-chardev null,id=m -mon chardev=m,mode=sideways', 1, ['mode=sideways', 'readline']),
    ('-device nosuch', 1, ['nosuch']), ('-device isa-serail', 1, ["did you mean 'isa-serial'"]),
    ('-device isa-debug-exit,nosuch=1', 1, ['nosuch']), ('-device isa-debug-exit,iobase=many', 1, ['iobase', 'many']),
    ('-device isa-serial,chardev=nobody', 1, ['nobody']), ('-device isa-debug-exit,id=0x', 1, ['0x']),
    ('-device {"driver":"isa-debug-exit"', 1, ['JSON']), ('-device nosuch,help', 1, ['nosuch']),
    ('-object nosuch,id=a', 1, ['nosuch']), ('-uuid 1234', 1, ['1234', 'UUID']), ('-rtc base=never', 1, ['never', 'utc']),
    ('-rtc clock=sun', 1, ['sun', 'host']), ('-display gtk', 1, ['gtk', 'none']), ('-nic user', 1, ['user', 'none']),
    ('-d nosuch', 1, ['nosuch']), ('-D /no/such/folder/log', 1, ['/no/such/folder/log']), ('-global nonsense', 1, ['nonsense']),
    ('-sandbox on,spawn=maybe', 1, ['spawn=maybe', 'deny']), ('-boot order=1', 1, ["'1'"]), ('-overcommit cpu-pm=on -M none -kernle x', 1, ['-kernle']), ('-overcommit cpu-pm=maybe', 1, ['cpu-pm=maybe']), ('-action reboot=fly', 1, ['fly', 'shutdown']),
    ('-object secret,id=s,file=/dev/zero', 1, ['/dev/zero', 'larger']), ('-fw_cfg name=opt/x,file=/dev/zero', 1, ['/dev/zero', 'larger']),
    ('-action watchdog=sleep', 1, ['watchdog=sleep', 'inject-nmi']), ('-add-fd fd=77,set=1', 1, ['77']), ('-add-fd set=1', 1, ['fd=']),
    ('-M none -daemonize -serial stdio', 1, ['-serial stdio', '-daemonize']), ('-M none -daemonize -qmp stdio', 1, ['-qmp stdio', '-daemonize']),
    ('-chardev nosuch,help', 1, ['nosuch', 'stdio']), ('-chardev socket,id=a,host=localhost,port=99999', 1, ["'99999'", '65535']),
    ('-qmp tcp:localhost:0', 1, ["'0'", '65535']), ('-device VGA', 1, ["'VGA' is not supported yet"]),
    ('-device virtio-net-pci,netdev=x', 1, ["'virtio-net-pci' is not supported yet"]), ('-M pc-i440fx-9.2', 1, ["'pc-i440fx-9.2'", 'pc-i440fx-7.2']),
    ('-M pc-i440fx-2.0 -kernel /bin/true', 1, ['pc-i440fx-7.2 stands in', "'/bin/true' is a program"]), ('-parallel null -kernel /no', 1, ["'/no'"]),
    ('-M none -daemonize -nographic', 1, ['-nographic cannot be used with -daemonize', '-display none']),
    ('-numa node -M none', 1, ['-numa', "'none'"]), ('-numa node -M pc,acpi=off', 1, ['-numa', 'acpi=on']), ('-numa bogus', 1, ['bogus', 'node, dist']),
    ('-numa node,mem=100', 1, ['100 MiB', '128 MiB']), ('-numa node,cpus=4', 1, ['node 0', '-smp']), ('-numa node,cpus=3-1', 1, ['3-1', 'FIRST-LAST']),
    ('-numa node,nodeid=1', 1, ['node 0 is missing']), ('-numa node,nodeid=128', 1, ['128']), ('-numa node,memdev=x', 1, ["nodeid=0,memdev=x", "'x'"]),
    ('-numa node,memdev=x,mem=1M', 1, ['mem=1M', 'memdev=x']), ('-numa node,memdev=x -numa node', 1, ['node 0', 'memdev=x', 'node 1']),
    ('-numa node -numa node,memdev=x', 1, ['node 1', 'memdev=x', 'node 0']), (MEMORY + '-numa node,memdev=a -m 128', 1, ['67108864', '134217728', '-m']),
    (MEMORY + '-numa node,memdev=a -numa node,memdev=a', 1, ['nodeid=1,memdev=a', 'in use already']), (MEMORY + '-numa node,memdev=odd', 1, ['memdev=odd', '67109376', '4 KiB']),
    (MEMORY + '-numa node,memdev=a -M pc,memory-backend=b', 1, ['memory-backend=b', 'memdev=']), (MEMORY + '-numa node,memdev=null0', 1, ["'null0'"]),
    (MEMORY + '-numa node,memdev=a -M pc,memory-backend=a', 1, ['memory-backend=a', 'memdev=']), (MEMORY + '-numa node,memdev=ro', 1, ['memdev=ro', 'readonly']),
    ('-numa node -numa node,nodeid=0', 1, ['node 0', 'already']), ('-numa cpu,node-id=0,core-id=0', 1, ['node-id=0', 'no such node']),
    ('-numa node,cpus=0 -numa node,cpus=0', 1, ['CPU 0', 'already']), ('-numa node -numa cpu,node-id=0', 1, ['socket-id']),
    ('-numa node -numa cpu,node-id=0,core-id=9', 1, ['node 0', '-smp']), ('-numa node -numa node -numa dist,src=0,dst=1,val=10', 1, ['val=10', '11']),
    ('-numa node -numa dist,src=0,dst=0,val=20', 1, ['val=20', '10']), ('-numa node,bogus=1', 1, ["'bogus'"]),
    ('-pidfile /no/such/folder/pid -S -display none', 1, ['/no/such/folder/pid']),
    ('-accel tcg -cpu qemu64,hv-relaxed', 1, ['Hyper-V', '-accel kvm']), ('-cpu qemu64,hv-nonsense', 1, ['hv-nonsense', 'hv-vapic']),
    ('-cpu qemu64,hv-spinlocks=no', 1, ['hv-spinlocks=no', '0xfff']), ('-cpu qemu64,tsc-freq=fast', 1, ['tsc-freq=fast', '100G']),
    ('-accel tcg -M pc,bus-lock-ratelimit=5', 1, ['bus-lock-ratelimit', '-accel kvm']),
    ('-global kvm-pit.lost_tick_policy=slew', 1, ['lost_tick_policy', 'slew', 'discard']),
    ('-echr long', 1, ['long']), ('-dtb /no/such/dtb -kernel %s' % GARBAGE, 1, [GARBAGE]),
]

# Properties are looked at before the host is.
KVM_CASES = [
    ('-chardev socket,help', 0, ['reconnect']), ('-display help', 0, ['none']), ('-audiodev help', 0, ['none']),
    ('-accel kvm,help', 0, ['kernel-irqchip', 'notify-window', 'kvm-shadow-mem']),
    ('-accel kvm,nosuch=1', 1, ['nosuch', 'dirty-ring-size', 'notify-vmexit']),
    ('-accel kvm,dirty-ring-size=1000', 1, ['dirty-ring-size=1000', 'power of two']),
    ('-accel kvm,kvm-shadow-mem=1k', 1, ['kvm-shadow-mem=1k', '1M']), ('-accel kvm,notify-vmexit=never', 1, ['never', 'internal-error']),
    ('-accel kvm,dirty-ring-size=1000 -accel tcg', 1, ['dirty-ring-size=1000']), ('-accel tcg -accel kvm,nosuch=1', 1, ['nosuch']),
    ('-accel kvm:tcg,kernel-irqchip=off', 1, ['kvm:tcg', 'an -accel option of its own']),
    ('-accel kvm,device=/', 1, ['-accel kvm,device=/: /: Is a directory', '-accel tcg']),
    ('-accel kvm,device=/no/kvm', 1, ['/no/kvm: No such file', 'modprobe']),
    ('-accel kvm,device=%s' % GARBAGE, 1, [GARBAGE, "not KVM's device", '-accel tcg']),
    ('-machine accel=tcg -accel kvm', 1, ['-machine accel=tcg', '-accel kvm', 'one of them']),
    ('-accel tcg -enable-kvm', 1, ['-accel tcg', '-enable-kvm', 'one of them']),
    ('-machine accel=nosuch -enable-kvm -machine accel=tcg -cpu nosuch', 1, ['-cpu nosuch']),
    ('-accel kvm,kernel-irqchip=maybe', 1, ['maybe', 'split']), ('-accel kvm,notify-window=-1', 1, ['notify-window=-1']),
]


def run_case(text, code, wanted):
    name, args = text.replace(SCRATCH + '/', ''), text.split()
    if code and not {'-kernel', '-initrd', '-append'} & set(args):
        args = ['-kernel', HALT] + args
    try:
        p = subprocess.run([RHEA] + args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
                           errors='replace')
    except subprocess.TimeoutExpired:
        report(False, name, f'still running after {PATIENCE} s')
        return
    out = p.stderr if code else p.stdout
    missing = [w for w in wanted if w not in out]
    lines = p.stderr.strip().splitlines()
    ok = p.returncode == code and not missing and (code == 0 or 1 <= len(lines) <= 3)
    report(ok, name, f'exit code {p.returncode}, missing {missing}\n{p.stderr}\n{p.stdout[:500] if code else ""}')


def ends(t, name, *codes, text=''):
    """It leaves the terminal as it was, with one of the exit codes; text was printed."""
    try:
        t.finish(*codes)
        report(text in t.text, name, t.text)
    except AssertionError as e:
        report(False, name, e)


def terminal_cases():
    idle = ['-M', 'pc', '-m', '64', '-kernel', HALT, '-S', '-nographic']
    ends(Terminal('-nographic', '-kernel', '/no/such/kernel'), 'terminal after an error', 1, text='/no/such/kernel')
    for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        t = Terminal(*idle)
        t.wait_until_raw()
        t.type(b'\x01h')
        t.wait_for('exit emulator')  # the main loop runs
        t.p.send_signal(signo)
        ends(t, f'terminal after {signo.name}', 0, text=f'terminating on signal {int(signo)}')
    t = Terminal(*idle)
    t.wait_until_raw()
    t.p.send_signal(signal.SIGTERM)  # maybe while the machine is still set up: either way of ending will do
    ends(t, 'terminal after an early SIGTERM', 0, -signal.SIGTERM)
    t = Terminal(*idle)
    t.wait_until_raw()
    t.p.send_signal(signal.SIGABRT)
    ends(t, 'terminal after SIGABRT', -signal.SIGABRT)
    t = Terminal(*idle)
    t.wait_until_raw()
    for keys, answer in ((b'\x01h', 'exit emulator'), (b'\x01c', '(qemu) '), (b'info status\r', 'VM status: paused (prelaunch)'),
                         (b'nosuch\r', "unknown command: 'nosuch'")):
        t.type(keys)
        t.wait_for(answer)
    t.type(b'\x01x')
    ends(t, 'monitor behind Ctrl-A c; Ctrl-A x leaves', 0)
    monitor = os.path.join(SCRATCH, 'main-loop')
    t = Terminal(*idle[:-1], '-serial', 'stdio', '-display', 'none', '-qmp', f'unix:{monitor},server=on,wait=off')
    connect(monitor, negotiate=False).close()  # who greets runs the main loop
    t.type(b'\x03')  # Ctrl-C: the session has no controlling terminal, so it must at least not kill the guest's input
    t.p.terminate()
    ends(t, 'terminal after SIGTERM with -serial stdio', 0)


def pipe_cases():
    p = subprocess.Popen([RHEA, '-M', 'pc', '-m', '64', '-kernel', HALT, '-S', '-display', 'none', '-monitor', 'stdio'], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = p.communicate(b'info status\ninfo chardev\nquit\n', timeout=PATIENCE)
    report(p.returncode == 0 and b'paused' in out and b'compat_monitor0' in out, 'monitor on a pipe', out + err)

    args = ['-M', 'pc', '-m', '64', '-kernel', HALT, '-display', 'none', '-monitor', 'stdio', '-smp', '2', '-sandbox',
            'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny']
    p = subprocess.run([RHEA, *args], input=b'stop\ncont\ninfo cpus\nquit\n',
                       capture_output=True, timeout=PATIENCE, check=False, env=environment(args))
    report(p.returncode == 0 and b'CPU #1' in p.stdout, 'a machine in the sandbox', p.stdout + p.stderr)

    p = subprocess.Popen([RHEA, '-M', 'pc', '-m', '64', '-kernel', HALT, '-S', '-display', 'none', '-monitor', 'stdio'], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.close() # a reader that has gone: SIGPIPE must not kill
    try:
        p.stdin.write(b'help\nhelp\nquit\n')
        p.stdin.close()
    except BrokenPipeError:
        pass
    code = p.wait(timeout=PATIENCE)
    p.stderr.close()
    report(code == 0, 'output to a closed pipe', code)

    pidfile = os.path.join(SCRATCH, 'pid')
    socket = os.path.join(SCRATCH, 'monitor.sock')
    p = subprocess.run([RHEA, '-M', 'pc', '-m', '64', '-kernel', HALT, '-S', '-display', 'none', '-daemonize', '-pidfile', pidfile, '-chardev',
                        f'socket,id=m,path={socket},server=on,wait=off', '-mon', 'm'], capture_output=True, timeout=PATIENCE, check=False)
    ok, pid = p.returncode == 0 and os.path.exists(pidfile) and os.path.exists(socket), 0
    if ok:
        with open(pidfile, encoding='ascii') as f:
            pid = int(f.read())
        again = subprocess.run([RHEA, '-M', 'pc', '-m', '64', '-kernel', HALT, '-S', '-display', 'none', '-pidfile', pidfile], capture_output=True,
                               timeout=PATIENCE, check=False)
        ok = again.returncode == 1 and b'locked' in again.stderr
        os.kill(pid, signal.SIGTERM)
        for _ in range(200):
            if not os.path.exists(pidfile):
                break
            time.sleep(0.05)
        ok = ok and not os.path.exists(pidfile)
    report(ok, 'daemonize and pidfile', p.stderr)


def probe_cases():
    """Clients that only ask what there is, without a kernel."""
    for options in ('-display none -machine accel=kvm:tcg -qmp stdio', '-S -M pc -qmp stdio', '-M microvm -display none -qmp stdio'):
        asked = ('qmp_capabilities', 'query-status', 'cont', 'system_reset', 'query-status', 'quit')
        p = subprocess.run([RHEA, *options.split()], input=''.join('{"execute": "%s"}' % x for x in asked), capture_output=True, text=True,
                           timeout=PATIENCE, check=False)
        states = re.findall(r'"status": "([a-z]+)"', p.stdout)
        want = ['prelaunch' if '-S' in options else 'running', 'running']
        report(p.returncode == 0 and states == want and 'nothing to boot' in p.stderr, options, p.stdout + p.stderr)


def unused_cases():
    """A machine that boots nothing says so of each option about booting."""
    for option in ('-kernel /no/such', '-initrd x', '-append x', '-dtb x', '-bios x', '-fw_cfg name=opt/x,string=y', '-smbios type=1'):
        p = subprocess.run([RHEA, '-M', 'none', '-display', 'none', '-monitor', 'stdio', *option.split()], input='quit\n', capture_output=True,
                           text=True, timeout=PATIENCE, check=False)
        report(p.returncode == 0 and f"{option}: machine 'none' boots nothing" in p.stderr, f'-M none {option}', p.stderr)
    with open('/dev/full', 'w', encoding='ascii') as full:
        for args in (['-h'], ['-version'], ['help'], ['-cpu', 'help'], ['-device', 'help'], ['check', '--json']):
            p = subprocess.run([RHEA, *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
            report(p.returncode == 1 and 'standard output: No space left on device' in p.stderr, f'{args} > /dev/full', p.stderr)


def argv0_cases():
    link = os.path.join(SCRATCH, 'qemu-system-x86_64')
    if not os.path.islink(link):
        os.symlink(os.path.abspath(RHEA), link)
    out = subprocess.run([link, '-M', 'help'], capture_output=True, text=True, timeout=PATIENCE, check=False)
    report(out.returncode == 0 and 'pc ' in out.stdout, 'invoked as qemu-system-x86_64', out.stderr)
    out = subprocess.run([link, '-nosuch'], capture_output=True, text=True, timeout=PATIENCE, check=False)
    report(out.stderr.startswith('qemu-system-x86_64: -nosuch'), 'messages name the program', out.stderr)


has_kvm = b'kvm' in subprocess.run([RHEA, '-accel', 'help'], stdout=subprocess.PIPE, check=False).stdout
for row in CASES + (KVM_CASES if has_kvm else []):
    run_case(*row)
if has_kvm and not os.access('/dev/kvm', os.R_OK | os.W_OK):
    for given in '-enable-kvm', '-accel kvm', '-machine accel=kvm':
        run_case(given, 1, [f'{given}: /dev/kvm: ', '-accel tcg'])
terminal_cases()
pipe_cases()
argv0_cases()
probe_cases()
shutil.rmtree(SCRATCH)
sys.exit(finish())
