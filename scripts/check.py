#!/usr/bin/env python3
# scripts/check.py: `make check`: build with sanitizers for unit and device tests and for guests with several CPUs, build
# optimised, run all by meson, and end with one line "N passed, N failed, N skipped".
# SPDX-License-Identifier: GPL-2.0-or-later
"""check.py [--guests DIR] [--only asan|tsan|optimised] [--suite NAME]..."""
import argparse
import json
import os
import re
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# (name, build folder, configure options, suites run there)
BUILDS = [
    ('asan', 'build-asan', ['--sanitizers=address,undefined'], ['quick', 'smp']),
    ('tsan', 'build-tsan', ['--sanitizers=thread'], ['smp']),
    ('optimised', 'build-check', [], ['quick', 'full']),
]
SANITIZER_ENV = {
    'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=0',
    'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
    'TSAN_OPTIONS': f'halt_on_error=1:report_signal_unsafe=0:suppressions={SOURCE}/tests/tsan.supp',
}


def run_quietly(argv):
    """Output is of interest only if it fails."""
    p = subprocess.run(argv, cwd=SOURCE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
    if p.returncode:
        print(p.stdout[-6000:])
        p.check_returncode()


def build(folder, options, guests):
    run_quietly(['./configure', f'--build-dir={folder}', f'--guests={guests}', '-Dwerror=true', *options])
    run_quietly(['ninja', '-C', folder])


def cannot_start(folder):
    """Sanitizers need an address space of a certain layout: what such a program says where it is not to be had."""
    p = subprocess.run([os.path.join(folder, 'rhea'), '-version'], cwd=SOURCE, capture_output=True, text=True, check=False)
    return p.stderr.strip().splitlines()[0] if p.returncode and 'Sanitizer' in p.stderr else None


def test(folder, suites, results):
    """Run meson's tests in folder; append (folder, name, result, seconds, log) for each."""
    logs = os.path.join(SOURCE, folder, 'meson-logs')
    path = os.path.join(logs, 'testlog.json')
    if os.path.exists(path):
        os.remove(path)
    argv = ['meson', 'test', '-C', folder, '--no-rebuild', '--num-processes', str(os.cpu_count() or 1)]
    for s in suites:
        argv += ['--suite', s]
    subprocess.run(argv, cwd=SOURCE, env={**os.environ, **SANITIZER_ENV})
    if not os.path.exists(path):
        return
    with open(path, encoding='utf-8') as f:
        for line in f:
            t = json.loads(line)
            results.append((folder, t['name'], t['result'], t['duration'], t.get('stdout', '') + t.get('stderr', '')))


def skips(results):
    """What was not tested, and why: whole tests, and single verdicts of tests that passed."""
    for folder, name, result, _, log in results:
        if result == 'SKIP':
            yield folder, name, (log.strip().splitlines() or [''])[-1]
            continue
        for line in log.splitlines():
            single = re.match(r'ok \d+\s*-?\s*(.*# SKIP.*)', line)
            if single:
                yield folder, name, single.group(1)


def main():
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument('--guests', default='guests')
    ap.add_argument('--only', choices=[b[0] for b in BUILDS])
    ap.add_argument('--suite', action='append', help='instead of the usual suites')
    o = ap.parse_args()
    begin, results, broken = time.time(), [], 0
    os.makedirs(os.path.join(SOURCE, o.guests), exist_ok=True)
    for name, folder, options, suites in BUILDS:
        if o.only and o.only != name:
            continue
        try:
            print(f'== {name}: building in {folder}', flush=True)
            build(folder, options, o.guests)
        except subprocess.CalledProcessError as e:
            print(f'== {name}: {e}')
            broken += 1
            continue
        reason = cannot_start(folder)
        if reason:
            results.append((folder, 'all', 'SKIP', 0, f'programs of this build do not start here: {reason}'))
            continue
        print(f'== {name}: testing', flush=True)
        before = len(results)
        test(folder, o.suite or suites, results)
        if len(results) == before:
            print(f'== {name}: no test was run')
            broken += 1
    passed = sum(r[2] in ('OK', 'EXPECTEDFAIL') for r in results)
    skipped = list(skips(results))
    failed = [r for r in results if r[2] not in ('OK', 'EXPECTEDFAIL', 'SKIP')]
    for folder, name, result, seconds, log in failed:
        print(f'---- {folder}: {name}: {result} after {seconds:.1f} s\n{log.strip()[-4000:]}')
    for folder, name, reason in skipped:
        print(f'skipped: {folder}: {name}: {reason}')
    print(f'== {time.time() - begin:.0f} s')
    print(f'{passed} passed, {len(failed) + broken} failed, {len(skipped)} skipped')
    return 1 if failed or broken else 0


if __name__ == '__main__':
    sys.exit(main())
