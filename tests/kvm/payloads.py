#!/usr/bin/env python3
# tests/kvm/payloads.py: the system payloads of tests/payload under KVM, group by group, against TCG.
# SPDX-License-Identifier: GPL-2.0-or-later
"""payloads.py EMULATOR SYSTEM64 SYSTEM32 TRIPLE. Prints TAP; skips with the reason where KVM is not usable.

Each group runs in a machine of its own, in the three interrupt chip modes with 1 to 4 processors, and its checks must come
out as under TCG. A KVM that has no hardware below it (found out by asking, see software()) emulates what the guest's kernel
does, and lacks much: LIMITS says what is not compared there and why, and each such group is reported as skipped in part or
from some point on. On other hosts LIMITS counts for nothing."""
import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from tap import finish, report  # noqa: E402

MODES = ['on', 'split', 'off']
GROUPS = {
    'system64': ['faults', 'privileged', 'delivery', 'debug', 'paging', 'data-segments', 'inspection', 'call-gates', 'returns',
                 'compatibility', 'fast-calls', 'system', 'float', 'code-writes', 'short-callees', 'apic', 'smp'],
    'system32': ['exceptions', 'segments', 'gates', 'tasks', 'vm86', 'real', 'paging'],
}
CPU = {'system64': 'qemu64,kvm=off,check=off', 'system32': 'pentium3,kvm=off,check=off'}
# (program, group): (checks that may differ, or after which nothing more comes; why)
LIMITS = {
    ('system64', 'faults'): ('', 'invalid opcodes stop it'),
    ('system64', 'privileged'): (r'.*allowed.*|.*rdtsc.*|#GP\(gate\).*|no #AC.*|popf at CPL 3.*|#(UD|GP) at CPL 3: .*', 'user mode is not the processor\'s own'),
    ('system64', 'delivery'): ('', 'INT n outside real mode is not emulated'),
    ('system64', 'debug'): (r'.*breakpoint.*|single step (traps each rep|after ).*|rep iteration keeps rip|dr1 has its own bit|no single step after.*|.*while stepping|'
                            r'the (last )?step .*|rf is saved set.*|it comes with those.*', 'debug registers do not act on emulated accesses'),
    ('system64', 'paging'): (r'page .* u-(read|write|exec)', 'INT n from user mode is not delivered; CLAC and STAC are not emulated'),
    ('system64', 'inspection'): ('', 'LAR, LSL, VERR are not emulated'),
    ('system64', 'call-gates'): ('', 'far transfers through memory are not emulated'),
    ('system64', 'returns'): ('', 'INT n outside real mode is not emulated'),
    ('system64', 'compatibility'): (r'.*', 'code at CPL 3 runs in 64-bit mode only'),
    ('system64', 'fast-calls'): (r'sys.*', 'SYSCALL at CPL 0, INT n are not emulated'),
    ('system64', 'system'): (r'tsc is writable|tsc_adjust moves the tsc|#GP pat.*', 'RDTSC is the host\'s; PAT is not checked'),
    ('system64', 'float'): ('', 'XGETBV is not emulated'),
    ('system64', 'apic'): (r'.*', 'interrupts are taken between runs of the emulator, not after the next instruction'),
    ('system64', 'smp'): (r'.*x2apic.*', 'interrupts are taken between runs of the emulator; CPUID is the host\'s'),
    ('system32', 'exceptions'): ('', 'INTO and BOUND are not emulated'),
    ('system32', 'segments'): ('', 'IRET in 32-bit mode is not emulated'),
    ('system32', 'gates'): ('', 'far calls are not emulated'),
    ('system32', 'tasks'): ('', 'far calls are not emulated'),
    ('system32', 'vm86'): ('', 'IRET in 32-bit mode is not emulated'),
    ('system32', 'real'): ('', 'LAR is not refused in real mode'),
    ('system32', 'paging'): (r'.*', 'there is no paging without PAE'),
}


