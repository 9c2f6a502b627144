# tests/kvm/tap.py: verdicts of these tests' programs in TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""report() each check, then sys.exit(finish())."""
number = failures = 0


def report(ok, name, text=''):
    """One verdict; of a failure also the end of what was printed, less the guest's own passed checks."""
    global number, failures
    number += 1
    failures += not ok
    print(f'{"ok" if ok else "not ok"} {number} - {name}', flush=True)
    if not ok:
        for line in [x for x in text.split('\n') if not x.startswith('ok ')][-40:]:
            print('# ' + line[:160])


def finish():
    """The plan. The program's exit code."""
    print(f'1..{number}')
    return 1 if failures else 0
