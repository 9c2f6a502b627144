#!/usr/bin/env python3
# tests/kvm/run.py: guests under -accel kvm in the three interrupt controller modes, next to TCG.
# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py EMULATOR IRQ-PROGRAM SYSTEM64-PROGRAM. Prints TAP; skips with the reason where KVM is not usable."""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ('..', '../qmp')]
from client import connect  # noqa: E402
from tap import finish, report  # noqa: E402

MODES = ['off', 'split', 'on', 'on,kernel-pit=on']
PAUSES, RESETS = 260, 260 # in each mode: more than a thousand of each in all


def argv(emulator, accel, program, *options):
    return [emulator, '-M', 'pc', '-accel', accel, '-m', '128', '-nodefaults', '-display', 'none', '-cpu', 'qemu64,check=off',
            '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', program, *options]


def run(command, timeout=60):
    try:
        r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        return r.returncode, r.stdout.decode(errors='replace').replace('\r', '')
    except subprocess.TimeoutExpired as e:
        return -1, (e.stdout or b'').decode(errors='replace') + '\n# timed out'


class Monitor:
    def __init__(self, path):
        self.c = connect(path, 'kvm')

    def call(self, name, **arguments):
        return self.c.ask(name, arguments)

    def until(self, name, event):
        """The command is done when the event comes."""
        self.c.run(name)
        self.c.event(event)


