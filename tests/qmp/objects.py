#!/usr/bin/env python3
# tests/qmp/objects.py: objects that users make: memory, entropy, threads, limits, TLS credentials, secrets. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""objects.py RHEA SCRATCH [TEST...]"""
import mmap
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

RHEA, SCRATCH = (os.path.abspath(x) for x in sys.argv[1:3])
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import HALT, PATIENCE, Emulator, QmpError, Skip, fails, guest, main, test  # noqa: E402

SCRATCH = tempfile.mkdtemp(dir=SCRATCH)
MB = 1 << 20
STORE = b'\xc7\x05' + (0x400000).to_bytes(4, 'little') + b'RAM!' + HALT  # mov dword [4 MiB], "RAM!"


def none(*args):
    return Emulator(RHEA, SCRATCH, '-M', 'none', *args)


def pc(*args, memory='64'):
    kernel = guest(os.path.join(SCRATCH, 'store'), STORE)
    return Emulator(RHEA, SCRATCH, *(['-m', memory] if memory else []), '-S', '-kernel', kernel, *args)


def add(c, kind, name, **properties):
    return c.run('object-add', {'qom-type': kind, 'id': name, **{k.replace('_', '-'): v for k, v in properties.items()}})


def refuses(c, text, kind, name='x', **properties):
    arguments = {'qom-type': kind, 'id': name, **{k.replace('_', '-'): v for k, v in properties.items()}}
    fails(c, 'object-add', arguments, text=text)
    assert name not in [x['name'] for x in c.run('qom-list', {'path': '/objects'})]


def get(c, name, prop):
    return c.run('qom-get', {'path': f'/objects/{name}', 'property': prop})


def put(c, name, prop, value):
    return c.run('qom-set', {'path': f'/objects/{name}', 'property': prop, 'value': value})


def mappings(e):
    """{address: (kB, flags)} of the emulator's memory."""
    out = {}
    with open(f'/proc/{e.process.pid}/smaps', encoding='ascii') as f:
        for line in f:
            word = line.split()
            if not word[0].endswith(':'):
                head = line
            elif word[0] == 'Size:':
                size = int(word[1])
            elif word[0] == 'Rss:':
                rss = int(word[1])
            elif word[0] == 'VmFlags:':
                out[head.split('-')[0]] = (size, rss, word[1:], head.strip())
    return out


def mapping(e, kb):
    found = [m for m in mappings(e).values() if m[0] == kb]
    assert len(found) == 1, found
    return found[0]


# ---- memory ----

@test
def memory_is_the_machines():
    """A shared file is what the guest writes to; the size must fit -m, which may be left out."""
    path = os.path.join(SCRATCH, 'ram')
    backend = f'memory-backend-file,id=pc.ram,size=64M,mem-path={path},share=on'
    for memory in ('64', None):
        if os.path.exists(path):
            os.remove(path)
        with pc('-machine', 'pc,memory-backend=pc.ram', '-object', backend, memory=memory) as e:
            c = e.connect()
            assert c.run('query-memory-size-summary') == {'base-memory': 64 * MB}
            c.run('cont')
            with open(path, 'r+b') as f, mmap.mmap(f.fileno(), 64 * MB) as m:
                deadline = time.time() + 30
                while m[4 * MB:4 * MB + 4] != b'RAM!' and time.time() < deadline:
                    time.sleep(0.01)
                assert m[4 * MB:4 * MB + 4] == b'RAM!'
            fails(c, 'object-del', {'id': 'pc.ram'}, text='in use')
            info, = c.run('query-memdev')
            assert info == {'id': 'pc.ram', 'size': 64 * MB, 'merge': True, 'dump': True, 'prealloc': False, 'share': True, 'reserve': True,
                            'host-nodes': [], 'policy': 'default'}, info
    for args, text in ((['-machine', 'pc,memory-backend=pc.ram', '-object', 'memory-backend-ram,id=pc.ram,size=32M'], '33554432'),
                       (['-machine', 'pc,memory-backend=nosuch'], 'nosuch'), (['-machine', 'none,memory-backend=x'], 'no memory'),
                       (['-object', 'memory-backend-ram,id=pc.ram,size=64M'], 'memory-backend=pc.ram')):
        with pc(*args) as e:
            assert e.wait() == 1
            assert text in e.output(), text


