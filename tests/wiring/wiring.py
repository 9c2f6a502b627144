#!/usr/bin/env python3
"""How machines are wired, against golden files (TAP). With --bless: rewrite them.

  wiring.py PROGRAM [--bless]     PROGRAM is build/tests/wiring/wiring

Each case is one command line and one file goldens/CASE.txt: memory map, interrupt controllers, where each device's outputs
lead, what KVM is told (by a kernel that is none, so that all hosts run all cases), ACPI and MP tables byte for byte.
"""
# SPDX-License-Identifier: GPL-2.0-or-later
import difflib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..'))
import tap  # noqa: E402

PROGRAM = sys.argv[1]
TESTDEV = '-device pc-testdev,id=testdev'
SERIALS = ' '.join(['-serial null'] * 4)
CASES = {
    'pc': f'-M pc -smp 3 {TESTDEV}',
    'pc-1': '-M pc -smp 1',
    'pc-288': '-M pc -smp 288,cores=6,threads=3 -cpu qemu64,+x2apic',
    'pc-numa': '-M pc -smp 4 -m 5G -numa node,mem=2G,cpus=0-1 -numa node,mem=3G,cpus=2-3 -numa dist,src=0,dst=1,val=20',
    'pc-devices': f'-M pc {SERIALS} -device isa-debugcon,chardev=c -chardev null,id=c -device pvpanic -device ib700 -device isa-debug-exit '
                  f'-device vmcoreinfo {TESTDEV}',
    'pc-no-hpet': '-M pc,hpet=off',
    'pc-no-acpi': '-M pc,acpi=off -smp 2',
    'pc-no-pit': '-M pc,pit=off',
    'pc-no-pic': f'-M pc,pic=off -smp 2 {TESTDEV}',
    'pc-no-timer': '-M pc,pit=off,hpet=off',
    'pc-no-i8042': '-M pc,i8042=off',
    'pc-low-memory': '-M pc,max-ram-below-4g=64M -m 128M',
    'pc-kvm': f'-M pc -smp 3 -accel kvm {TESTDEV}',
    'pc-kvm-split': f'-M pc,kernel-irqchip=split -smp 3 -accel kvm {TESTDEV}',
    'pc-kvm-off': f'-M pc,kernel-irqchip=off -smp 3 -accel kvm {TESTDEV}',
    'pc-kvm-no-pit': '-M pc,pit=off -accel kvm',
    'pc-kvm-no-pic': f'-M pc,pic=off -accel kvm {TESTDEV}',
    'microvm': f'-M microvm -smp 3 -serial null {TESTDEV}',
    'microvm-rtc': '-M microvm,rtc=on,isa-serial=off -serial null',
    'microvm-full': f'-M microvm,rtc=on,i8042=on,hpet=on -smp 2 {SERIALS} {TESTDEV}',
    'microvm-no-pit': '-M microvm,pit=off',
    'microvm-bare': '-M microvm,pit=off,pic=off,rtc=off,acpi=off -serial none',
    'microvm-no-acpi': '-M microvm,acpi=off -smp 4',
    'microvm-kvm': f'-M microvm -smp 3 -serial null -accel kvm {TESTDEV}',
    'microvm-kvm-split': '-M microvm,kernel-irqchip=split -serial null -accel kvm',
    'microvm-kvm-off': '-M microvm,kernel-irqchip=off -serial null -accel kvm',
}
COMMON = ['-S', '-nodefaults', '-display', 'none']


def describe(options):
    words = options.split()
    model = [] if '-cpu' in words else ['-cpu', 'qemu64']
    p = subprocess.run([PROGRAM, *COMMON, *model, *words], capture_output=True, text=True, timeout=60, check=False)
    return f'{options}\n{p.stdout}' if p.returncode == 0 else f'exit code {p.returncode}: {p.stderr}'


def same_as(name):
    golden = os.path.join(HERE, 'goldens', name + '.txt')

    def check():
        now = describe(CASES[name])
        if '--bless' in sys.argv:
            with open(golden, 'w', encoding='utf-8') as f:
                f.write(now)
        with open(golden, encoding='utf-8') as f:
            want = f.read()
        diff = list(difflib.unified_diff(want.splitlines(), now.splitlines(), name + '.txt', 'now', lineterm='', n=4))
        tap.comment('\n'.join(diff[:200]))
        assert not diff, 'if this is meant: wiring.py … --bless'
    check.__name__ = name
    return check


def goldens_have_cases():
    extra = {f[:-4] for f in os.listdir(os.path.join(HERE, 'goldens'))} - set(CASES)
    assert not extra, f'goldens without a case: {extra}'


kvm = subprocess.run([PROGRAM, '-accel', 'help'], capture_output=True, text=True, timeout=60, check=False).stdout
tests = [same_as(c) for c in CASES if '-accel kvm' not in CASES[c] or 'kvm' in kvm]
sys.exit(tap.run(tests + [goldens_have_cases]))
