#!/usr/bin/env python3
# tests/qmp/tls.py: character devices that speak TLS, with Python's ssl and openssl as the other side. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""tls.py RHEA SCRATCH [TEST...]"""
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

RHEA, SCRATCH = (os.path.abspath(x) for x in sys.argv[1:3])
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import HALT, PATIENCE, Connection, Emulator, Skip, fails, guest, main, out_byte, test  # noqa: E402

SCRATCH = tempfile.mkdtemp(dir=SCRATCH)


def in_scratch(*name):
    return os.path.join(SCRATCH, *name)


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, capture_output=True)


def make_certificates(name, hosts='DNS:localhost'):
    """An authority, and certificates of a server and a client that it signed, with the names of tls-creds-x509."""
    folder = in_scratch(name)
    os.mkdir(folder)
    key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    ca, ca_key = os.path.join(folder, 'ca-cert.pem'), os.path.join(folder, 'ca-key.pem')
    openssl('req', '-x509', *key, '-keyout', ca_key, '-out', ca, '-days', '30', '-subj', f'/CN={name} authority')
    for who in ('server', 'client', 'mallory'):
        extensions, request = os.path.join(folder, 'extensions'), os.path.join(folder, 'request.pem')
        with open(extensions, 'w', encoding='ascii') as f:
            f.write(f'basicConstraints=critical,CA:FALSE\nextendedKeyUsage={"server" if who == "server" else "client"}Auth\nsubjectAltName={hosts}\n')
        openssl('req', *key, '-keyout', os.path.join(folder, f'{who}-key.pem'), '-out', request, '-subj', f'/CN={who}')
        openssl('x509', '-req', '-in', request, '-CA', ca, '-CAkey', ca_key, '-CAcreateserial', '-out', os.path.join(folder, f'{who}-cert.pem'),
                '-days', '30', '-extfile', extensions)
    return folder


def context(folder, who, trusts=True):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if who == 'server' else ssl.PROTOCOL_TLS_CLIENT)
    if who:
        c.load_cert_chain(os.path.join(folder, f'{who}-cert.pem'), os.path.join(folder, f'{who}-key.pem'))
    if trusts:
        c.load_verify_locations(os.path.join(folder, 'ca-cert.pem'))
    return c


class Server(Emulator):
    """A QMP server (or a serial port) that speaks TLS by credentials 'creds', and a plain QMP socket beside."""

    def __init__(self, creds, *args, use=('-mon', 'chardev=tls,mode=control'), authz=None):
        with socket.create_server(('127.0.0.1', 0)) as listener:
            self.address, fd = listener.getsockname(), listener.fileno()
            super().__init__(RHEA, SCRATCH, '-chardev', f'socket,id=tls,fd={fd},server=on,wait=off,tls-creds=creds{f",tls-authz={authz}" if authz else ""}', *use,
                             '-object', f'{creds},id=creds,endpoint=server', *args, pass_fds=[fd])

    def dial(self):
        return socket.create_connection(self.address, PATIENCE)

    def tls(self, ctx):
        return ctx.wrap_socket(self.dial(), server_hostname='localhost')

    def said(self, *texts):
        """Wait for a warning with these texts."""
        deadline = time.time() + PATIENCE
        while not any(all(t in line for t in texts) for line in self.output().splitlines()):
            assert time.time() < deadline and self.process.poll() is None, f'{texts} not in {self.output()}'
            time.sleep(0.01)


def refused(connect):
    """Neither a greeting nor anything else comes."""
    try:
        with connect() as s:
            assert s.recv(1) == b''
    except (ssl.SSLError, ConnectionError):
        pass


class Openssl:
    """openssl s_client as the peer."""

    def __init__(self, address, *args):
        self.sock, theirs = socket.socketpair()
        self.process = subprocess.Popen(['openssl', 's_client', '-quiet', '-connect', f'{address[0]}:{address[1]}', *args], stdin=theirs, stdout=theirs,
                                        stderr=subprocess.DEVNULL)
        theirs.close()

    def __enter__(self):
        self.sock.settimeout(PATIENCE)
        return self.sock

    def __exit__(self, *exc):
        self.sock.close()
        self.process.kill()
        self.process.wait()


def session(sock):
    """QMP with long answers, and many commands in one TLS record: more than is read at once."""
    c = Connection(sock).negotiate()
    assert len(c.run('query-qmp-schema')) > 100
    n = 200
    c.raw(b''.join(b'{"execute": "query-version", "id": %d}\n' % i for i in range(n)))
    assert [c.reply('query-version')['id'] for _ in range(n)] == list(range(n))
    return c