@test
def memory_is_the_nodes():
    """RAM is made of the nodes' backends in the order of the nodes: what is at 4 MiB is the second one's first page."""
    paths = [os.path.join(SCRATCH, f'node{i}') for i in range(2)]
    args = []
    for i, size in ((1, 60), (0, 4)):
        if os.path.exists(paths[i]):
            os.remove(paths[i])
        args += ['-object', f'memory-backend-file,id=m{i},size={size}M,mem-path={paths[i]},share=on', '-numa', f'node,nodeid={i},memdev=m{i}']
    with pc(*args, memory=None) as e:
        c = e.connect()
        assert c.run('query-memory-size-summary') == {'base-memory': 64 * MB}
        c.run('cont')
        with open(paths[1], 'r+b') as f, mmap.mmap(f.fileno(), 60 * MB) as m:
            deadline = time.time() + 30
            while m[:4] != b'RAM!' and time.time() < deadline:
                time.sleep(0.01)
            assert m[:4] == b'RAM!'
        assert '4 MB' in c.run('human-monitor-command', {'command-line': 'info numa'})
        fails(c, 'object-del', {'id': 'm1'}, text='in use')


@test
def memory_kinds():
    with none() as e:
        c = e.connect()
        add(c, 'memory-backend-ram', 'plain', size=3 * MB)
        assert mapping(e, 3072)[1] == 0  # costs nothing until it is used
        add(c, 'memory-backend-ram', 'all', size=5 * MB, prealloc=True, prealloc_threads=3, share=True, merge=False, dump=False)
        size, rss, flags, head = mapping(e, 5120)
        assert rss == 5120 and 'sh' in flags and 'mg' not in flags and 'dd' in flags, (rss, flags)
        put(c, 'all', 'dump', True)
        assert 'dd' not in mapping(e, 5120)[2]
        put(c, 'plain', 'dump', False)
        assert 'dd' in mapping(e, 3072)[2]
        put(c, 'plain', 'prealloc', True)
        assert mapping(e, 3072)[1] == 3072
        add(c, 'memory-backend-memfd', 'fd', size=7 * MB)
        assert 'rhea-ram' in mapping(e, 7168)[3] and 'sh' in mapping(e, 7168)[2]
        add(c, 'memory-backend-file', 'anywhere', size=9 * MB, mem_path=SCRATCH)
        assert '(deleted)' in mapping(e, 9216)[3] and not [x for x in os.listdir(SCRATCH) if 'rhea-ram' in x]
        add(c, 'memory-backend-ram', 'node', size=MB, host_nodes=[0], policy='bind')
        assert get(c, 'node', 'host-nodes') == [0] and get(c, 'node', 'policy') == 'bind'
        assert [x['id'] for x in c.run('query-memdev')] == ['plain', 'all', 'fd', 'anywhere', 'node']
        for name in ('plain', 'all', 'fd', 'anywhere', 'node'):
            c.run('object-del', {'id': name})
        deadline = time.time() + 30  # memory goes when no reader can see it any more
        while [m for m in mappings(e).values() if m[0] in (3072, 5120, 7168, 9216)]:
            assert time.time() < deadline
            time.sleep(0.01)


