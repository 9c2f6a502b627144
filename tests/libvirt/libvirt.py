#!/usr/bin/env python3
# tests/libvirt/libvirt.py: a libvirtd of the test's own starts the emulator and works it through its life. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirt.py RHEA GUESTS INITRD

libvirtd runs in session mode, with all of its folders in a scratch folder, so that another one on this machine is not
disturbed and no privileges are needed; if root runs the test, its programs run as `nobody`. An outer process adopts and reaps
what libvirtd puts into the background, and ends all of it when the test is over."""
import ctypes
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import traceback
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from tap import TESTS, comment, test, verdict  # noqa: E402

PATIENCE = 120  # seconds; far more than is ever needed on an idle machine
NOBODY = 65534
# Who the programs run as: arguments of subprocess.Popen.
USER = {} if os.getuid() else {'user': NOBODY, 'group': NOBODY, 'extra_groups': []}
PR_SET_CHILD_SUBREAPER = 36
PATH = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'
NAME = 'rhea'
UUID = '2b1c6f0e-7c1c-4f43-9f0e-4e7f1c0a9d11'


def wait_until(what, condition):
    deadline = time.time() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.time() < deadline, f'timed out waiting until {what}'
        time.sleep(0.02)


class Daemon:
    """libvirtd with its files below `root`, which has bin/qemu-system-x86_64, kernel and initrd."""

    def __init__(self, root):
        self.root, self.process = root, None
        self.env = {'PATH': f'{root}/bin:{PATH}', 'LC_ALL': 'C.UTF-8', 'HOME': root, 'LIBVIRT_AUTOSTART': '0',
                    'XDG_RUNTIME_DIR': f'{root}/run',
                    **{f'XDG_{x.upper()}_HOME': f'{root}/{x}' for x in ('config', 'cache', 'data')}}
        for d in ('bin', 'config', 'config/libvirt', 'run', 'cache', 'data'):
            os.makedirs(f'{root}/{d}', exist_ok=True)
        for folder, _, files in os.walk(root):
            for x in ['.', *files] if USER else []:
                os.chown(os.path.join(folder, x), NOBODY, NOBODY)
        # Consoles and logs are plain files: virtlogd would be one more daemon that outlives us.
        with open(f'{root}/config/libvirt/qemu.conf', 'w', encoding='ascii') as f:
            f.write('stdio_handler = "file"\nsecurity_driver = "none"\n')

    def start(self):
        with open(f'{self.root}/libvirtd.log', 'ab') as log:
            self.process = subprocess.Popen(['libvirtd', '--pid-file', f'{self.root}/libvirtd.pid'], env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, **USER)

        def answers():
            assert self.process.poll() is None, f'libvirtd ended: {self.log()}'
            return not self.try_virsh('uri').returncode
        wait_until('libvirtd answers', answers)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def argv(self, *args):
        return ['virsh', '-c', 'qemu:///session', *args]

    def try_virsh(self, *args):
        return subprocess.run(self.argv(*args), env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
                              **USER)

    def virsh(self, *args):
        p = self.try_virsh(*args)
        assert p.returncode == 0, f'virsh {" ".join(args)}: {p.stderr.strip()}'
        return p.stdout.strip()

    def state(self, name=NAME):
        return self.virsh('domstate', '--reason', name)

    def wait_state(self, state, name=NAME):
        wait_until(f'{name} is {state}', lambda: self.state(name) == state)

    def log(self, name=NAME):
        """The last lines that the emulator and libvirtd wrote."""
        text = ''
        for path in (f'{self.root}/cache/libvirt/qemu/log/{name}.log', f'{self.root}/libvirtd.log'):
            if os.path.exists(path):
                with open(path, encoding='utf-8', errors='replace') as f:
                    text += f'{path}: {f.read()[-1500:]}\n'
        return text


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, env):
        pid, self.fd = pty.fork()
        if pid == 0:
            if USER:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.execvpe(argv[0], argv, env)
        self.pid, self.text = pid, ''

    def expect(self, pattern, patience=PATIENCE):
        """Wait for a match; it and what was before it is forgotten."""
        deadline = time.time() + patience
        while True:
            m = re.search(pattern, self.text)
            if m:
                self.text = self.text[m.end():]
                return m
            left = deadline - time.time()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise TimeoutError(f'timed out waiting for {pattern!r}; there is {self.text[-1000:]!r}')
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b''
            assert data, f'the terminal closed while waiting for {pattern!r}; there is {self.text[-1000:]!r}'
            self.text += data.decode(errors='replace').replace('\r', '')

    def send(self, text):
        os.write(self.fd, text.encode())

    def run(self, command, pattern):
        """In the guest's shell. What is typed is echoed: the pattern must not match it."""
        self.send(command + '\n')
        return self.expect(pattern)

    def close(self):
        os.close(self.fd)
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


