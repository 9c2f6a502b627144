#!/usr/bin/env python3
# tests/kvm/move.py: a machine that is saved under one accelerator and goes on under another.
# SPDX-License-Identifier: GPL-2.0-or-later
"""move.py MACHINE-FILE STATE64-PROGRAM. Every way between TCG and KVM's three interrupt chip modes, with one and two
processors: what the guest prints must be what it prints when nobody touches it. Prints TAP; where KVM is not usable it
says why and stays with TCG."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from tap import finish, report  # noqa: E402

TCG = 'tcg'
KVM = [f'kvm,kernel-irqchip={m}' for m in ('off', 'split', 'on', 'on,kernel-pit=on')]
TIMERS = 'pofd'
TIMEOUT = 60


class Guests:
    def __init__(self, program, kernel):
        self.program, self.kernel = program, kernel

    def argv(self, accel, cpu, smp, mode, *own):
        return [self.program, *own, '-M', 'pc', '-accel', accel, '-m', '64', '-nodefaults', '-display', 'none', '-cpu', cpu,
                '-smp', str(smp), '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-serial', 'stdio', '-kernel', self.kernel,
                '-append', mode]

    def features(self, accel, cpu):
        r = subprocess.run(self.argv(accel, cpu, 1, 'p', '--features', 'on'), stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=TIMEOUT)
        return r.returncode, set(r.stdout.decode().split()), r.stderr.decode().strip()

    def start(self, argv, **more):
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)

    def finish(self, p):
        """What it prints when it is told to go on."""
        try:
            text = p.communicate(b'x', timeout=TIMEOUT)[0].decode(errors='replace').replace('\r', '')
        except subprocess.TimeoutExpired:
            p.kill()
            text = p.communicate()[0].decode(errors='replace') + '\n(hangs)\n'
        return text

    def until_ready(self, p):
        text = b''
        os.set_blocking(p.stdout.fileno(), True)
        while b'ready' not in text:
            c = os.read(p.stdout.fileno(), 1)
            if not c:
                break
            text += c
        return text.decode(errors='replace').replace('\r', '')

    def plain(self, accel, cpu, smp, mode):
        p = self.start(self.argv(accel, cpu, smp, mode))
        return self.until_ready(p) + self.finish(p)

    def save(self, accel, cpu, smp, mode, path):
        """Up to "ready" and some more, then into the file. What was printed, and the exit code."""
        r, w = os.pipe()
        p = self.start(self.argv(accel, cpu, smp, mode, '--save', path, '--at', str(r)), pass_fds=[r])
        os.close(r)
        text = self.until_ready(p)
        os.write(w, b'x')
        os.close(w)
        rest = p.communicate(timeout=TIMEOUT)[0].decode(errors='replace').replace('\r', '')
        return text + rest, p.returncode

    def load(self, accel, cpu, smp, mode, path):
        return self.finish(self.start(self.argv(accel, cpu, smp, mode, '--load', path)))

    def again(self, accel, cpu, smp, mode, path, other):
        r = subprocess.run(self.argv(accel, cpu, smp, mode, '--load', path, '--again', other), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT)
        return r.returncode, r.stdout.decode(errors='replace')


def contents(path):
    with open(path, 'rb') as f:
        return f.read()


def common_model(guests, accels):
    """A -cpu that is the same under all."""
    known = [guests.features(accel, 'max,kvm=off,check=off')[1] for accel in accels]
    base = guests.features(TCG, 'qemu64,kvm=off')[1]
    both = set.intersection(*known)
    lacks = ''.join(f',-{n}' for n in sorted(base - both))
    avx = {'avx', 'xsave'} <= both
    return f'qemu64,kvm=off,check=off,-x2apic,-tsc-deadline{lacks}' + (',+avx,+xsave' if avx else ''), avx


def paravirtual_model(guests):
    """A -cpu with KVM's own features, as far as all of its interrupt chip modes have them."""
    known = [guests.features(accel, 'qemu64,check=off')[1] for accel in KVM]
    return 'qemu64,check=off' + ''.join(f',-{n}' for n in sorted(set.union(*known) - set.intersection(*known)))