@test
def memory_refusals():
    with none() as e:
        c = e.connect()
        refuses(c, "'size' is missing", 'memory-backend-ram')
        refuses(c, 'size', 'memory-backend-ram', size=0)
        refuses(c, 'host address space', 'memory-backend-ram', size=1 << 62)
        refuses(c, '0 to 63', 'memory-backend-ram', size=MB, host_nodes=[64])
        refuses(c, 'policy=', 'memory-backend-ram', size=MB, host_nodes=[0])
        refuses(c, 'host-nodes=', 'memory-backend-ram', size=MB, policy='bind')
        refuses(c, 'host-nodes', 'memory-backend-ram', size=MB, policy='bind', host_nodes=[63])
        refuses(c, 'prealloc-threads=0', 'memory-backend-ram', size=MB, prealloc_threads=0)
        refuses(c, 'hugetlb=on', 'memory-backend-memfd', size=MB, hugetlbsize=2 * MB)
        refuses(c, '3000000', 'memory-backend-memfd', size=MB, hugetlb=True, hugetlbsize=3000000)
        refuses(c, 'multiple', 'memory-backend-memfd', size=MB, hugetlb=True, hugetlbsize=2 * MB)
        refuses(c, 'mem-path', 'memory-backend-file', size=MB)
        refuses(c, '/nosuch/x', 'memory-backend-file', size=MB, mem_path='/nosuch/x')
        refuses(c, 'align=3', 'memory-backend-file', size=MB, mem_path=SCRATCH, align=3)
        short = os.path.join(SCRATCH, 'short')
        with open(short, 'wb') as f:
            f.truncate(4096)
        refuses(c, '4096 bytes', 'memory-backend-file', size=MB, mem_path=short)
        assert os.path.getsize(short) == 4096
        add(c, 'memory-backend-ram', 'm', size=MB)
        fails(c, 'qom-set', {'path': '/objects/m', 'property': 'size', 'value': 5}, text='cannot be changed')
        fails(c, 'qom-set', {'path': '/objects/m', 'property': 'merge', 'value': 'maybe'}, text='maybe')


# ---- threads, limits, entropy ----

@test
def iothreads():
    with none('-object', 'iothread,id=io0,poll-max-ns=1000') as e:
        c = e.connect()
        add(c, 'iothread', 'io1', poll_grow=4, aio_max_batch=8)
        threads = c.run('query-iothreads')
        assert [(t['id'], t['poll-max-ns'], t['poll-grow'], t['aio-max-batch']) for t in threads] == [('io0', 1000, 0, 0), ('io1', 32768, 4, 8)], threads
        for t in threads:
            with open(f'/proc/{e.process.pid}/task/{t["thread-id"]}/comm', encoding='ascii') as f:
                assert f.read().strip() == f'IO {t["id"]}'
        put(c, 'io1', 'poll-max-ns', 0)
        fails(c, 'qom-set', {'path': '/objects/io1', 'property': 'poll-max-ns', 'value': -1}, text='negative')
        c.run('object-del', {'id': 'io1'})
        deadline = time.time() + PATIENCE  # nobody waits for its end
        while os.path.exists(f'/proc/{e.process.pid}/task/{threads[1]["thread-id"]}'):
            assert time.time() < deadline
            time.sleep(0.01)


@test
def throttle_groups():
    with none('-object', 'throttle-group,id=t0,limits.iops-total=100,x-bps-read=6') as e:
        c = e.connect()
        limits = get(c, 't0', 'limits')
        assert limits['iops-total'] == 100 and limits['bps-read'] == 6 and limits['bps-read-max-length'] == 1, limits
        put(c, 't0', 'limits', {'iops-total': 50})
        put(c, 't0', 'x-bps-write', 7)
        limits = get(c, 't0', 'limits')
        assert (limits['iops-total'], limits['bps-read'], limits['bps-write']) == (50, 6, 7), limits
        for bad, text in (({'iops-read': 5}, 'cannot both'), ({'iops-total-max': 5}, 'less than'), ({'iops-total': 0, 'iops-total-max': 5}, 'needs'),
                          ({'iops-total-max-length': 9}, 'needs'), ({'iops-total-max-length': 0}, 'at least 1'), ({'nosuch': 1}, 'nosuch'),
                          ({'iops-total': 'x'}, 'integer'), ({'iops-total': 1 << 60}, 'between'), ({'iops-size': -1}, 'negative'), (5, 'object')):
            fails(c, 'qom-set', {'path': '/objects/t0', 'property': 'limits', 'value': bad}, text=text)
            assert get(c, 't0', 'limits') == limits  # all or nothing
        refuses(c, 'iops-total', 'throttle-group', limits={'iops-total': 1, 'iops-write': 1})
        assert c.run('human-monitor-command', {'command-line': 'object_add {"qom-type":"throttle-group","id":"t1","limits":{"bps-read":9}}'}) == ''
        assert get(c, 't1', 'limits')['bps-read'] == 9