def console(d):
    """The guest's shell. virsh throws away what is typed before it has made its terminal raw."""
    tty = Terminal(d.argv('console', NAME, '--force'), d.env)
    wait_until('virsh console is connected', lambda: not termios.tcgetattr(tty.fd)[3] & termios.ICANON)
    tty.run('\necho ready $((6*6))', 'ready 36')
    return tty


def lifecycle(d):
    """What virsh tells of the domain, from when it listens. It does not say when that is: until then defining the domain anew has no echo."""
    tty = Terminal(d.argv('event', '--loop', '--domain', NAME, '--event', 'lifecycle'), d.env)

    def listens():
        d.virsh('define', f'{d.root}/{NAME}.xml')
        try:
            return tty.expect('Defined Updated', patience=0.2)
        except TimeoutError:
            return None
    wait_until('virsh listens to events', listens)
    return tty


def domain(root, name, vcpu='<vcpu>1</vcpu>', os_='', general='<features><acpi/><apic/></features>', devices='<serial type="null"/>',
           after='', uuid=''):
    return f"""<domain type='qemu'>
  <name>{name}</name>{uuid}<memory unit='MiB'>192</memory>{vcpu}
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{root}/kernel</kernel><initrd>{root}/initrd</initrd>
    <cmdline>console=ttyS0 quiet</cmdline>{os_}</os>
  {general}
  <devices><emulator>{root}/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/><memballoon model='none'/>{devices}</devices>{after}
</domain>"""


def define(d, name, *args, **parts):
    path = f'{d.root}/{name}.xml'
    with open(path, 'w', encoding='ascii') as f:
        f.write(domain(d.root, name, *args, **parts))
    d.virsh('define', path)


# ---- the tests, in this order; each goes on where the one before it ended ----

@test
def capabilities(d, c):
    """What libvirt learns from its probe."""
    caps = ET.fromstring(d.virsh('domcapabilities', '--emulatorbin', f'{d.root}/bin/qemu-system-x86_64', '--virttype', 'qemu', '--machine', 'pc'))
    assert caps.findtext('domain') == 'qemu' and caps.findtext('machine') == 'pc-i440fx-7.2' and caps.findtext('arch') == 'x86_64'
    assert int(caps.find('vcpu').get('max')) >= 64
    modes = {m.get('name'): m for m in caps.findall('cpu/mode')}
    assert modes['maximum'].get('supported') == modes['host-model'].get('supported') == modes['custom'].get('supported') == 'yes'
    usable = {m.text: m.get('usable') for m in modes['custom'].findall('model')}
    assert usable['qemu64'] == usable['Nehalem'] == 'yes'
    assert caps.find("memoryBacking/enum[@name='sourceType']") is not None
    guests = ET.fromstring(d.virsh('capabilities')).findall('guest')
    assert [g for g in guests if g.find("arch[@name='x86_64']/domain[@type='qemu']") is not None], 'qemu-system-x86_64 is no emulator for x86_64'
    assert 'QEMU 7.2.22' in d.virsh('version')