@test
def certificates():
    """Only who has a certificate of our authority gets in; the others are told apart in the warnings."""
    ours, others = make_certificates('ours'), make_certificates('others')
    with Server(f'tls-creds-x509,dir={ours}', '-M', 'none', '-sandbox', 'on') as e:
        with e.tls(context(ours, 'client')) as s:
            c = session(s)
            fails(c, 'object-del', {'id': 'creds'}, text='in use')
        refused(lambda: e.tls(context(ours, None)))
        e.said("'tls'", 'TLS handshake', 'ertificate')
        stranger = context(others, 'client', trusts=False)
        stranger.load_verify_locations(os.path.join(ours, 'ca-cert.pem'))
        refused(lambda: e.tls(stranger))
        e.said('TLS handshake', 'NOT trusted')
        refused(lambda: e.tls(context(others, 'client')))  # it does not like ours
        with e.tls(context(ours, 'client')) as s:
            session(s)
    with Server(f'tls-creds-x509,dir={ours},verify-peer=off', '-M', 'none') as e, e.tls(context(ours, None)) as s:
        session(s)


@test
def shared_keys():
    key, wrong = '00112233445566778899aabbccddeeff', 'ff112233445566778899aabbccddeeff'
    with open(in_scratch('keys.psk'), 'w', encoding='ascii') as f:
        f.write(f'alice:{key}\n')
    with Server(f'tls-creds-psk,dir={SCRATCH}', '-M', 'none') as e:
        for version in ('-tls1_2', '-tls1_3'):
            with Openssl(e.address, version, '-psk', key, '-psk_identity', 'alice') as s:
                session(s)
            for bad in (wrong, 'alice'), (key, 'mallory'):
                refused(lambda bad=bad, version=version: Openssl(e.address, version, '-psk', bad[0], '-psk_identity', bad[1]))
        e.said("'tls'", 'TLS handshake', 'failed')


@test
def who_may_come_in():
    folder = make_certificates('authz')
    with open(in_scratch('keys.psk'), 'w', encoding='ascii') as f:
        f.write('alice:0011\nmallory:2233\n')
    x509 = f'tls-creds-x509,dir={folder}'
    one, rules = 'authz-simple,id=who,identity=CN=client', 'authz-list,id=who'
    for creds, authz in ((x509, one), (x509, f'{rules},rules.0.match=CN=client,rules.0.policy=allow'),
                         (x509, f'{rules},policy=allow,rules.0.match=CN=m*,rules.0.policy=deny,rules.0.format=glob,rules.1.match=*,rules.1.policy=deny'),
                         (x509, f'{rules},rules.0.match=CN=mallory,rules.0.policy=deny,rules.1.match=CN=[cm]*,rules.1.policy=allow,rules.1.format=glob')):
        with Server(creds, '-M', 'none', '-object', authz, authz='who') as e:
            with e.tls(context(folder, 'client')) as s:
                fails(session(s), 'object-del', {'id': 'who'}, text='in use')
            refused(lambda e=e: e.tls(context(folder, 'mallory')))
            e.said("'tls'", "'CN=mallory'", 'tls-authz')
            with e.tls(context(folder, 'client')) as s:
                session(s)
    with Server(f'tls-creds-psk,dir={SCRATCH}', '-M', 'none', '-object', 'authz-simple,id=who,identity=alice', authz='who') as e:
        for version in ('-tls1_2', '-tls1_3'):
            with Openssl(e.address, version, '-psk', '0011', '-psk_identity', 'alice') as s:
                session(s)
            refused(lambda e=e, version=version: Openssl(e.address, version, '-psk', '2233', '-psk_identity', 'mallory'))
        e.said("'tls'", "'mallory'", 'tls-authz')


@test
def nobody_in_particular():
    with Server('tls-creds-anon', '-M', 'none') as e, Openssl(e.address, '-tls1_2', '-cipher', 'aNULL:@SECLEVEL=0') as s:
        session(s)


def client(port, creds, host='localhost', more=''):
    return Emulator(RHEA, SCRATCH, '-M', 'none', '-chardev', f'socket,id=tls,host={host},port={port},ipv6=off,tls-creds=creds{more}', '-mon',
                    'chardev=tls,mode=control', '-object', f'{creds},id=creds')


