#!/usr/bin/env python3
# tests/cli/hosts.py: the emulator and its quick tests on hosts that deny things: each row of CONDITIONS is imposed on the same
# commands. Prints TAP. SPDX-License-Identifier: GPL-2.0-or-later
"""hosts.py RHEA UNIT-TEST...: unit tests that depend on what the host allows."""
import ctypes
import ctypes.util
import errno
import os
import resource
import subprocess
import sys

from harness import HALT, PATIENCE, RHEA, SCRATCH, Skip, main, scratch, multiboot_kernel
import tap

UNITS = [os.path.abspath(x) for x in sys.argv[2:]]
LEAVE = scratch('leave.bin', multiboot_kernel(b'\xb8\x01\0\0\0\xe6\xf4\xf4\xeb\xfd'))  # mov eax, 1; out 0xf4, al: exit code 3
MACHINE = ['-M', 'pc', '-m', '64', '-smp', '2', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
NOBODY = 65534


# ---- conditions: each is imposed in the child before it becomes the command ----

def deny(*names):
    """System calls that end with EPERM, as in a container."""
    def impose():
        lib = ctypes.CDLL(ctypes.util.find_library('seccomp') or 'libseccomp.so.2')
        allow, refuse, bad_arch = 0x7fff0000, 0x00050000 | errno.EPERM, 2
        lib.seccomp_init.restype = ctypes.c_void_p
        context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(allow)))
        lib.seccomp_attr_set(context, bad_arch, ctypes.c_uint32(allow))  # other conventions: the kernel's own answer
        for name in names:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number >= 0 and lib.seccomp_rule_add(context, ctypes.c_uint32(refuse), number, 0) != 0:
                raise OSError(f'seccomp: {name}')
        if lib.seccomp_load(context) != 0:
            raise OSError('seccomp_load')
    return impose


def limit(which, value):
    return lambda: resource.setrlimit(which, (value, value))


def one_cpu():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def other_user():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


CONDITIONS = [  # name, how it is imposed, prefix of the command, environment
    ('as it is', None, [], {}),
    ('one CPU', one_cpu, [], {}),
    ('another user', other_user, [], {}),
    ('a user namespace', None, ['unshare', '-Ur'], {}),
    ('no terminal, no session', os.setsid, [], {}),
    ('a strict umask', lambda: os.umask(0o777), [], {}),
    ('64 open files', limit(resource.RLIMIT_NOFILE, 64), [], {}),
    ('4 GB of address space', limit(resource.RLIMIT_AS, 4000000000), [], {}),
    ('no locked memory', limit(resource.RLIMIT_MEMLOCK, 0), [], {}),
    ('no memfd', deny('memfd_create'), [], {}),
    ('no io_uring', deny('io_uring_setup', 'io_uring_enter', 'io_uring_register'), [], {}),
    ('no userfaultfd, no perf events, no BPF', deny('userfaultfd', 'perf_event_open', 'bpf'), [], {}),
    ('no ptrace', deny('ptrace', 'process_vm_readv'), [], {}),
    ('no advice about memory', deny('madvise'), [], {}),
    ('another language', None, [], {'LANG': 'de_DE.UTF-8', 'LC_ALL': 'de_DE.UTF-8'}),
    ('no language, no home', None, [], {'LANG': None, 'LC_ALL': None, 'HOME': None}),
    ('a long TMPDIR', None, [], {'TMPDIR': os.path.join(SCRATCH, 'long' * 30)}),
]


# ---- what is run under each ----

def in_condition(condition, *command):
    _, impose, prefix, environment = condition
    env = dict(os.environ)
    for key, value in environment.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    try:
        return subprocess.run([*prefix, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False, env=env,
                              errors='replace', preexec_fn=impose)
    except subprocess.SubprocessError as e:
        raise Skip(f'this host does not let it be imposed: {e}') from None


def holds(condition):
    probe = in_condition(condition, '/bin/true')
    if probe.returncode:
        raise Skip(f'this host does not let it be imposed: {probe.stderr.strip() or probe.returncode}')
    shown = in_condition(condition, RHEA, '-version')
    if shown.returncode and 'Sanitizer' in shown.stderr:
        raise Skip('a build with this sanitizer does not run so')
    assert shown.returncode == 0 and 'Rhea' in shown.stdout, shown
    check = in_condition(condition, RHEA, 'check')
    start = in_condition(condition, RHEA, *MACHINE, '-kernel', LEAVE)
    assert (start.returncode == 3) == (check.returncode == 0), (check, start)  # they agree
    assert start.returncode == 3, start
    wrong = in_condition(condition, RHEA, *MACHINE, '-kernel', HALT, '-cpu', 'Haswel')
    assert wrong.returncode == 1 and "did you mean 'Haswell'" in wrong.stderr, wrong
    for unit in UNITS:
        p = in_condition(condition, unit)
        skipped = p.stdout.startswith('1..0 # SKIP ') or '# SKIP' in p.stdout
        assert p.returncode == 0 and ('\nok ' in p.stdout or skipped), (unit, p.stdout[-800:], p.stderr[-800:])


def broken_device_of_kvm():
    """What is at /dev/kvm is no KVM: a folder, a file that may not be opened, another device."""
    script = '''mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 && mkdir /dev/shm && chmod 666 /dev/null && %s && exec "$@"'''
    for how, texts in (('mkdir /dev/kvm', ['/dev/kvm']), ('ln -s /nosuch /dev/kvm', ['/dev/kvm', 'No such file']),
                       ('cp /bin/true /dev/kvm', ['/dev/kvm']), ('mknod /dev/kvm c 1 3', ['/dev/kvm'])):
        wrapped = ['unshare', '-m', 'sh', '-c', script % how, 'sh']
        if subprocess.run([*wrapped, '/bin/true'], capture_output=True, check=False).returncode:
            raise Skip('this host does not let /dev be another one')
        for options in (['-accel', 'kvm'], ['-enable-kvm'], ['-machine', 'accel=kvm']):
            p = subprocess.run([*wrapped, RHEA, '-M', 'none', '-display', 'none', '-S', *options], stdin=subprocess.DEVNULL, capture_output=True,
                               text=True, timeout=PATIENCE, check=False)
            assert p.returncode == 1 and len(p.stderr.splitlines()) <= 2 and all(t in p.stderr for t in [options[0], *texts]), (how, options, p.stderr)
        p = subprocess.run([*wrapped, RHEA, *MACHINE, '-kernel', LEAVE], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                           check=False)
        assert p.returncode == 3, (how, p)
        p = subprocess.run([*wrapped, RHEA, 'check'], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert p.returncode == 0 and '/dev/kvm' in p.stdout, (how, p)


os.chmod(SCRATCH, 0o755)
os.mkdir(os.path.join(SCRATCH, 'long' * 30), 0o777)
tap.TESTS = [broken_device_of_kvm]
for row in CONDITIONS:
    def one(condition=row):
        holds(condition)
    one.__name__ = row[0]
    tap.TESTS.append(one)
main()