def run(emulator, accel, kernel, cpu, smp, group, *options):
    """The output. A machine in the state internal-error does not end by itself: it is ended here."""
    p = subprocess.Popen([emulator, '-M', 'pc', '-accel', accel, '-m', '128', '-nodefaults', '-display', 'none', '-serial', 'stdio',
                          '-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', kernel, '-cpu', cpu, '-smp',
                          str(smp), '-append', group, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    late = threading.Timer(100, p.kill)
    late.start()
    lines = []
    for raw in p.stdout:
        line = raw.decode(errors='replace').rstrip()
        lines.append(line)
        if line.startswith('code: '): # the last that is told of an internal error
            p.kill()
    p.wait()
    late.cancel()
    return '\n'.join(lines)


def verdicts(text):
    """Names of the checks in order with ok or FAIL; numbers that a failure shows are no part of the name."""
    return [(re.sub(r': got .*', '', m[2]), m[1]) for m in re.finditer(r'^(ok|FAIL) (.*)$', text, re.M)]


def lost_at(text):
    m = re.search(r"the instruction's bytes: (.*)", text)
    return m[1] if 'KVM internal error 1' in text and m else None


def software(emulator, kernel):
    """Processors with virtualization run LAR themselves; a KVM in software must know how, and gives up if it does not."""
    return (lost_at(run(emulator, 'kvm', kernel, CPU['system64'], 1, 'inspection')) or '').startswith('0f 02')


def compare(program, group, name, want, text, limited):
    expected, got, lost = verdicts(want), verdicts(text), lost_at(text)
    wrong = [n for (n, v), (m, w) in zip(expected, got) if n != m or v != w]
    done = re.search(r'^done: ', text, re.M)
    if not wrong and done and expected == got:
        report(True, name)
        return
    limit, reason = LIMITS.get((program, group), (None, '')) if limited else (None, '')
    # by name: CPUID may bring in other checks
    verdict = dict(expected)
    wrong = [n for n, v in got if verdict.get(n, 'ok') != v]
    missing = [n for n, v in expected if n not in dict(got)]
    unexplained = [n for n in wrong + (missing if done else []) if not limit or not re.fullmatch(limit, n)]
    ok = limit is not None and not unexplained and bool(done or lost)
    compared = sum(verdict.get(n) == v for n, v in got)
    where = f', stops at {lost[:23]}' if lost else ''
    report(ok, f'{name} # SKIP in part: {reason}{where} ({compared} of {len(expected)} agree)' if ok else name,
           '\n'.join(unexplained) + '\n' + text)


def main():
    emulator, *kernels = sys.argv[1:5]
    kernel = dict(zip(['system64', 'system32', 'triple'], kernels))
    text = run(emulator, 'kvm', kernel['system64'], CPU['system64'], 1, 'code-writes')
    reason = re.search(r'/dev/kvm: .*|the host kernel lacks .*', text)
    if reason:
        print(f'1..0 # SKIP {reason[0]}')
        return
    limited = software(emulator, kernel['system64'])
    print(f'# {"a KVM in software" if limited else "a KVM in hardware"}')
    brief = ' brief' if limited else '' # delays are counted, not timed: fast machines need all of them
    for program, groups in GROUPS.items():
        for group in groups:
            known = {}
            for mode in MODES:
                for smp in range(1, 5):
                    if smp not in known:
                        known[smp] = run(emulator, 'tcg', kernel[program], CPU[program], smp, group)
                    got = run(emulator, f'kvm,kernel-irqchip={mode}', kernel[program], CPU[program], smp, group + brief)
                    compare(program, group, f'{program} {group}, kernel-irqchip={mode}, {smp} processors', known[smp], got, limited)
    for mode in MODES:
        text = run(emulator, f'kvm,kernel-irqchip={mode}', kernel['triple'], 'qemu64,check=off', 1, '', '-d', 'guest_errors')
        report('triple fault' in text and len(re.findall('^T', text, re.M)) == 1, f'triple fault, kernel-irqchip={mode}', text)
    sys.exit(finish())


main()