def paravirtual(guests, folder):
    """The paravirtual clock moves along: from each mode to the others."""
    cpu, path = paravirtual_model(guests), os.path.join(folder, 'paravirtual')
    report('kvmclock' in guests.features(KVM[0], cpu)[1], f'-cpu {cpu} has the clock')
    for i, source in enumerate(KVM):
        want = guests.plain(source, cpu, 1, 'p')
        report('the paravirtual clock goes' in want and ', 0 failed' in want, f'{source}, paravirtual clock: undisturbed', want)
        text, code = guests.save(source, cpu, 1, 'p', path)
        report(code == 0, f'{source}, paravirtual clock: saved', text)
        time.sleep(4) # more than the clock may be away from the others: it stands still as they do
        target = KVM[(i + 1) % len(KVM)]
        for to in (source, target):
            got = text + guests.load(to, cpu, 1, 'p', path)
            report(got == want, f'{source} to {to}, paravirtual clock', got)


def damaged_files(guests, cpu, path):
    """Cut off or changed anywhere, a saved machine is refused with a reason."""
    whole, bad = contents(path), path + '.bad'
    said, n = [], 32
    for i in range(n):
        at = len(whole) * i // n + i % 7
        change = bytes([whole[at] ^ 1 << i % 8])
        for data in (whole[:at], whole[:at] + change + whole[at + 1:]):
            with open(bad, 'wb') as f:
                f.write(data)
            code, text = guests.again(TCG, cpu, 1, 'p', bad, os.devnull)
            if code != 1 or 'saved machine' not in text or 'Sanitizer' in text:
                said.append(f'at {at} of {len(whole)}: code {code}: {text}')
    report(not said, 'damaged files are refused', '\n'.join(said))
    other = guests.again(TCG, cpu, 2, 'p', path, os.devnull)
    report(other[0] == 1 and 'same' in other[1], 'a machine with more processors is refused', other[1])
    other = guests.again(TCG, cpu + ',+sse4.1', 1, 'p', path, os.devnull)
    report(other[0] == 1 and '-sse4.1' in other[1], 'a CPU with other features is refused', other[1])


def main():
    guests = Guests(*sys.argv[1:3])
    code, _, reason = guests.features(KVM[0], 'max,check=off')
    accels = [TCG] + ([] if code else KVM)
    if code:
        report(True, f'KVM # SKIP {reason}')
    cpu, avx = common_model(guests, accels)
    print(f'# -cpu {cpu}')
    with tempfile.TemporaryDirectory() as d:
        turn = 0
        for smp in (1, 2):
            for source in accels:
                path = os.path.join(d, f'{source}-{smp}')
                for mode in (TIMERS if source == TCG else TIMERS[turn % len(TIMERS)]):
                    turn += 1
                    line = mode + ('v' if avx else '')
                    want = guests.plain(source, cpu, smp, line)
                    report(', 0 failed' in want, f'{source}, {smp} processors, timer {mode}: undisturbed', want)
                    text, code = guests.save(source, cpu, smp, line, path)
                    report(code == 0 and text == want[:len(text)], f'{source}, {smp} processors, timer {mode}: saved', text)
                    if code:
                        continue
                    for target in accels:
                        got = text + guests.load(target, cpu, smp, line, path)
                        report(got == want, f'{source} to {target}, {smp} processors, timer {mode}', got)
                    target = accels[turn % len(accels)]
                    code, said = guests.again(target, cpu, smp, line, path, path + '2')
                    report(code == 0 and contents(path) == contents(path + '2'), f'{source} to {target}: the same bytes', said)
        if len(accels) > 1:
            paravirtual(guests, d)
        damaged_files(guests, cpu, os.path.join(d, TCG + '-1'))
    sys.exit(finish())


main()