@test
def clients():
    """The emulator connects. The certificate must be of the authority and have the name that was asked for."""
    ours, elsewhere = make_certificates('mine'), make_certificates('elsewhere', 'DNS:elsewhere.example')
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(PATIENCE)
        port = listener.getsockname()[1]
        ctx = context(ours, 'server')
        ctx.verify_mode = ssl.CERT_REQUIRED
        with client(port, f'tls-creds-x509,dir={ours}', more=',reconnect=1') as e:
            for _ in range(2):
                with ctx.wrap_socket(listener.accept()[0], server_side=True) as s:
                    session(s)
            e.stop()
        for folder, creds, text in (elsewhere, elsewhere, 'name'), (elsewhere, ours, 'NOT trusted'):
            with client(port, f'tls-creds-x509,dir={creds}') as e:
                plain = listener.accept()[0]
                refused(lambda: context(folder, 'server').wrap_socket(plain, server_side=True))  # pylint: disable=cell-var-from-loop
                c = e.connect()
                assert [x['filename'] for x in c.run('query-chardev') if x['label'] == 'tls'][0].startswith('disconnected:')
                e.stop()
                assert 'TLS handshake' in e.output() and text in e.output(), e.output()


@test
def both_sides():
    """Our client and our server, by each kind of credentials: a port of the one is a monitor of the other."""
    with open(in_scratch('keys.psk'), 'w', encoding='ascii') as f:
        f.write('qemu:00112233445566778899aabbccddeeff\n')
    both = make_certificates('both')
    for creds in (f'tls-creds-psk,dir={SCRATCH}', f'tls-creds-x509,dir={both}', 'tls-creds-anon'):
        with Server(creds, '-M', 'none') as e, Emulator(RHEA, SCRATCH, '-M', 'none', '-chardev', 'ringbuf,id=x') as other:
            c = other.connect()
            kind, _, folder = creds.partition(',dir=')
            c.run('object-add', {'qom-type': kind, 'id': 'creds', **({'dir': folder} if folder else {})})
            address = {'type': 'inet', 'data': {'host': 'localhost', 'port': str(e.address[1]), 'ipv6': False}}
            c.run('chardev-add', {'id': 'tls', 'backend': {'type': 'socket', 'data': {'addr': address, 'server': False, 'tls-creds': 'creds'}}})
            deadline = time.time() + PATIENCE
            while [x['filename'] for x in c.run('query-chardev') if x['label'] == 'tls'][0].startswith('disconnected:'):
                assert time.time() < deadline and 'TLS' not in e.output() + other.output(), (creds, e.output(), other.output())
                time.sleep(0.01)
            fails(c, 'object-del', {'id': 'creds'}, text='in use')
            c.run('chardev-remove', {'id': 'tls'})
            c.run('object-del', {'id': 'creds'})


@test
def stalled_handshakes():
    """A peer that says nothing, or not TLS, holds nothing up, and makes room for the next one in the end."""
    folder = make_certificates('stalled')
    with Server(f'tls-creds-x509,dir={folder},verify-peer=off', '-M', 'none') as e:
        c = e.connect()
        with e.dial():
            for _ in range(50):
                c.run('query-status')
            assert 'TLS' not in e.output()
            with e.tls(context(folder, None)) as s:
                session(s)
        e.said('TLS handshake', 'too long')
        with e.dial() as s:
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
            try:
                while s.recv(100):
                    pass  # an alert
            except ConnectionError:
                pass
        with e.tls(context(folder, None)) as s:
            session(s)
        with e.dial():
            c.run('query-status')
            e.stop()


@test
def output_waits_for_the_handshake():
    """What a guest writes while the handshake is going on is not lost."""
    folder = make_certificates('output')
    kernel = guest(in_scratch('print'), b''.join(out_byte(0x3f8, x) for x in b'hello') + HALT)
    with Server(f'tls-creds-x509,dir={folder},verify-peer=off', '-S', '-kernel', kernel, use=('-serial', 'chardev:tls')) as e:
        c = e.connect()
        plain = e.dial()
        c.run('query-status')  # whoever answers this has seen the connection, too
        c.run('cont')
        with context(folder, None).wrap_socket(plain, server_hostname='localhost') as s:
            got = b''
            while len(got) < 5:
                got += s.recv(100)
            assert got == b'hello', got