def disturbed(emulator, program, mode):
    """Stopped, continued and reset while it runs; afterwards it still prints, and a reset one starts again."""
    with tempfile.TemporaryDirectory() as d:
        out, sock = os.path.join(d, 'out'), os.path.join(d, 'qmp')
        p = subprocess.Popen(argv(emulator, f'kvm,kernel-irqchip={mode}', program, '-append', 'l', '-smp', '2', '-serial',
                                  f'file:{out}', '-qmp', f'unix:{sock},server=on,wait=off'), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = lambda: open(out, errors='replace').read() if os.path.exists(out) else ''

        def until(what, count):
            for _ in range(8000):
                if text().count(what) >= count:
                    return True
                time.sleep(0.005)
            return False
        try:
            m = Monitor(sock)
            ok = until('cpus 2', 1)
            for _ in range(PAUSES):
                m.until('stop', 'STOP')
                m.until('cont', 'RESUME')
            ok = ok and until('.', text().count('.') + 2)
            booted = text().count('cpus 2')
            for i in range(RESETS): # one in ten is left to come up again
                m.until('system_reset', 'RESET')
                if i % 10 == 9:
                    ok = ok and until('cpus 2', booted + 1)
                    booted = text().count('cpus 2')
            ok = ok and m.call('query-status')['return']['status'] == 'running'
            m.call('stop')
            ok = ok and m.call('query-status')['return']['status'] == 'paused'
            m.call('quit')
            p.wait(20)
            return ok, text()
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as e:
            return False, text() + f'\n{e!r}'
        finally:
            p.kill()
            p.wait()


def statistics(emulator, program):
    """What the schema tells of is there, once for each vCPU, and counts."""
    with tempfile.TemporaryDirectory() as d:
        sock = os.path.join(d, 'qmp')
        p = subprocess.Popen(argv(emulator, 'kvm', program, '-append', 'l', '-smp', '2', '-qmp', f'unix:{sock},server=on,wait=off'),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            m = Monitor(sock)
            schemas = {s['target']: {v['name'] for v in s['stats']} for s in m.call('query-stats-schemas', provider='kvm')['return']}
            if not schemas:
                return True, 'the kernel has none'
            cpus = [c['qom-path'] for c in m.call('query-cpus-fast')['return']]
            results = m.call('query-stats', target='vcpu')['return']
            ok = [r['qom-path'] for r in results] == cpus and all({v['name'] for v in r['stats']} == schemas['vcpu'] for r in results)
            machine = m.call('query-stats', target='vm')['return']
            ok = ok and len(machine) == 1 and {v['name'] for v in machine[0]['stats']} == schemas['vm'] and 'qom-path' not in machine[0]
            one = dict(target='vcpu', vcpus=cpus[:1], providers=[{'provider': 'kvm', 'names': ['exits']}])
            values = []
            for _ in range(100):
                r = m.call('query-stats', **one)['return']
                ok = ok and len(r) == 1 and r[0]['qom-path'] == cpus[0] and [v['name'] for v in r[0]['stats']] == ['exits']
                values.append(r[0]['stats'][0]['value'])
                if values[-1] > values[0]:
                    break
                time.sleep(0.1)
            ok = ok and values[-1] > values[0] and m.call('query-stats', target='vm', providers=[])['return'] == []
            wrong = m.call('query-stats', target='vcpu', vcpus=['/machine/none'])
            text = m.call('human-monitor-command', **{'command-line': 'info stats vcpu exits'})['return']
            ok = ok and 'no virtual CPU' in wrong['error']['desc'] and text.count('exits: ') == 2 and cpus[1] in text
            m.call('quit')
            p.wait(20)
            return ok, f'{schemas}\n{values}\n{wrong}\n{text}'
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as e:
            return False, repr(e)
        finally:
            p.kill()
            p.wait()


def main():
    emulator, irq, system64 = sys.argv[1:4]
    rc, text = run(argv(emulator, 'kvm', irq, '-serial', 'stdio'))
    reason = re.search(r'/dev/kvm: .*|the host kernel lacks .*', text)
    if reason:
        print(f'1..0 # SKIP {reason[0]}')
        return
    for cpus in (1, 2):
        want = run(argv(emulator, 'tcg', irq, '-serial', 'stdio', '-smp', str(cpus)))
        report(want == (33, f'start\ntimer ok\npit ok\ncpus {cpus}\ndone\n'), f'interrupts, tcg, {cpus} processors', want[1])
        for mode in MODES:
            got = run(argv(emulator, f'kvm,kernel-irqchip={mode}', irq, '-serial', 'stdio', '-smp', str(cpus)))
            report(got == want, f'interrupts, kernel-irqchip={mode}, {cpus} processors', got[1])
    rc, text = run(argv(emulator, 'kvm:tcg', irq, '-serial', 'stdio'))
    report(rc == 33 and 'done' in text, 'kvm:tcg', text)
    for model in ('host', 'max', 'qemu64,check=off,kvm=off'):
        rc, text = run(argv(emulator, 'kvm', irq, '-serial', 'stdio', '-cpu', model))
        report(rc == 33 and 'done' in text and 'warning' not in text, f'-cpu {model}', text)
    rc, text = run(argv(emulator, 'kvm', irq, '-serial', 'stdio', '-smp', '2', '-cpu', 'qemu64,check=on,+lwp,+tbm'))
    lacks = re.findall(r"warning: host doesn't support requested feature: (.*)", text) # which no processor has had for years
    report(rc == 33 and lacks.count('CPUID.80000001H:ECX.lwp [bit 15]') == lacks.count('CPUID.80000001H:ECX.tbm [bit 21]') == 1,
           'features that the host lacks: one warning for each', text)
    rc, text = run(argv(emulator, 'kvm', irq, '-serial', 'stdio', '-cpu', 'qemu64,+lwp,enforce=on'))
    report(rc == 1 and "can't offer all" in text, 'enforce=on', text)
    rc, text = run(argv(emulator, 'tcg', irq, '-serial', 'stdio', '-machine', 'smm=on'))
    report(rc == 1 and 'smm=off' in text, 'smm=on without KVM', text)
    for mode in MODES:
        rc, text = run(argv(emulator, f'kvm,kernel-irqchip={mode}', system64, '-serial', 'stdio', '-append', 'code-writes'))
        done = re.search(r'^done: (\d+) checks, 0 failed', text, re.M)
        report(bool(done) and int(done[1]) >= 10, f'system64 code-writes, kernel-irqchip={mode}', text)
    for mode in MODES:
        ok, text = disturbed(emulator, irq, mode)
        report(ok, f'{PAUSES} pauses and {RESETS} resets, kernel-irqchip={mode}', text)
    ok, text = statistics(emulator, irq)
    report(ok, 'statistics', text)
    sys.exit(finish())


main()