@test
def define_and_start(d, c):
    define(d, NAME, vcpu='<vcpu>2</vcpu>', uuid=f'<uuid>{UUID}</uuid>', devices=f"""
        <serial type='pty'><log file='{d.root}/pty.log' append='on'/><target port='0'/></serial>
        <serial type='file'><source path='{d.root}/serial.log'/><target port='1'/></serial>
        <serial type='unix'><source mode='bind' path='{d.root}/serial.sock'/><target port='2'/></serial>""")
    assert ET.fromstring(d.virsh('dumpxml', NAME)).find('os/type').get('machine') == 'pc-i440fx-7.2'
    assert d.state() == 'shut off (unknown)'
    c.events = lifecycle(d)
    c.tty = Terminal(d.argv('start', NAME, '--console'), d.env)
    c.tty.expect('RHEA: ready')
    c.tty.run('echo answer $((6*7))', 'answer 42')
    assert d.state() == 'running (booted)'
    c.events.expect('Started Booted')


@test
def description(d, c):
    info = dict(re.findall(r'(.*?): +(.*)', d.virsh('dominfo', NAME)))
    assert info['State'] == 'running' and info['CPU(s)'] == '2' and info['Max memory'] == '196608 KiB' and info['UUID'] == UUID, info
    live = ET.fromstring(d.virsh('dumpxml', NAME))
    serial = live.find("devices/serial/[@type='pty']")
    assert serial.find('source').get('path').startswith('/dev/pts/') and serial.find('alias').get('name') == 'serial0'
    assert d.virsh('ttyconsole', NAME) == serial.find('source').get('path')
    assert d.virsh('domid', NAME) == live.get('id') and NAME in d.virsh('list', '--name')
    assert d.virsh('vcpuinfo', NAME).count('State:          running') == 2
    stats = dict(x.strip().split('=', 1) for x in d.virsh('domstats', NAME).splitlines() if '=' in x)
    assert stats['vcpu.current'] == '2' and stats['state.state'] == '1' and int(stats['vcpu.0.time']) > 0 and stats['block.count'] == '0', stats
    assert 'rss' in d.virsh('dommemstat', NAME)


@test
def serial_ports(d, c):
    """To a file, to a socket, and to a log beside the console."""
    c.tty.run('echo to the file > /dev/ttyS1; echo done $((1+1))', 'done 2')
    wait_until('the file has the line', lambda: open(f'{d.root}/serial.log', encoding='ascii').read().strip() == 'to the file')
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(f'{d.root}/serial.sock')
        c.tty.run('head -1 /dev/ttyS2 & sleep 1; echo to the socket > /dev/ttyS2', '# ')
        data = b''
        while b'to the socket' not in data:
            data += s.recv(4096)
        s.sendall(b'from the socket\n')
        c.tty.expect('from the socket')
    assert 'RHEA: ready' in open(f'{d.root}/pty.log', encoding='utf-8', errors='replace').read()


@test
def suspend_and_resume(d, c):
    d.virsh('suspend', NAME)
    assert d.state() == 'paused (user)'
    assert json.loads(d.virsh('qemu-monitor-command', NAME, '{"execute": "query-status"}'))['return']['status'] == 'paused'
    c.tty.send('echo still here $((3*3))\n')
    d.virsh('resume', NAME)
    assert d.state() == 'running (unpaused)'
    c.tty.expect('still here 9')
    c.events.expect('Suspended Paused')
    c.events.expect('Resumed Unpaused')


@test
def keys(d, c):
    d.virsh('send-key', NAME, 'KEY_A')
    c.tty.expect('RHEA: key')


@test
def nmi(d, c):
    d.virsh('inject-nmi', NAME)
    c.tty.expect('NMI received')


