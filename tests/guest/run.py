#!/usr/bin/env python3
# tests/guest/run.py: boot a Debian kernel in the emulator and check what it says on its serial console.
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest tests. Every row of CASES is one test; 'run.py --list' names them, and
'run.py --emulator build/rhea --guests guests --initrd build/tests/guest/initrd.gz CASE' runs one.
Exit code 77 means skipped: the kernels were not fetched (scripts/guests.sh DIR)."""
import argparse
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

SHA256_OF_STREAM = '6e2f683a198d6434f945d04adb67d282c3f3b80f3cac0293822b38200d5b222f'
SKIPPED = 77


def case(kernel='cloud', smp=1, m=512, cpu='max', append='', end='poweroff', options=(), boots=1, selftest=True,
         code=0, shell=(), machine='pc', console='pipe', nodes=(), sleep=0, accel='tcg'):
    return dict(kernel=kernel, smp=smp, m=m, cpu=cpu, append=append, end=end, options=list(options), boots=boots,
                selftest=selftest, code=code, shell=list(shell), machine=machine, console=console, nodes=nodes,
                sleep=sleep, accel=accel)


CASES = {
    'cloud-max': case(),
    'cloud-qemu64': case(cpu='qemu64'),
    'generic-amd': case(kernel='generic', cpu='Opteron_G2', selftest=False),
    'cloud-epyc': case(cpu='EPYC,check=off', selftest=False),
    'cloud-haswell': case(cpu='Haswell,check=off', selftest=False),
    'cloud-skylake-server': case(cpu='Skylake-Server,check=off', selftest=False),
    'cloud-smp2': case(smp=2),
    'cloud-smp4-qemu64': case(smp=4, cpu='qemu64', m=1024),
    # more than xAPIC ids can tell apart: the kernel takes those that they can, and no two answer as one
    'cloud-smp258': case(smp=258, m=2048, selftest=False),
    'smp4-small-cache': case(smp=4, accel='tcg,tb-size=4', selftest=False),
    'cloud-128M': case(m=128),
    'cloud-2G': case(m=2048, selftest=False),
    'cloud-6G-smp2': case(m=6144, smp=2, selftest=False),
    'cloud-nokaslr': case(append='nokaslr'),
    'generic-max': case(kernel='generic'),
    'generic-qemu64-smp2': case(kernel='generic', cpu='qemu64', smp=2),
    'generic-nokaslr-smp4': case(kernel='generic', smp=4, append='nokaslr', selftest=False),
    'reboot': case(end='reboot', boots=2, selftest=False),
    'reboot-smp2': case(end='reboot', boots=2, smp=2, selftest=False),
    'no-reboot': case(end='reboot', options=['-no-reboot'], selftest=False),
    'panic-no-reboot': case(end='panic', append='panic=-1', options=['-no-reboot'], selftest=False),
    'nosmp-noapic': case(append='noapic nolapic nosmp', selftest=False),
    'hpet-off': case(options=['-no-hpet'], selftest=False),
    # clock events from the PIT in one-shot mode; a kernel that sees a TSC deadline timer would not even start it
    'acpi-off': case(append='acpi=off', end='reboot', boots=2, selftest=False),
    'pit-events': case(cpu='qemu64', append='nohpet nolapic_timer', selftest=False),
    'pit-and-pic': case(append='noapic nolapic nohpet', selftest=False),
    'hpet-off-nolapic': case(append='nolapic', options=['-no-hpet'], selftest=False),
    'clock': case(sleep=5, selftest=False),
    # nothing to measure the TSC with but the PM timer: CPUID tells its frequency
    'microvm-pit-off': case(machine='microvm,pit=off', selftest=False),
    'microvm-bare': case(machine='microvm,pit=off,pic=off,rtc=off', cpu='Skylake-Client,level=0x16,check=off', sleep=3, selftest=False),
    # by the reset vector, where nothing else resets
    'reboot-bios': case(append='reboot=b', end='reboot', boots=2, selftest=False),
    'microvm-acpi-off': case(machine='microvm', append='acpi=off', end='reboot', boots=2, selftest=False),
    'alarm': case(append='rhea.alarm=2', selftest=False),
    'alarm-hpet-off': case(append='rhea.alarm=2', options=['-no-hpet'], selftest=False),
    'alarm-acpi-alarm': case(append='rhea.alarm=2 rtc_cmos.use_acpi_alarm=1', selftest=False),
    'microvm': case(machine='microvm', smp=2, sleep=5, selftest=False),
    'console-socket': case(console='socket', selftest=False),
    # nodes: CPUs, MiB and distances of each. The second one's memory begins below 4 GiB and ends above.
    'numa': case(smp=4, m=4096, selftest=False, nodes=[('0,2', 2048, '10 15'), ('1,3', 2048, '15 10')],
                 options=['-numa', 'node,cpus=0,cpus=2,mem=2G', '-numa', 'node,cpus=1', '-numa', 'cpu,node-id=1,core-id=3', '-numa', 'dist,src=0,dst=1,val=15']),
    'numa-sockets': case(smp='4,sockets=2', m=600, selftest=False, nodes=[('0-1', 100, '10 20'), ('2-3', 500, '20 10')],
                         options=['-numa', 'node,mem=100', '-numa', 'node']),
    'numa-memdev': case(smp=2, m=4096, nodes=[('0', 1536, '10 20'), ('1', 2560, '20 10')],
                        options=['-object', 'memory-backend-memfd,id=high,size=2560M', '-object', 'memory-backend-ram,id=low,size=1536M',
                                 '-numa', 'node,memdev=low,cpus=0', '-numa', 'node,memdev=high,cpus=1']),
    'shell': case(end='shell', selftest=False, shell=['echo answer $((6*7))', 'exit']),
}


class Failed(Exception):
    pass


class Guest:
    """A running emulator, its serial console on our pipe."""

    def __init__(self, o, c):
        append = f"console=ttyS0 rhea.end={c['end']} {c['append']}"
        if not c['selftest']:
            append += ' rhea.selftest=off'
        if c['sleep']:
            append += f" rhea.sleep={c['sleep']}"
        argv = o.emulator.split() + [
            '-M', o.machine or c['machine'], '-cpu', c['cpu'], '-m', str(c['m']), '-smp', str(c['smp']), '-accel', c['accel'], '-nodefaults',
            '-display', 'none', '-kernel', f"{o.guests}/kernel-{c['kernel']}",
            '-initrd', o.initrd, '-append', append] + c['options']
        self.log, self.text, self.deadline = [], '', time.time() + o.timeout
        self.echo, self.folder, self.client = o.verbose, None, None
        argv += ['-serial', self.serial(c['console'])]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = self.process.stdout.fileno()
        if c['console'] == 'socket':
            self.dial()

    def serial(self, console):
        if console == 'pipe':
            return 'stdio'
        self.folder = tempfile.TemporaryDirectory()
        return f'unix:{self.folder.name}/console,server=on,wait=on'

    def dial(self):
        """Connect to the console's socket; an earlier connection is dropped."""
        if self.client:
            self.client.close()
        self.client = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.client.connect(f'{self.folder.name}/console')
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.time() > self.deadline or self.process.poll() is not None:
                    raise Failed('nobody listens on the console socket') from None
                time.sleep(0.01)
        self.output = self.client.fileno()

    def read(self):
        """More output into self.text; False at the end of it."""
        left = self.deadline - time.time()
        if left <= 0 or not select.select([self.output], [], [], left)[0]:
            raise Failed('timed out')
        raw = os.read(self.output, 65536)
        data = raw.decode(errors='replace').replace('\r', '')
        if self.echo:
            sys.stdout.write(data)
            sys.stdout.flush()
        self.log.append(data)
        self.text += data
        return bool(raw)

    def expect(self, pattern):
        """Wait for a match and forget the text up to its end."""
        while True:
            m = re.search(pattern, self.text)
            if m:
                self.text = self.text[m.end():]
                return m
            if re.search(r'RHEA: FAIL.*\n|Kernel panic.*\n', self.text) and 'panic' not in pattern:
                raise Failed(re.search(r'RHEA: FAIL.*|Kernel panic.*', self.text).group())
            if not self.read():
                raise Failed(f'the emulator ended while waiting for {pattern!r}')

    def type(self, line):
        self.process.stdin.write(line.encode() + b'\r')
        self.process.stdin.flush()

    def expect_exit(self, code):
        while self.read():
            pass
        got = self.process.wait(timeout=30)
        if got != code:
            raise Failed(f'exit code {got}, not {code}')

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.client:
            self.client.close()
        if self.folder:
            self.folder.cleanup()