@test
def arrays_and_objects_on_the_command_line():
    with none('-object', json.dumps({'qom-type': 'throttle-group', 'id': 't', 'limits': {'iops-total': 100}}), '-object',
              json.dumps({'qom-type': 'memory-backend-memfd', 'id': 'm', 'size': MB, 'host-nodes': [0], 'policy': 'bind'})) as e:
        c = e.connect()
        assert get(c, 't', 'limits')['iops-total'] == 100 and get(c, 'm', 'host-nodes') == [0]
        add(c, 'throttle-group', 't1', limits={'bps-total': 5, 'bps-total-max': 50, 'bps-total-max-length': 10})


@test
def entropy():
    with none('-chardev', 'null,id=egd') as e:
        c = e.connect()
        add(c, 'rng-builtin', 'r0')
        add(c, 'rng-random', 'r1')
        assert get(c, 'r1', 'filename') == '/dev/urandom'
        refuses(c, '/nosuch', 'rng-random', filename='/nosuch')
        refuses(c, "'chardev' is missing", 'rng-egd')
        refuses(c, 'nosuch', 'rng-egd', chardev='nosuch')
        add(c, 'rng-egd', 'r2', chardev='egd')
        refuses(c, 'egd', 'rng-egd', chardev='egd')  # taken
        fails(c, 'chardev-remove', {'id': 'egd'}, text='in use')
        for r in ('r0', 'r1', 'r2'):
            c.run('object-del', {'id': r})
        c.run('chardev-remove', {'id': 'egd'})


# ---- secrets, TLS ----

@test
def secrets():
    with none() as e:
        c = e.connect()
        kinds = [t['name'] for t in c.run('qom-list-types', {'implements': 'tls-creds'})]
        refuses(c, 'base64', 'secret', data='***', format='base64')
        refuses(c, 'base64', 'secret', data='x', format='base64')
        refuses(c, "'data' and 'file'", 'secret', data='x', file='y')
        refuses(c, 'serial=1', 'secret_keyring', serial=1)
        if 'tls-creds-x509' not in kinds:
            refuses(c, 'gnutls', 'secret', data='eA==', keyid='k', format='base64')
            raise Skip('this build has no gnutls')
        key, iv = os.urandom(32), os.urandom(16)
        b64 = lambda x: subprocess.run(['base64', '-w0'], input=x, capture_output=True, check=True).stdout.decode()  # noqa: E731
        add(c, 'secret', 'master', data=b64(key), format='base64')
        refuses(c, 'iv=', 'secret', data='eA==', format='base64', keyid='master')
        refuses(c, 'keyid=', 'secret', data='x', iv=b64(iv))
        refuses(c, '5 bytes', 'secret', data=b64(bytes(16)), format='base64', keyid='master', iv=b64(b'12345'))
        refuses(c, 'multiple of 16', 'secret', data=b64(b'12345'), format='base64', keyid='master', iv=b64(iv))
        refuses(c, 'format=base64', 'secret', data='x', keyid='master', iv=b64(iv))
        refuses(c, 'nosuch', 'secret', data=b64(bytes(16)), format='base64', keyid='nosuch', iv=b64(iv))
        if not shutil.which('openssl'):
            return
        # An encrypted password opens an encrypted key of a certificate.
        folder = make_certificates(password='pass word')
        sealed = subprocess.run(['openssl', 'enc', '-aes-256-cbc', '-K', key.hex(), '-iv', iv.hex(), '-base64', '-A'], input=b'pass word',
                                capture_output=True, check=True).stdout.decode()
        add(c, 'secret', 'sealed', data=sealed, format='base64', keyid='master', iv=b64(iv))
        add(c, 'tls-creds-x509', 'good', dir=folder, endpoint='server', passwordid='sealed')
        add(c, 'secret', 'wrong', data='other')
        refuses(c, 'server-key.pem', 'tls-creds-x509', dir=folder, endpoint='server', passwordid='wrong')


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, capture_output=True)