@test
def monitor(d, c):
    reply = json.loads(d.virsh('qemu-monitor-command', NAME, '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "type"}}'))
    assert reply['return'] == 'pc-i440fx-7.2-machine', reply
    assert d.virsh('qemu-monitor-command', NAME, '--hmp', 'info status') == 'VM status: running'
    assert json.loads(d.virsh('qemu-monitor-command', NAME, '{"execute": "nosuch"}'))['error']['class'] == 'CommandNotFound'
    assert 'unknown command' in d.virsh('qemu-monitor-command', NAME, '--hmp', 'nosuch')


@test
def reset(d, c):
    d.virsh('reset', NAME)
    c.tty.expect('RHEA: ready')
    assert d.state() == 'running (unpaused)'


@test
def console_again(d, c):
    c.tty.send('\x1d')
    c.tty.close()
    c.tty = console(d)


@test
def daemon_restart(d, c):
    """The domain goes on without libvirtd, and the next one finds it."""
    before = d.virsh('domid', NAME)
    c.tty.close()
    c.events.close()
    d.stop()
    d.start()
    assert d.state().startswith('running') and d.virsh('domid', NAME) == before
    c.tty, c.events = console(d), lifecycle(d)
    d.virsh('suspend', NAME)
    d.virsh('resume', NAME)
    c.events.expect('Resumed Unpaused')


@test
def reboot(d, c):
    """By the power button: libvirt starts the machine again when the guest has turned it off. By the guest itself."""
    d.virsh('reboot', NAME, '--mode', 'acpi')
    c.tty.expect('RHEA: power button')
    c.tty.expect('RHEA: ready')
    c.tty.run('reboot -f', 'RHEA: ready')
    assert d.state().startswith('running')


@test
def shutdown(d, c):
    d.virsh('shutdown', NAME, '--mode', 'acpi')
    c.tty.expect('RHEA: power button')
    d.wait_state('shut off (shutdown)')
    c.events.expect('Shutdown Finished')
    c.events.expect('Stopped Shutdown')
    c.tty.close()


@test
def power_off_by_the_guest(d, c):
    c.tty = Terminal(d.argv('start', NAME, '--console'), d.env)
    c.tty.expect('RHEA: ready')
    c.tty.send('poweroff -f\n')
    d.wait_state('shut off (shutdown)')
    c.events.expect('Shutdown Finished after guest request')
    c.tty.close()


@test
def destroy(d, c):
    d.virsh('start', NAME)
    d.virsh('destroy', NAME)
    assert d.state() == 'shut off (destroyed)'


@test
def death_of_the_emulator(d, c):
    d.virsh('start', NAME)
    with open(f'{d.root}/run/libvirt/qemu/run/{NAME}.pid', encoding='ascii') as f:
        os.kill(int(f.read()), signal.SIGKILL)
    d.wait_state('shut off (crashed)')


VARIANTS = {
    'timers': dict(general="""<features><apic/><pae/></features><cpu mode='maximum'/><clock offset='utc'><timer name='rtc' tickpolicy='catchup'/>
        <timer name='pit' tickpolicy='delay'/><timer name='hpet' present='no'/></clock>"""),
    'hostmodel': dict(general="<features><acpi/><vmcoreinfo state='on'/></features><cpu mode='host-model'/><clock offset='localtime'/>",
                      devices="<serial type='pty'/><panic model='isa'/>"),
    'nehalem': dict(vcpu='<vcpu>4</vcpu>', os_="<bootmenu enable='yes' timeout='3000'/><smbios mode='sysinfo'/>", general="""<sysinfo type='smbios'>
        <system><entry name='manufacturer'>Rhea</entry><entry name='serial'>123</entry></system></sysinfo>
        <memoryBacking><nosharepages/><source type='memfd'/><access mode='shared'/></memoryBacking>
        <cpu mode='custom' match='exact'><model fallback='forbid'>Nehalem</model><topology sockets='1' dies='1' cores='2' threads='2'/>
        <feature policy='disable' name='vme'/></cpu>"""),
    'numa': dict(vcpu='<vcpu>2</vcpu>', general='''<numatune><memory mode='strict' nodeset='0'/><memnode cellid='1' mode='preferred' nodeset='0'/></numatune><features><acpi/></features><cpu><numa><cell id='0' cpus='0' memory='96' unit='MiB'/>
        <cell id='1' cpus='1' memory='96' unit='MiB'/></numa></cpu>'''),
    'file': dict(vcpu="<vcpu current='1'>2</vcpu>", general="<memoryBacking><source type='file'/><allocation mode='immediate'/></memoryBacking>",
                 devices="<serial type='tcp'><source mode='bind' host='127.0.0.1' service='0'/><protocol type='telnet'/></serial>"),
}