def check_machine(guest, c):
    guest.expect(r'RHEA: init Linux x86_64 \d+\.\d+')
    kib = int(guest.expect(r'RHEA: memory (\d+)\n').group(1))
    missing = c['m'] * 1024 - kib
    if not 0 <= missing < 80 * 1024 + c['m'] * 1024 // 20:
        raise Failed(f"MemTotal is {kib} KiB of {c['m']} MiB")
    cpus = int(guest.expect(r'RHEA: cpus (\d+)\n').group(1))
    want = 1 if 'nosmp' in c['append'] else int(str(c['smp']).split(',', maxsplit=1)[0])
    want = min(want, 255) # a kernel without interrupt remapping leaves x2APIC mode
    if cpus != want:
        raise Failed(f'{cpus} CPUs, not {want}')
    for i, (cpulist, mib, distance) in enumerate(c['nodes']):
        m = guest.expect(rf'RHEA: node{i} cpus (\S*) memory (\d+) distance ([\d ]+)\n')
        missing = mib * 1024 - int(m.group(2))
        if m.group(1) != cpulist or m.group(3) != distance or not -2048 <= missing < (100 + mib // 20) * 1024:
            raise Failed(f'node {i}: {m.group()!r}, not CPUs {cpulist}, {mib} MiB, distance {distance}')


def check_clock(guest, seconds):
    """The guest's seconds are ours, to 2 %; this host may be late to tell us, but never early."""
    guest.expect('RHEA: sleep begin\n')
    begin = time.monotonic()
    guest.expect('RHEA: sleep end\n')
    took = time.monotonic() - begin
    if not seconds * 0.98 <= took <= seconds * 1.02 + 0.5:
        raise Failed(f'the guest slept {seconds} s by its clock, {took:.2f} s by ours')


def run(o, c):
    guest = Guest(o, c)
    try:
        if c['console'] == 'socket': # a client that leaves in the middle, and one that comes
            guest.expect(r'Linux version')
            guest.dial()
        for _ in range(c['boots']):
            check_machine(guest, c)
            if c['selftest']:
                guest.expect(rf'RHEA: sha256 {SHA256_OF_STREAM}')
                guest.expect(r'RHEA: selftest passed\n')
            if 'rhea.alarm' in c['append']:
                guest.expect(r'RHEA: alarm fired\n')
            if c['sleep']:
                check_clock(guest, c['sleep'])
            guest.expect(rf"RHEA: end {c['end']}\n")
        if c['boots'] > 1:
            return # a machine that reboots never ends by itself
        for line in c['shell']:
            guest.expect('[#$] ')
            guest.type(line)
            if line.startswith('echo'):
                guest.expect(r'\nanswer 42\n')
        guest.expect_exit(c['code'])
        complaint = re.search('.*unchecked MSR access error.*', ''.join(guest.log))
        if complaint:
            raise Failed(complaint.group())
    except Failed as e:
        tail = ''.join(guest.log)[-3000:]
        raise Failed(f'{e}\n--- end of the console ---\n{tail}\n---') from None
    finally:
        guest.kill()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--emulator', default='build/rhea')
    ap.add_argument('--guests', default='guests', help='folder made by scripts/guests.sh')
    ap.add_argument('--initrd', default='build/tests/guest/initrd.gz')
    ap.add_argument('--machine', help='instead of the one of the case')
    ap.add_argument('--timeout', type=float, default=float(os.environ.get('RHEA_GUEST_TIMEOUT', 240)))
    ap.add_argument('--list', action='store_true')
    ap.add_argument('-v', '--verbose', action='store_true', help='show the console')
    ap.add_argument('cases', nargs='*')
    o = ap.parse_args()
    if o.list:
        print('\n'.join(CASES))
        return 0
    failed = 0
    for name in o.cases or CASES:
        c = CASES[name]
        if not os.path.exists(f"{o.guests}/kernel-{c['kernel']}") or not os.path.exists(o.initrd):
            print(f'{name}: skipped: no kernels in {o.guests}; scripts/guests.sh fetches them')
            return SKIPPED
        begin = time.time()
        try:
            run(o, c)
        except Failed as e:
            print(f'{name}: FAILED: {e}')
            failed += 1
            continue
        print(f'{name}: passed in {time.time() - begin:.1f} s', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
