# tests/tap.py: verdicts of test programs in TAP, for all that are written in Python: either functions marked with @test, which
# fail by an exception, and run() for all of them; or report() for each check, and finish().
# SPDX-License-Identifier: GPL-2.0-or-later
import resource
import tempfile
import time
import traceback

if len(tempfile.gettempdir()) > 40:  # the path of a UNIX socket has 107 bytes at most
    tempfile.tempdir = '/tmp'

TESTS = []
number = failures = 0


class Skip(Exception):
    """Why a test does not run."""


def need_address_space(size):
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < size:
        raise Skip(f'needs {size >> 20} MiB of address space, ulimit -v allows {limit >> 20}')


def test(f):
    TESTS.append(f)
    return f


def comment(text):
    print('\n'.join('# ' + line for line in str(text).splitlines()), flush=True)


def verdict(ok, name):
    global number, failures
    number += 1
    failures += not ok
    print(f'{"ok" if ok else "not ok"} {number} - {name}', flush=True)


def run(tests, arguments=(), name=lambda t: t.__name__.replace('_', ' ')):
    """Call each with the arguments. The program's exit code."""
    print(f'1..{len(tests)}', flush=True)
    for t in tests:
        begin = time.time()
        try:
            t(*arguments)
            verdict(True, name(t))
        except Skip as e:
            verdict(True, f'{name(t)} # SKIP {e}')
        except Exception:
            verdict(False, name(t))
            comment(traceback.format_exc())
        comment(f'{time.time() - begin:.2f} s')
    return 1 if failures else 0


def report(ok, name, text=''):
    """One verdict; of a failure also the end of what was printed, less the guest's own passed checks."""
    verdict(ok, name)
    if not ok:
        comment('\n'.join(x[:400] for x in [x for x in str(text).split('\n') if not x.startswith('ok ')][-40:]))


def finish():
    """The plan. The program's exit code."""
    print(f'1..{number}')
    return 1 if failures else 0