@test
def variants(d, c):
    """Other shapes of domains, hence other options."""
    for name, parts in VARIANTS.items():
        define(d, name, **parts)
        d.virsh('start', name)
        d.wait_state('running (booted)', name)
        d.virsh('destroy', name)
        d.virsh('undefine', name)


@test
def what_is_not_there(d, c):
    """The emulator's message reaches the user, and the next domain starts."""
    define(d, 'wrong', after="""<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-device'/>
        <qemu:arg value='no-such-device'/></qemu:commandline>""")
    p = d.try_virsh('start', 'wrong')
    assert p.returncode and 'no-such-device' in p.stderr, p.stderr
    assert d.state('wrong') == 'shut off (failed)'
    d.virsh('undefine', 'wrong')


@test
def undefine(d, c):
    d.virsh('undefine', NAME)
    assert d.virsh('list', '--all', '--name') == ''
    c.events.close()


def run(root):
    class Context:
        tty = events = None
    d, c = Daemon(root), Context()
    print(f'1..{len(TESTS)}', flush=True)
    d.start()
    for f in TESTS:
        begin = time.time()
        try:
            f(d, c)
        except Exception:
            verdict(False, f.__name__)
            comment(traceback.format_exc() + d.log() + (f'console: {c.tty.text[-1000:]}' if c.tty else ''))
            print('Bail out! what follows goes on where this test ended')
            return 1
        verdict(True, f.__name__)
        comment(f'{time.time() - begin:.1f} s')
    d.stop()
    return 0


# ---- the outer process ----

def children():
    with open(f'/proc/self/task/{os.getpid()}/children', encoding='ascii') as f:
        return [int(x) for x in f.read().split()]


def end_all():
    while children():
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


def adopt(pid):
    """Reap whatever ends until process `pid` does; its exit code."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def provide(root, rhea, guests, initrd):
    """What the domains need, where the test's user can read it."""
    os.mkdir(f'{root}/bin')
    for source, name in ((rhea, 'bin/qemu-system-x86_64'), (f'{guests}/kernel-cloud', 'kernel'), (initrd, 'initrd')):
        if USER:
            shutil.copy(source, f'{root}/{name}')
        else:
            os.symlink(os.path.abspath(source), f'{root}/{name}')


def main():
    rhea, guests, initrd = sys.argv[1:4]
    for program in ('libvirtd', 'virsh'):
        if not shutil.which(program, path=PATH):
            print(f'1..0 # SKIP there is no {program}: install libvirt-daemon, libvirt-daemon-driver-qemu and libvirt-clients')
            return 0
    if not os.path.exists(f'{guests}/modules-cloud/evdev.ko'):
        print(f'1..0 # SKIP {guests} has no modules-cloud: run scripts/guests.sh {guests}')
        return 0
    root = tempfile.mkdtemp(prefix='rhea-libvirt-', dir='/tmp')  # socket paths are short
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.stdout.flush()
    try:
        provide(root, rhea, guests, initrd)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            code = 1
            try:
                code = run(root)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code)
        return adopt(pid)
    finally:
        end_all()
        shutil.rmtree(root)


if __name__ == '__main__':
    sys.exit(main())