def make_certificates(password=None, days='30', purpose='serverAuth', own_ca=True):
    folder = tempfile.mkdtemp(dir=SCRATCH)
    p = lambda name: os.path.join(folder, name)  # noqa: E731
    with open(p('ext'), 'w', encoding='ascii') as f:
        f.write(f'basicConstraints=critical,CA:FALSE\nextendedKeyUsage={purpose}\n')
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', p('ca-key.pem'), '-out', p('ca-cert.pem'), '-days', '30', '-subj', '/CN=ca')
    openssl('req', '-newkey', 'rsa:2048', *(['-passout', f'pass:{password}'] if password else ['-nodes']), '-keyout', p('server-key.pem'), '-out',
            p('req.pem'), '-subj', '/CN=host')
    openssl('x509', '-req', '-in', p('req.pem'), '-CA', p('ca-cert.pem'), '-CAkey', p('ca-key.pem'), '-CAcreateserial', '-out', p('server-cert.pem'),
            '-days', days, '-extfile', p('ext'))
    if not own_ca:
        openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', p('ca-key.pem'), '-out', p('ca-cert.pem'), '-days', '30', '-subj', '/CN=x')
    return folder


@test
def tls_credentials():
    with none() as e:
        c = e.connect()
        try:
            add(c, 'tls-creds-anon', 'anon', endpoint='server')
        except QmpError:
            raise Skip('this build has no gnutls') from None
        add(c, 'tls-creds-anon', 'anon2')
        refuses(c, 'NOSUCH', 'tls-creds-anon', priority='NOSUCH')
        keys = tempfile.mkdtemp(dir=SCRATCH)
        refuses(c, 'keys.psk', 'tls-creds-psk', dir=keys)
        with open(os.path.join(keys, 'keys.psk'), 'w', encoding='ascii') as f:
            f.write('alice:00112233445566778899aabbccddeeff\n')
        add(c, 'tls-creds-psk', 'psk', dir=keys, endpoint='server')
        add(c, 'tls-creds-psk', 'alice', dir=keys, username='alice')
        refuses(c, 'qemu', 'tls-creds-psk', dir=keys)
        refuses(c, 'endpoint=client', 'tls-creds-psk', dir=keys, username='alice', endpoint='server')
        refuses(c, "'dir' is missing", 'tls-creds-x509')
        refuses(c, 'ca-cert.pem', 'tls-creds-x509', dir=keys)
        if not shutil.which('openssl'):
            return
        good = make_certificates()
        add(c, 'tls-creds-x509', 'good', dir=good, endpoint='server')
        add(c, 'tls-creds-x509', 'client', dir=good)  # without a certificate of its own
        os.remove(os.path.join(good, 'server-key.pem'))
        refuses(c, 'server-key.pem', 'tls-creds-x509', dir=good, endpoint='server')
        refuses(c, 'for TLS servers', 'tls-creds-x509', dir=make_certificates(purpose='clientAuth'), endpoint='server')
        refuses(c, 'not trusted', 'tls-creds-x509', dir=make_certificates(own_ca=False), endpoint='server')
        expired = make_certificates(days='-1')
        refuses(c, 'expired', 'tls-creds-x509', dir=expired, endpoint='server')
        add(c, 'tls-creds-x509', 'unchecked', dir=expired, endpoint='server', sanity_check=False)


try:
    sys.exit(main(sys.argv[3:]))
finally:
    shutil.rmtree(SCRATCH, ignore_errors=True)