@test
def input_in_small_pieces():
    """A serial port takes a few bytes at a time out of a record that came at once."""
    folder = make_certificates('input')
    # wait: mov dx, 0x3fd; in al, dx; and al, 0x21; cmp al, 0x21; jne wait; mov dx, 0x3f8; in al, dx; out dx, al; jmp wait
    echo = bytes.fromhex('66bafd03 ec 2421 3c21 75f5 66baf803 ec ee ebed')
    with Server(f'tls-creds-x509,dir={folder},verify-peer=off', '-kernel', guest(in_scratch('echo'), echo), use=('-serial', 'chardev:tls')) as e:
        with e.tls(context(folder, None)) as s:
            text, got = bytes(i & 255 for i in range(2000)), b''
            s.sendall(text)
            while len(got) < len(text):
                got += s.recv(4096)
            assert got == text


@test
def errors():
    with Emulator(RHEA, SCRATCH, '-M', 'none') as e:
        c = e.connect()
        c.run('object-add', {'qom-type': 'tls-creds-anon', 'id': 'creds', 'endpoint': 'client'})
        inet = {'type': 'inet', 'data': {'host': '127.0.0.1', 'port': '0'}}
        local = {'type': 'unix', 'data': {'path': in_scratch('sock')}}
        for more, text in (({'tls-creds': 'nosuch'}, "'nosuch'"), ({'tls-creds': 'creds'}, 'endpoint=server'),
                           ({'tls-creds': 'creds', 'addr': local}, 'path='), ({'tls-creds': 'creds', 'telnet': True}, 'telnet=on')):
            fails(c, 'chardev-add', {'id': 'x', 'backend': {'type': 'socket', 'data': {'addr': inet, **more}}}, text=text)
        c.run('object-add', {'qom-type': 'authz-list', 'id': 'who', 'rules': [{'match': 'x', 'policy': 'allow'}]})
        assert c.run('qom-get', {'path': '/objects/who', 'property': 'rules'}) == [{'match': 'x', 'policy': 'allow'}]
        for rules, text in (([{'match': 'x'}], "rules[0].policy"), ([{'match': 5, 'policy': 'deny'}], 'rules[0].match'), ({}, 'rules'),
                            ([{'match': 'x', 'policy': 'maybe'}], 'maybe'), ([{'match': 'x', 'policy': 'deny', 'format': 'regex'}], 'regex')):
            fails(c, 'qom-set', {'path': '/objects/who', 'property': 'rules', 'value': rules}, text=text)
        for name, kind in (('anon', {'qom-type': 'tls-creds-anon'}), ('unproved', {'qom-type': 'tls-creds-x509', 'dir': make_certificates('errors'), 'verify-peer': False})):
            c.run('object-add', {'id': name, 'endpoint': 'server', **kind})
            fails(c, 'chardev-add', {'id': 'x', 'backend': {'type': 'socket', 'data': {'addr': inet, 'tls-creds': name, 'tls-authz': 'who'}}}, text='verify-peer=on')
        fails(c, 'chardev-add', {'id': 'x', 'backend': {'type': 'socket', 'data': {'addr': inet, 'tls-authz': 'who'}}}, text='tls-creds=')
        c.run('object-del', {'id': 'who'})
        c.run('object-del', {'id': 'creds'})
        fails(c, 'object-add', {'qom-type': 'authz-simple', 'id': 'x'}, text='identity')
    for value, text in (('rules.0.match=a,rules.1.policy=deny', 'policy'), ('rules.1.match=a', 'numbers from 0 up'), ('rules.x.match=a', 'rules'), ('policy=maybe', 'maybe'),
                        ('rules.0.match=a,rules.0=b', 'numbers from 0 up'), ('rules.0.match.a.b.c.d.e.f.g.h.i=a', 'rules')):
        with Emulator(RHEA, SCRATCH, '-M', 'none', '-object', f'authz-list,id=who,{value}') as e:
            assert e.wait() == 1 and text in e.output(), e.output()
    with Emulator(RHEA, SCRATCH, '-M', 'none', '-chardev', 'socket,id=x,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=c,tls-authz=nosuch', '-object',
                  f'tls-creds-psk,id=c,endpoint=server,dir={SCRATCH}') as e:
        assert e.wait() == 1 and "'nosuch'" in e.output(), e.output()


def check_build():
    if not shutil.which('openssl'):
        raise Skip('there is no openssl')
    with Emulator(RHEA, SCRATCH, '-M', 'none') as e:
        if 'tls-creds-x509' not in [t['name'] for t in e.connect().run('qom-list-types')]:
            raise Skip('this build has no gnutls')


try:
    check_build()
    sys.exit(main(sys.argv[3:]))
except Skip as skip:
    print(f'1..0 # SKIP {skip}')
finally:
    shutil.rmtree(SCRATCH, ignore_errors=True)
