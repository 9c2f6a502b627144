#!/usr/bin/env python3
# tests/qmp/qmp.py: QMP against live emulators. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""qmp.py RHEA SCRATCH EXAMPLES.json SOURCE_ROOT"""
import json
import os
import random
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import traceback

RHEA, SCRATCH, EXAMPLES, SOURCE = (os.path.abspath(x) for x in sys.argv[1:5])
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from arguments import Maker  # noqa: E402
from client import HALT, SPIN, Checker, Connection, Emulator, Schema, fails, guest, main, out_byte, test  # noqa: E402

SCRATCH = tempfile.mkdtemp(dir=SCRATCH)  # socket paths are short


def none(*args, **kw):
    return Emulator(RHEA, SCRATCH, '-M', 'none', '-S', *args, **kw)


def pc(code, *args, **kw):
    kernel = guest(os.path.join(SCRATCH, f'guest{Emulator.count}'), code)
    return Emulator(RHEA, SCRATCH, '-M', 'pc', '-m', '64', '-S', '-kernel', kernel, *args, **kw)


# ---- the session ----

@test
def greeting_and_negotiation():
    with none() as e:
        c = e.connect(negotiate=False)
        assert c.greeting['QMP']['version']['qemu'] == {'major': 7, 'minor': 2, 'micro': 22}, c.greeting
        assert c.greeting['QMP']['capabilities'] == []
        fails(c, 'query-status', cls='CommandNotFound', text='qmp_capabilities')
        fails(c, 'qmp_capabilities', {'enable': ['oob']}, text='enable')
        c.negotiate()
        fails(c, 'qmp_capabilities', cls='CommandNotFound')


@test
def requests_of_wrong_shape():
    with none() as e:
        c = e.connect()
        for request, text in ((b'[1]', 'object'), (b'{}', 'execute'), (b'{"execute": 1}', 'string'),
                              (b'{"execute": "stop", "arguments": []}', 'arguments'), (b'{"execute": "stop", "bogus": 1}', 'bogus'),
                              (b'{"exec-oob": "stop"}', 'out-of-band'), (b'{"execute": "nosuch"}', 'nosuch'),
                              (b'{"execute": "stop", "arguments": {"x": 1}}', "'x'")):
            c.raw(request)
            m = c.reply()
            assert text in m['error']['desc'], (request, m)


@test
def ids_are_echoed():
    with none() as e:
        c = e.connect()
        for i in (1, 'a', None, [1, {'b': None}], {'x': 'y'}, 1.5):
            assert c.ask('query-name', id=i)['id'] == i
            assert c.ask('nosuch', id=i)['id'] == i


@test
def malformed_json():
    """Each ends in at least one error, and the next command is answered."""
    with none() as e:
        c = e.connect()
        for bad in (b'}', b']', b'{ "execute": ]}', b'{"execute" "stop"}', b'{"execute": stop}', b'nonsense', b'"text"', b'17 ',
                    b'{"execute": "stop", }', b'{"execute": "sto\np"}', b'{"a": "\xff\xfe"}\n', b'{"a": "\xc3("}', b'{"a": "\\u0000"}',
                    b'{"a": "\\ud800"}', b'{"a": 1e999}', b'{"a": 99999999999999999999}', b'{"a": 01}', b'{"execute": "stop", "execute": "stop"}',
                    b'[' * 10000 + b'\n', b'{"a":' * 10000 + b'\n', b'[' * 10000 + b']' * 10000, b'{"a": "\x01"}', b"{'a': \"x'}\n"):
            c.raw(bad + b'\n{"execute": "query-name", "id": "after"}')
            errors = 0
            while True:
                m = c.reply()
                if m.get('id') == 'after':
                    break
                assert 'error' in m, (bad[:40], m)
                errors += 1
            assert 'return' in m and (errors or bad.startswith(b'{"a": "\xff')), (bad[:40], m, errors)


@test
def syntax_of_old():
    """Single quotes, no white space between requests, white space everywhere, one byte at a time."""
    with none() as e:
        c = e.connect()
        c.raw(b"{'execute':'query-name'}{\"execute\":\"query-uuid\"}\r\n\t {  'execute' : 'query-kvm'  ,'arguments':{}}")
        assert 'UUID' in [c.reply(), c.reply()][1]['return'] and 'enabled' in c.reply()['return']
        c.raw(b"{'execute': 'qom-get', 'arguments': {'path': 'it\\'s \"x\"', 'property': 'y'}}")
        assert '\'it\'s "x"\'' in c.reply()['error']['desc']
        for b in b'{"execute": "query-version", "id": "\\"}{"}':
            c.raw(bytes([b]))
        assert c.reply()['id'] == '"}{'


@test
def large_values():
    with none() as e:
        c = e.connect()
        big = 'x' * (8 << 20)
        assert c.ask('query-name', id=big)['id'] == big
        before = e.rss()
        c.raw(b'{"execute": "qom-get", "arguments": {"path": "')
        for _ in range(64):
            c.raw(b'y' * (1 << 20))
        c.raw(b'"}}')
        assert 'too large' in c.reply()['error']['desc']
        c.run('query-status')
        assert e.rss() - before < 64 << 20, e.rss() - before


@test
def queued_commands_in_order():
    with none() as e:
        c = e.connect()
        c.raw(b''.join(b'{"execute": "query-status", "id": %d}' % i for i in range(1000)))
        assert [c.reply('query-status')['id'] for _ in range(1000)] == list(range(1000))


@test
def client_that_never_reads():
    """Neither other clients nor memory suffer."""
    with none('-chardev', f'socket,id=second,path={SCRATCH}/second,server=on,wait=off', '-mon', 'chardev=second,mode=control') as e:
        idle, c = e.connect(), e.connect(f'{SCRATCH}/second')
        idle.sock.setblocking(False)
        before, sent = e.rss(), 0
        try:
            while sent < 50000:
                idle.sock.send(b'{"execute": "query-qmp-schema"}')
                sent += 1
        except BlockingIOError:
            pass
        for _ in range(2000):
            c.run('cont')
            c.run('stop')
        assert e.rss() - before < 64 << 20, e.rss() - before
        idle.sock.settimeout(20)
        assert isinstance(idle.reply()['return'], list)


@test
def reconnect():
    with none() as e:
        for _ in range(5):
            c = e.connect()
            c.raw(b'{"execute": "query-st')  # what is incomplete does not live on
            c.close()
        assert e.connect().run('query-status')['status'] == 'prelaunch'


@test
def several_monitors_and_events():
    path = f'{SCRATCH}/m2'
    with none('-qmp', f'unix:{path},server=on,wait=off') as e:
        a, b, = e.connect(), e.connect(path)
        a.run('cont')
        for c in (a, b):
            ts = c.event('RESUME')['timestamp']
            assert abs(ts['seconds'] - time.time()) < 60 and 0 <= ts['microseconds'] < 1000000
        b.run('stop')
        assert a.event('STOP') and b.event('STOP')
        a.run('stop')
        assert a.run('query-status')['status'] == 'paused'
        a.run('system_powerdown')
        assert 'data' not in b.event('POWERDOWN')


@test
def pretty():
    with none('-qmp-pretty', f'unix:{SCRATCH}/pretty,server=on,wait=off') as e:
        e.connect()
        s = socket.socket(socket.AF_UNIX)
        s.connect(f'{SCRATCH}/pretty')
        s.settimeout(10)
        text = b''
        while not text.endswith(b'\n}\r\n'):
            text += s.recv(4096)
        assert b'\n    "QMP": {' in text and json.loads(text)


# ---- every command ----

DANGEROUS = {'quit', 'set-action', 'memsave', 'pmemsave', 'dump-guest-memory', 'chardev-add', 'chardev-change', 'human-monitor-command'}  # files, memory: on their own below


def call_everything(e, rounds, wrong):
    c = e.connect()
    checker = Checker(c.run('query-qmp-schema'))
    assert sorted(x['name'] for x in c.run('query-commands')) == sorted(checker.commands)
    for name, info in sorted(checker.commands.items()):
        for seed in range(rounds):
            if name in DANGEROUS:
                break
            arguments = Maker(checker, f'{name}{seed}{wrong}', wrong).make(info['arg-type'])
            try:
                m = c.ask(name, arguments, id=seed)
            except (OSError, EOFError) as gone:
                raise AssertionError(f'{name} {arguments}: {gone!r}; {e.output()[-2000:]}') from None
            assert m.get('id') == seed, m
            if arguments is not None and name not in ('object-add', 'qmp_capabilities') and (not isinstance(arguments, dict) or checker.arguments(name, arguments)):
                assert 'error' in m, f'{name} took {arguments}'
    return c


@test
def every_command_on_none():
    with none() as e:
        call_everything(e, 20, False).run('query-status')


@test
def every_command_on_pc():
    with pc(SPIN, '-smp', '2') as e:
        call_everything(e, 20, False).run('query-status')


@test
def every_command_with_wrong_arguments():
    with none() as e:
        call_everything(e, 60, True).run('query-status')


@test
def chardev_add_with_wrong_arguments():
    with none() as e:
        c = e.connect()
        m = Maker(Checker(c.run('query-qmp-schema')), 1, True)
        for i in range(300):
            backend = m.make('ChardevBackend')
            if isinstance(backend, dict) and backend.get('type') in ('file', 'pipe', 'stdio'):
                continue
            c.ask('chardev-add', {'id': f'c{i}', 'backend': backend})
        c.run('query-chardev')


@test
def examples_work():
    with open(EXAMPLES, encoding='utf-8') as f:
        examples = json.load(f)
    assert len(examples) > 20
    with pc(SPIN) as e:
        c = e.connect()
        checker = Checker(c.run('query-qmp-schema'))
        for x in examples:
            for direction, text in x['exchange']:
                value = json.loads(text)
                if direction == '<-' and 'event' in value:
                    bad = checker.event(value['event'], value.get('data'))
                    assert not bad, bad
                elif direction == '<-' and 'return' in value and x['kind'] == 'command':
                    bad = checker.reply(x['of'], value['return'])
                    assert not bad, bad
                elif direction == '->' and value['execute'] not in ('qmp_capabilities', 'quit'):
                    c.run(value['execute'], value.get('arguments'))


# ---- subjects ----

@test
def argument_errors_name_the_path():
    with none() as e:
        c = e.connect()
        fails(c, 'qom-get', {'path': '/machine'}, text="'property' is missing")
        fails(c, 'qom-get', {'path': '/machine', 'property': 1}, text="'property': expected string, got integer")
        fails(c, 'qom-list', {'path': '/', 'pth': 1}, text="did you mean 'path'")
        fails(c, 'set-action', {'reboot': 'maybe'}, text='valid: reset, shutdown')
        c.run('migrate-set-capabilities', {'capabilities': [{'capability': x, 'state': False} for x in ('xbzrle', 'multifd', 'x-colo')]})
        fails(c, 'migrate-set-capabilities', {'capabilities': [{'capability': 'events', 'state': True}, {'capability': 'xbzrle', 'state': True}]},
              text="'xbzrle' is not supported yet")
        states = {x['capability']: x['state'] for x in c.run('query-migrate-capabilities')}  # nothing of the refused request was done
        assert set(states.values()) == {False} and {'events', 'xbzrle', 'multifd', 'postcopy-ram', 'zero-copy-send'} <= set(states), states
        c.run('migrate-set-capabilities', {'capabilities': [{'capability': x, 'state': x == 'events'} for x in states]})
        assert {x['capability'] for x in c.run('query-migrate-capabilities') if x['state']} == {'events'}
        c.run('migrate-set-capabilities', {'capabilities': [{'capability': x, 'state': False} for x in states]})
        fails(c, 'migrate-set-capabilities', {'capabilities': [{'capability': 'events', 'state': 1}]}, text='capabilities[0].state')
        fails(c, 'chardev-add', {'id': 'x', 'backend': {'type': 'socket', 'data': {'addr': {'type': 'inet', 'data': {'host': 'h'}}}}},
              text="'backend.data.addr.data.port' is missing")


@test
def objects():
    with none('-object', 'secret,id=key0,data=aGVsbG8=,format=base64', '-object', '{"qom-type":"secret","id":"key1","data":"x"}') as e:
        c = e.connect()
        assert {'name': 'key0', 'type': 'child<secret>'} in c.run('qom-list', {'path': '/objects'})
        assert c.run('qom-get', {'path': '/objects/key0', 'property': 'data'}) == ''
        assert c.run('qom-get', {'path': '/objects/key0', 'property': 'format'}) == 'base64'
        c.run('object-add', {'qom-type': 'secret', 'id': 'key2', 'file': '/etc/hostname'})
        fails(c, 'object-add', {'qom-type': 'secret', 'id': 'key2', 'data': 'x'}, text='key2')
        fails(c, 'object-add', {'qom-type': 'secret', 'id': 'key3'}, text="'data'")
        fails(c, 'object-add', {'qom-type': 'secret', 'id': 'key3', 'data': 'x', 'bogus': 1}, text='bogus')
        fails(c, 'object-add', {'qom-type': 'nosuch', 'id': 'key3'}, text='nosuch')
        c.run('object-del', {'id': 'key2'})
        c.run('qom-set', {'path': '/machine', 'property': 'dump-guest-core', 'value': False})
        assert c.run('qom-get', {'path': '/machine', 'property': 'dump-guest-core'}) is False
        fails(c, 'qom-set', {'path': '/machine', 'property': 'dump-guest-core', 'value': []}, text='dump-guest-core')
        fails(c, 'object-del', {'id': 'key2'}, text='key2')
        for command, arguments in (('qom-list', {'path': '/nosuch'}), ('qom-get', {'path': '/nosuch', 'property': 'type'}),
                                   ('device-list-properties', {'typename': 'nosuch'}), ('qom-list-properties', {'typename': 'nosuch'})):
            fails(c, command, arguments, cls='DeviceNotFound', text='nosuch')
        fails(c, 'device-list-properties', {'typename': 'secret'}, text='secret')
        types = {t['name']: t for t in c.run('qom-list-types', {'abstract': True})}
        assert all(t.get('parent') in types for name, t in types.items() if name != 'object') and types['object'] == {'name': 'object', 'abstract': True}
        assert 'object' not in {t['name'] for t in c.run('qom-list-types', {'implements': 'object'})}
        assert c.run('qom-list-properties', {'typename': 'object'}) == [{'name': 'type', 'type': 'string'}]
        for command in ('qom-list-properties', 'device-list-properties'):  # what all devices have is none of their own properties
            names = {p['name'] for p in c.run(command, {'typename': 'isa-serial'})}
            assert ({'type', 'realized', 'hotpluggable', 'hotplugged'} <= names) == (command == 'qom-list-properties') and 'chardev' in names, names


@test
def memory_of_none():
    """It has some if it is asked for, at address 0."""
    for args, size in ((['-m', '2'], 2 << 20), ([], 0), (['-machine', 'memory-backend=m', '-object', 'memory-backend-ram,id=m,size=1M'], 1 << 20)):
        with none(*args) as e:
            c = e.connect()
            assert c.run('query-memory-size-summary')['base-memory'] == size
            assert {m['name']: m for m in c.run('query-machines')}['none']['default-ram-id'] == 'ram'
            view = c.run('human-monitor-command', {'command-line': 'info mtree -f'})
            assert (f'{size - 1:016x}' in view) == bool(size), view


@test
def the_tree():
    with pc(HALT, '-smp', '2', '-device', 'isa-debug-exit,id=exit0', '-device', '{"driver":"isa-serial","id":"s1","chardev":"n"}',
            '-chardev', 'null,id=n') as e:
        c = e.connect()
        todo, count = ['/'], 0
        while todo:
            path = todo.pop()
            for p in c.run('qom-list', {'path': path}):
                full = path.rstrip('/') + '/' + p['name']
                if p['type'].startswith('child<'):
                    assert c.run('qom-get', {'path': path, 'property': p['name']}) == full
                    todo.append(full)
                elif 'unattached' not in path or count % 50 == 0:
                    c.ask('qom-get', {'path': path, 'property': p['name']})
                count += 1
        assert count > 200
        peripheral = {p['name']: p['type'] for p in c.run('qom-list', {'path': '/machine/peripheral'})}
        assert peripheral['exit0'] == 'child<isa-debug-exit>' and peripheral['s1'] == 'child<isa-serial>'
        assert c.run('qom-get', {'path': 'exit0', 'property': 'iobase'}) == 0x501
        assert c.run('qom-get', {'path': '/machine', 'property': 'type'}) == 'pc-i440fx-7.2-machine'
        cpus = c.run('query-cpus-fast')
        assert [x['cpu-index'] for x in cpus] == [0, 1] and all(os.path.exists(f'/proc/{e.process.pid}/task/{x["thread-id"]}') for x in cpus)
        props = {p['name'] for p in c.run('qom-list', {'path': cpus[0]['qom-path']})}
        assert {'sse2', 'unavailable-features', 'type'} <= props
        assert c.run('qom-get', {'path': cpus[0]['qom-path'], 'property': 'sse2'}) is True
        slots = c.run('query-hotpluggable-cpus')
        assert len(slots) == 2 and all('die-id' not in x['props'] for x in slots + cpus), slots  # this machine has no dies
        first = '/machine/unattached/device[0]'  # where clients look for the first CPU
        assert {'device[0]'} <= {p['name'] for p in c.run('qom-list', {'path': '/machine/unattached'})}
        types = {p['name']: p['type'] for p in c.run('qom-list', {'path': first})}
        for name, kind, value in (('vmx-ept', 'bool', False), ('sgx1', 'bool', False), ('npt', 'bool', False), ('sse4_2', 'bool', False),
                                  ('rdctl-no', 'bool', None), ('hv-vapic', 'bool', False), ('kvm', 'bool', True), ('vendor', 'string', None),
                                  ('lmce', 'bool', False), ('cpuid-0xb', 'bool', True), ('level', 'uint32', None), ('phys-bits', 'uint32', None),
                                  ('hv-vendor-id', 'str', 'Microsoft Hv'), ('socket-id', 'int32', 0), ('die-id', 'int32', 0), ('node-id', 'int32', -1),
                                  ('family', 'int', None), ('hotpluggable', 'bool', False), ('hotplugged', 'bool', False), ('realized', 'bool', True)):
            got = c.run('qom-get', {'path': first, 'property': name})
            assert types[name] == kind and value in (None, got), (name, types.get(name), got)
        for path in (first, cpus[0]['qom-path']):
            fails(c, 'qom-get', {'path': path, 'property': 'vmx-etp'}, text="not found; did you mean 'vmx-ept'?; qom-list shows all")
            fails(c, 'qom-set', {'path': path, 'property': 'sse2', 'value': False}, text="'sse2'")
        assert c.run('query-memory-size-summary')['base-memory'] == 64 << 20
        assert {p['name']: p for p in c.run('device-list-properties', {'typename': 'isa-serial'})}['chardev']['type'] == 'str'


@test
def cpu_models():
    with none() as e:
        c = e.connect()
        models = {m['name']: m for m in c.run('query-cpu-definitions')}
        assert models['qemu64']['typename'] == 'qemu64-x86_64-cpu' and models['max']['unavailable-features'] == []
        aliases = {n: models[n].get('alias-of') for n in ('qemu64', 'qemu64-v1', 'Nehalem-IBRS', 'Nehalem-v2', 'EPYC', 'max')}
        assert aliases == {'qemu64': 'qemu64-v1', 'qemu64-v1': None, 'Nehalem-IBRS': 'Nehalem-v2', 'Nehalem-v2': None, 'EPYC': 'EPYC-v1', 'max': None}, aliases
        assert [models[n]['migration-safe'] for n in ('qemu64', 'max', 'host')] == [True, False, False] and models['base']['static'] is True
        full = c.run('query-cpu-model-expansion', {'type': 'full', 'model': {'name': 'max'}})['model']['props']
        less = c.run('query-cpu-model-expansion', {'type': 'static', 'model': {'name': 'max', 'props': {'sse4.2': False}}})['model']['props']
        assert full['sse4.2'] is True and less['sse4.2'] is False and full['pni'] is True
        nehalem = c.run('query-cpu-model-expansion', {'type': 'static', 'model': {'name': 'Nehalem'}})['model']['props']
        assert [nehalem[x] for x in ('vendor', 'family', 'model', 'stepping')] == ['GenuineIntel', 6, 26, 3]
        again = c.run('query-cpu-model-expansion', {'type': 'static', 'model': {'name': 'qemu64', 'props': nehalem}})['model']['props']
        assert again == nehalem
        assert 'alias-of' not in models['base'] and {n for n in models if models[n]['static']} == {'base'}
        assert {n for n in models if not models[n]['migration-safe']} == {'max', 'host'}
        assert all(m['typename'] == f'{n}-x86_64-cpu' and m.get('alias-of', n) in models for n, m in models.items())
        # of each model: "base" with all that is told is the same CPU; and what is told in full can be said again
        names = {p['name'] for p in c.run('qom-list-properties', {'typename': 'max-x86_64-cpu'})}
        for name in models:
            for kind in ('static', 'full'):
                model = c.run('query-cpu-model-expansion', {'type': kind, 'model': {'name': name}})['model']
                assert model['name'] == ('base' if kind == 'static' else name), model['name']
                assert c.run('query-cpu-model-expansion', {'type': kind, 'model': model})['model'] == model, name
                assert set(model['props']) <= names, set(model['props']) - names
            assert {'vmx-ept', 'npt', 'rdctl-no', 'vendor', 'level'} <= set(model['props'])
        assert {'hv-spinlocks', 'min-level', 'phys-bits', 'lahf_lm', 'tcg-cpuid', 'kvm'} <= set(model['props']) and 'hv-spinlocks' not in nehalem
        # "host" cannot run here, but says what can be had
        host, most = (c.run('query-cpu-model-expansion', {'type': 'static', 'model': {'name': x}})['model']['props'] for x in ('host', 'max'))
        assert models['host']['unavailable-features'] == ['kvm'] and {k for k in host if host[k] is True} == {k for k in most if most[k] is True}
        fails(c, 'query-cpu-model-expansion', {'type': 'full', 'model': {'name': 'nosuch'}}, text='nosuch')
        fails(c, 'query-cpu-model-expansion', {'type': 'full', 'model': {'name': 'max', 'props': {'nosuch': True}}}, text='nosuch')
        fails(c, 'query-cpu-model-expansion', {'type': 'full', 'model': {'name': 'max,+x'}}, text='max,+x')


@test
def features_that_a_cpu_does_not_get():
    """Of the CPU that runs: what was asked for, not what its model has."""
    with pc(HALT, '-cpu', 'Haswell,hle=off,+vmx,vmx-ept=on,+npt,npt=off,tsx-ctrl=on') as e:
        c = e.connect()
        path = c.run('query-cpus-fast')[0]['qom-path']
        lack = c.run('qom-get', {'path': path, 'property': 'unavailable-features'})
        assert {'rtm', 'vmx', 'vmx-ept', 'tsx-ctrl'} <= set(lack) and not {'hle', 'npt'} & set(lack), lack
        for name in ('feature-words', 'filtered-features'):
            words = {(w['cpuid-input-eax'], w.get('cpuid-input-ecx'), w['cpuid-register']): w['features']
                     for w in c.run('qom-get', {'path': path, 'property': name})}
            assert words[7, 0, 'EBX'] >> 11 & 1 == (name == 'filtered-features') and words[1, None, 'ECX'] & 1 == (name == 'feature-words')
        assert "Haswell: the feature 'vmx-ept' is not supported yet" in e.output() and 'npt' not in e.output(), e.output()
    assert 'enforce=on' in refused('-M', 'pc', '-S', '-cpu', 'qemu64,+vmx-ept,enforce=on')


@test
def clocks_of_models():
    """To ask about a model with another clock does not change the machine's, which CPUID 40000010h tells."""
    store = b'\xb8\x10\0\0\x40\x0f\xa2\xa3\0\0\x20\0' + SPIN
    with pc(store, '-cpu', 'max,tsc-frequency=2000000000') as e:
        c = e.connect()
        for clock, found in (({'tsc-frequency': 3000000000}, 3000000000), ({'tsc-freq': '1.5G'}, 1500000000), ({}, 0)):
            model = c.run('query-cpu-model-expansion', {'type': 'full', 'model': {'name': 'max', 'props': clock}})['model']
            assert model['props']['tsc-frequency'] == found, model['props']['tsc-frequency']
        c.run('cont')
        deadline = time.time() + 20
        while '0x001e8480' not in (text := c.run('human-monitor-command', {'command-line': 'xp /1xw 0x200000'})):  # 2,000,000 kHz
            assert '0x00000000' in text and time.time() < deadline, text
            time.sleep(0.05)
        assert c.run('qom-get', {'path': '/machine/unattached/device[0]', 'property': 'tsc-frequency'}) == 2000000000


@test
def cpu_models_compare():
    with none() as e:
        c = e.connect()

        def compare(a, b):
            return c.run('query-cpu-model-comparison', {'modela': a, 'modelb': b})
        full, less = {'name': 'max'}, {'name': 'max', 'props': {'sse4.2': False, 'pku': False}}
        assert compare(full, full) == {'result': 'identical', 'responsible-properties': []}
        up, down = compare(full, less), compare(less, full)
        assert (up['result'], down['result']) == ('superset', 'subset') and 'sse4.2' in up['responsible-properties']
        assert up['responsible-properties'] == down['responsible-properties']
        assert compare({'name': 'max', 'props': {'sse4.2': False}}, {'name': 'max', 'props': {'pku': False}})['result'] == 'incompatible'
        common = c.run('query-cpu-model-baseline', {'modela': {'name': 'max', 'props': {'pku': False}}, 'modelb': {'name': 'max', 'props': {'sse4.2': False}}})
        assert common['model']['props']['sse4.2'] is False and common['model']['props']['pku'] is False and common['model']['props']['sse2'] is True
        assert compare(common['model'], full)['result'] == 'subset' and compare(common['model'], common['model'])['result'] == 'identical'
        for side in ('modela', 'modelb'):
            fails(c, 'query-cpu-model-baseline', {'modela': full, 'modelb': full, side: {'name': 'nosuch'}}, text=side)


@test
def keys_and_mice():
    """A guest that reads the keyboard controller writes what it gets to the serial port."""
    echo = bytes.fromhex('e464' 'a801' '74fa' 'e460' '66baf803' 'ee' 'ebf1')  # in 0x64; test 1; jz; in 0x60; out 0x3f8
    log = f'{SCRATCH}/scancodes'
    with pc(echo, '-serial', f'file:{log}') as e:
        c = e.connect()
        c.run('cont')
        got = b''

        def expect(codes):
            nonlocal got
            got += bytes(codes)
            deadline, text = time.time() + 30, b''
            while len(text) < len(got) and time.time() < deadline:
                time.sleep(0.01)
                with open(log, 'rb') as f:
                    text = f.read()
            assert text == got, (text.hex(), got.hex())
        q = lambda x: {'type': 'qcode', 'data': x}  # noqa: E731
        n = lambda x: {'type': 'number', 'data': x}  # noqa: E731
        c.run('send-key', {'keys': [q('ctrl'), q('alt'), n(0xd3)], 'hold-time': 20})
        c.run('send-key', {'keys': [q('a')], 'hold-time': 0})  # waits until those are let go
        expect([0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d, 0x1e, 0x9e])
        c.run('input-send-event', {'events': [{'type': 'key', 'data': {'key': n(28), 'down': True}}, {'type': 'key', 'data': {'key': q('ret'), 'down': False}}]})
        expect([0x1c, 0x9c])
        c.run('input-send-event', {'events': [{'type': 'rel', 'data': {'axis': 'x', 'value': 5}}, {'type': 'btn', 'data': {'button': 'left', 'down': True}},
                                              {'type': 'btn', 'data': {'button': 'wheel-up', 'down': True}}]})
        fails(c, 'send-key', {'keys': [n(0x1ff)]}, text='511')
        fails(c, 'send-key', {'keys': [q('ctrl'), q('f24')]}, text='f24')
        fails(c, 'send-key', {'keys': [q('a')], 'hold-time': -1}, text='-1')
        fails(c, 'input-send-event', {'events': [{'type': 'rel', 'data': {'axis': 'x', 'value': 1 << 40}}]}, text='1099511627776')
        fails(c, 'input-send-event', {'events': [{'type': 'abs', 'data': {'axis': 'x', 'value': 1}}]}, text='abs')
        c.run('stop')  # the guest's time stands still, and the queue is bounded
        for _ in range(1024):
            if 'error' in c.ask('send-key', {'keys': [q('a')]}):
                break
        fails(c, 'send-key', {'keys': [q('a')]}, text='wait already')
    with none() as e:
        fails(e.connect(), 'send-key', {'keys': [q('a')]}, text='no keyboard')


@test
def chardevs():
    with none('-chardev', 'pty,id=charserial0') as e:
        c = e.connect()
        info = {x['label']: x for x in c.run('query-chardev')}
        assert info['charserial0']['filename'].startswith('pty:/dev/pts/') and info['compat_monitor0']['frontend-open']
        assert 'ringbuf' in [x['name'] for x in c.run('query-chardev-backends')]
        c.run('chardev-add', {'id': 'ring', 'backend': {'type': 'ringbuf', 'data': {'size': 1024}}})
        for form in ('utf8', 'base64'):
            assert c.run('ringbuf-read', {'device': 'ring', 'size': 5, 'format': form}) == ''
        c.run('ringbuf-write', {'device': 'ring', 'data': 'hello, world'})
        assert c.run('ringbuf-read', {'device': 'ring', 'size': 5}) == 'hello'
        assert c.run('ringbuf-read', {'device': 'ring', 'size': 100, 'format': 'base64'}) == 'LCB3b3JsZA=='
        c.run('ringbuf-write', {'device': 'ring', 'data': '/wAB', 'format': 'base64'})
        assert c.run('ringbuf-read', {'device': 'ring', 'size': 100}) == '\ufffd?\x01'
        fails(c, 'ringbuf-read', {'device': 'charserial0', 'size': 1}, text='not a ringbuf')
        fails(c, 'ringbuf-read', {'device': 'ring', 'size': -1}, text='size')
        assert c.run('chardev-add', {'id': 'p2', 'backend': {'type': 'pty', 'data': {}}})['pty'].startswith('/dev/pts/')
        fails(c, 'chardev-add', {'id': 'p2', 'backend': {'type': 'null', 'data': {}}}, text='p2')
        c.run('chardev-add', {'id': 'f', 'backend': {'type': 'file', 'data': {'out': f'{SCRATCH}/a,b'}}})
        assert os.path.exists(f'{SCRATCH}/a,b')
        for i in ('ring', 'p2', 'f'):
            c.run('chardev-remove', {'id': i})
        fails(c, 'chardev-remove', {'id': 'ring'}, text='ring')
        fails(c, 'chardev-remove', {'id': 'compat_monitor0'}, text='in use')
        fails(c, 'chardev-change', {'id': 'compat_monitor0', 'backend': {'type': 'null', 'data': {}}}, text='monitor')
        c.run('chardev-send-break', {'id': 'charserial0'})


@test
def chardev_change_moves_the_serial_port():
    hello = b''.join(out_byte(0x3f8, b) for b in b'hello')
    with pc(hello + HALT, '-serial', f'file:{SCRATCH}/first') as e:
        c = e.connect()
        c.run('chardev-change', {'id': 'serial0', 'backend': {'type': 'file', 'data': {'out': f'{SCRATCH}/second-file'}}})
        c.run('cont')
        deadline = time.time() + 10
        text = ''
        while 'hello' not in text and time.time() < deadline:
            time.sleep(0.02)
            with open(f'{SCRATCH}/second-file', encoding='ascii') as f:
                text = f.read()
        assert text == 'hello', text
        assert os.path.getsize(f'{SCRATCH}/first') == 0


@test
def descriptors():
    with none() as e:
        c = e.connect()
        fails(c, 'getfd', {'fdname': 'x'}, text='no file descriptor')
        r, w = os.pipe()
        c.run('getfd', {'fdname': 'pipe'}, fds=[w])
        os.close(w)
        c.run('closefd', {'fdname': 'pipe'})
        assert os.read(r, 1) == b''  # closed over there, too
        fails(c, 'closefd', {'fdname': 'pipe'}, text='pipe')
        ours, theirs = socket.socketpair()
        c.run('getfd', {'fdname': 'sock'}, fds=[theirs.fileno()])
        theirs.close()
        c.run('chardev-add', {'id': 's', 'backend': {'type': 'socket', 'data': {'server': False, 'addr': {'type': 'fd', 'data': {'str': 'sock'}}}}})
        fails(c, 'closefd', {'fdname': 'sock'}, text='sock')
        c.run('chardev-remove', {'id': 's'})
        assert ours.recv(1) == b''
        with open(f'{SCRATCH}/fdset', 'wb') as f:
            info = c.run('add-fd', {'opaque': 'log'}, fds=[f.fileno()])
        assert c.run('query-fdsets') == [{'fdset-id': info['fdset-id'], 'fds': [{'fd': info['fd'], 'opaque': 'log'}]}]
        c.run('chardev-add', {'id': 'log', 'backend': {'type': 'file', 'data': {'out': f'/dev/fdset/{info["fdset-id"]}'}}})
        c.run('remove-fd', {'fdset-id': info['fdset-id']})
        assert c.run('query-fdsets') == []
        fails(c, 'remove-fd', {'fdset-id': 0}, text='0')
        fails(c, 'chardev-add', {'id': 'l2', 'backend': {'type': 'file', 'data': {'out': '/dev/fdset/7'}}}, text='/dev/fdset/7')


@test
def descriptors_on_the_command_line():
    """What libvirt passes: a listening socket, and a set for a log file."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(f'{SCRATCH}/listen')
    s.listen(1)
    with open(f'{SCRATCH}/log', 'wb') as log, none('-chardev', f'socket,id=charmonitor,fd={s.fileno()},server=on,wait=off', '-mon',
              'chardev=charmonitor,id=monitor,mode=control', '-add-fd', f'set=0,fd={log.fileno()},opaque=serial0-source', '-chardev',
              'file,id=charserial0,path=/dev/fdset/0,append=on', pass_fds=[s.fileno(), log.fileno()], qmp=False) as e:
        for _ in range(2):
            c = e.connect(f'{SCRATCH}/listen')
            assert c.run('query-fdsets')[0]['fds'][0]['opaque'] == 'serial0-source'
            c.close()


@test
def memory_to_files():
    with pc(HALT) as e:
        c = e.connect()
        c.run('pmemsave', {'val': 0x100000, 'size': 4, 'filename': f'{SCRATCH}/mem'})
        with open(f'{SCRATCH}/mem', 'rb') as f:
            assert f.read() == bytes.fromhex('02b0ad1b')
        c.run('memsave', {'val': 0x100000, 'size': 10000, 'filename': f'{SCRATCH}/mem'})
        assert os.path.getsize(f'{SCRATCH}/mem') == 10000
        c.run('dump-guest-memory', {'paging': False, 'protocol': f'file:{SCRATCH}/mem', 'begin': 0x100000, 'length': 4096})  # more in dump.py
        assert c.event('DUMP_COMPLETED')['data']['result']['total'] == 4096
        fails(c, 'pmemsave', {'val': 0, 'size': -1, 'filename': f'{SCRATCH}/mem'}, text='negative')
        fails(c, 'pmemsave', {'val': 0, 'size': 2**63 - 1, 'filename': f'{SCRATCH}/mem'}, text='9223372036854775807')
        fails(c, 'memsave', {'val': 0, 'size': 2**63 - 1, 'filename': f'{SCRATCH}/mem'}, text='9223372036854775807')
        fails(c, 'pmemsave', {'val': 0, 'size': 1, 'filename': '/nosuch/x'}, text='/nosuch/x')
        fails(c, 'memsave', {'val': 0, 'size': 1, 'filename': f'{SCRATCH}/mem', 'cpu-index': 7}, text='7')


@test
def human_monitor():
    with none() as e:
        c = e.connect()
        assert c.run('human-monitor-command', {'command-line': 'info status'}) == 'VM status: paused (prelaunch)\r\n'
        assert 'unknown command' in c.run('human-monitor-command', {'command-line': 'nosuch'})
        assert c.run('human-monitor-command', {'command-line': ''}) == ''
        fails(c, 'human-monitor-command', {'command-line': 'info cpus', 'cpu-index': 3}, text='3')


def hmp(c, line):
    return c.run('human-monitor-command', {'command-line': line}).replace('\r\n', '\n')


@test
def trace_points():
    with none() as e:
        c = e.connect()
        assert {'name': 'reg_read', 'state': 'disabled', 'vcpu': False} in c.run('trace-event-get-state', {'name': '*'})
        c.run('trace-event-set-state', {'name': 'reg_r*', 'enable': True})
        assert c.run('trace-event-get-state', {'name': 'reg_read'})[0]['state'] == 'enabled'
        c.run('trace-event-set-state', {'name': 'nosuch', 'enable': True, 'ignore-unavailable': True})
        fails(c, 'trace-event-set-state', {'name': 'nosuch', 'enable': True}, text='nosuch')
        fails(c, 'trace-event-get-state', {'name': 'nosuch'}, text='nosuch')


@test
def human_commands():
    """Each command and info item exists, wrong input is told, and what they show is right."""
    with pc(SPIN, '-smp', '2', '-chardev', 'ringbuf,id=r', '-uuid', '965214bc-8f5c-4d2c-8b5f-0d2ac4fdd8cd', '-name', 'n') as e:
        c = e.connect()
        names = [x.split(' ')[0] for x in hmp(c, 'help').splitlines()]
        items = [x.split(' ')[1] for x in hmp(c, 'help info').splitlines()]
        assert len(names) > 20 and len(items) > 15, (names, items)
        needed = {'stats': ' vm'}
        for item in items:
            text = hmp(c, f'info {item}{needed.get(item, "")}')
            assert 'unknown' not in text and 'Error' not in text, item
            assert 'unexpected' in hmp(c, f'info {item} a b c d'), item
        for name in names:
            assert name in hmp(c, f'help {name}'), name
            if name not in ('quit', 'gdbserver', 'system_reset', 'system_powerdown', 'stop', 'cont', 'nmi'):
                hmp(c, f'{name} ' + '9' * 40)
                hmp(c, f'{name} " \u00e4')
        for line, answer in (('print 2*(3+4)', '14'), ('p /x 255', '0xff'), ('print 1<<4|1', '17'), ('p -5/2', '-2'), ('p ~0', '-1'),
                             ('p /c 65', "'A'"), ('p $pc', str(0x10000c)), ('print 7 % -1', '0'), ('xp /2xw 0x100000', '0000000000100000: 0x1badb002 0x00000000'),
                             ('x /1i $pc', '0x0010000c: jmp 0x10000c'), ('xp/1db 0x100001', '0000000000100001: -80'),
                             ('info uuid', '965214bc-8f5c-4d2c-8b5f-0d2ac4fdd8cd'), ('info name', 'n'), ('qom-get /machine type', '"pc-i440fx-7.2-machine"'),
                             ('ringbuf_write r "a b"', ''), ('ringbuf_read r 1+1', 'a '), ('info kvm', 'kvm support: disabled')):
            assert hmp(c, line).rstrip('\n') == answer, (line, hmp(c, line))
        for line, part in (('print 1/0', 'zero'), ('print (1', "')'"), ('print nosuch', 'number'), ('p 1 2', 'unexpected'), ('p ' + '(' * 500, 'brackets'),
                           ('x /0x 0', 'count'), ('x /z 0', 'format'), ('log nosuch', 'nosuch'), ('cpu 7', '7'), ('ringbuf_read', "'device' is missing"),
                           ('ringbuf_read nosuch 5', 'nosuch'), ('qom-get /nosuch x', 'nosuch'), ('object_add secret', 'id'), ('info nosuch', 'unknown'),
                           ('trace-event nosuch on', 'nosuch'), ('trace-event x maybe', 'on or off'), ('chardev-add socket,id=q,path=/x,server=on,wait=on', 'wait')):
            assert part in hmp(c, line), (line, hmp(c, line))
        assert '* CPU #0' in hmp(c, 'info cpus')
        hmp(c, 'cpu 1')  # for this one command only
        assert '* CPU #0' in hmp(c, 'info cpus')
        for what in ('info cpus', 'info registers'):
            text = c.run('human-monitor-command', {'command-line': what, 'cpu-index': 1})
            assert '* CPU #1' in text or text.startswith('CPU#1'), text
        assert hmp(c, 'info registers -a').count('CPU#') == 2


@test
def line_editor():
    path = f'{SCRATCH}/hmp'
    with none('-monitor', f'unix:{path},server=on,wait=off') as e:
        e.connect()
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.settimeout(10)

        def until(end, text=b''):
            while not text.endswith(end):
                text += s.recv(4096)
            return text.decode()
        assert 'monitor' in until(b'(qemu) ')
        for keys, shown in ((b'info status\r', 'prelaunch'), (b'info statusX\x7f\r', 'prelaunch'), (b'nfo status\x01i\r', 'prelaunch'),
                            (b'\x1b[A\r', 'prelaunch'), (b'inf stat\x17status\x1b[H\x1b[C\x1b[C\x1b[Co\x1b[F\r', 'prelaunch'),
                            (b'garbage\x15info status\r', 'prelaunch'), (b'info statu\t\r', 'prelaunch'), (b'xinfo status\x1b[1~\x1b[3~\r', 'prelaunch'),
                            (b'info status trailing\x02\x1b[D\x17\x0b\r', 'prelaunch'), (b'qom-li\t /mach\t\r', 'peripheral')):
            s.sendall(keys)
            text = until(b'\n(qemu) ')
            assert shown in text, (keys, text)
        s.sendall(b'system_\t')
        assert 'system_powerdown  system_reset' in until(b'(qemu) system_')


@test
def options():
    with none('-name', 'guest=myname,debug-threads=on', '-uuid', '965214bc-8f5c-4d2c-8b5f-0d2ac4fdd8cd') as e:
        c = e.connect()
        assert c.run('query-name') == {'name': 'myname'}
        assert c.run('query-uuid') == {'UUID': '965214bc-8f5c-4d2c-8b5f-0d2ac4fdd8cd'}
        found = {o['option']: {p['name'] for p in o['parameters']} for o in c.run('query-command-line-options')}
        assert 'hpet' in found['machine'] and 'obsolete' in found['sandbox'] and 'driftfix' in found['rtc']
        assert {'guest', 'process'} <= found['name'] and {'backend', 'path', 'host', 'port', 'server', 'reconnect', 'size'} <= found['chardev']
        kinds = {(o['option'], p['name']): p['type'] for o in c.run('query-command-line-options') for p in o['parameters']}
        for option, name, kind in (('chardev', 'server', 'boolean'), ('smp-opts', 'cores', 'number'), ('memory', 'maxmem', 'size'),
                                   ('boot-opts', 'order', 'string'), ('add-fd', 'fd', 'number')):
            assert kinds[option, name] == kind, (option, name, kinds[option, name])
        assert [o['option'] for o in c.run('query-command-line-options', {'option': 'name'})] == ['name']
        fails(c, 'query-command-line-options', {'option': 'nosuch'}, text='nosuch')
        assert c.run('query-command-line-options', {'option': 'boot'}) == c.run('query-command-line-options', {'option': 'boot-opts'})


@test
def features_of_the_schema():
    """Of commands, members and values, as their names and the documentation say."""
    with none() as e:
        schema = e.connect().run('query-qmp-schema')
    entities = {x['name']: x for x in schema}
    assert entities['device_add']['features'] == ['json-cli', 'json-cli-hotplug']
    found = {(x['name'], m['name']): m['features'] for x in schema for m in x.get('members', []) if 'features' in m}
    assert found['SchemaInfoEnum', 'values'] == ['deprecated'] and found['MigrationCapability', 'x-colo'] == ['unstable'], found
    assert all('unstable' in f for (_, name), f in found.items() if name.startswith('x-'))
    assert not [x for x in schema if x.get('features') == [] or [m for m in x.get('members', []) if m.get('features') == []]]


def refused(*args):
    p = subprocess.run([RHEA, '-display', 'none', *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60, cwd=SCRATCH)
    return p.stdout.decode()


# An argument for each option that names its parameters when it meets an unknown one; several, if they depend on it.
ARGUMENTS = {'action': ['panic=none'], 'add-fd': ['fd=3,set=1'], 'boot': ['c'], 'chardev': [], 'fw_cfg': ['opt/x,string=y'],
             'global': ['driver=d,property=p,value=v'], 'm': ['64'], 'mon': ['q'], 'msg': ['timestamp=off'], 'name': ['x'], 'audiodev': ['none,id=x'],
             'numa': ['node', 'dist,src=0,dst=0,val=10', 'cpu,node-id=0,socket-id=0'], 'overcommit': ['mem-lock=off'], 'rtc': ['base=utc'],
             'sandbox': ['off'], 'smp': ['1'], 'trace': ['file=/dev/null']}
OTHER_NAMES = {'memory': 'm', 'smp-opts': 'smp', 'boot-opts': 'boot'}
NO_UNKNOWN = {'accel': {'accel'}, 'smbios': {'type', 'file'}}  # their parameters' names depend on values


@test
def option_parameters_are_what_options_take():
    with none() as e:
        c = e.connect()
        groups = c.run('query-command-line-options')
        for option, text in (('drive', 'not supported yet'), ('acpi', 'not supported yet'), ('daemonize', 'no option'), ('drvie', 'unknown option')):
            fails(c, 'query-command-line-options', {'option': option}, text=text)
        backends = [b['name'] for b in c.run('query-chardev-backends')]
    names = [g['option'] for g in groups]
    assert len(names) == len(set(names)), names
    assert {'boot-opts', 'memory', 'smp-opts', 'name', 'chardev'} <= set(names), names
    more = {'socket': f',path={SCRATCH}/options-socket,server=on,wait=off', 'file': f',path={SCRATCH}/options-file', 'pipe': f',path={SCRATCH}/options-fifo', 'mux': ',chardev=q'}
    os.mkfifo(f'{SCRATCH}/options-fifo')
    given = {'chardev': [f'{b},id=x{more.get(b, "")}' for b in backends]}
    for g in groups:
        option = OTHER_NAMES.get(g['option'], g['option'])
        found = {p['name']: p for p in g['parameters']}
        assert all(p.get('help') for p in found.values()), g
        assert len(found) == len(g['parameters']) and 'id' not in found, g
        if option in NO_UNKNOWN:
            assert set(found) == NO_UNKNOWN[option], g
        elif option != 'machine':
            taken = set()
            for argument in given.get(option, ARGUMENTS.get(option, [])):
                text = refused('-M', 'none', *(['-numa', 'node'] if option == 'numa' else []), '-chardev', 'null,id=q', '-' + option, argument + ',nosuch=1')
                assert "'nosuch'" in text and 'valid: ' in text, (option, argument, text)
                taken |= set(text.split('valid: ')[1].splitlines()[0].split(', '))
            taken -= {'id'}
            assert set(found) - {'type' if option == 'numa' else 'backend'} == taken, (option, set(found) ^ taken)
    kinds = {(g['option'], p['name']): p['type'] for g in groups for p in g['parameters']}
    assert kinds['chardev', 'server'] == 'boolean' and kinds['chardev', 'reconnect'] == 'number' and kinds['memory', 'size'] == 'size'
    assert kinds['smp-opts', 'cpus'] == 'number' and kinds['name', 'guest'] == 'string' and kinds['chardev', 'size'] == 'size'


@test
def machine_properties_of_old_spelling():
    with none('-machine', 'dump_guest_core=off') as e:
        assert e.connect().run('qom-get', {'path': '/machine', 'property': 'dump-guest-core'}) is False


# ---- run states ----

@test
def guest_shutdown_and_exit():
    with pc(out_byte(0x505, 4) + HALT, '-device', 'pvpanic') as e:
        c = e.connect()
        c.run('cont')
        assert c.event('SHUTDOWN')['data'] == {'guest': True, 'reason': 'guest-shutdown'}
        assert e.wait() == 0


@test
def guest_shutdown_and_stay():
    with pc(out_byte(0x505, 4) + HALT, '-device', 'pvpanic', '-no-shutdown') as e:
        c = e.connect()
        c.run('cont')
        c.event('SHUTDOWN')
        c.event('STOP')
        assert c.run('query-status') == {'running': False, 'singlestep': False, 'status': 'shutdown'}
        fails(c, 'cont', text='system_reset')
        c.run('stop')
        assert c.run('query-status')['status'] == 'shutdown'
        c.run('system_reset')
        assert c.event('RESET')['data'] == {'guest': False, 'reason': 'host-qmp-system-reset'}
        assert c.run('query-status')['status'] == 'prelaunch'
        c.run('set-action', {'shutdown': 'poweroff'})
        c.run('cont')
        c.event('SHUTDOWN')
        assert e.wait() == 0


@test
def guest_reset():
    with pc(out_byte(0x64, 0xfe) + HALT) as e:
        c = e.connect()
        c.run('cont')
        assert c.event('RESET')['data'] == {'guest': True, 'reason': 'guest-reset'}
        c.run('set-action', {'reboot': 'shutdown'})
        assert c.event('SHUTDOWN')['data'] == {'guest': True, 'reason': 'guest-reset'}
        assert e.wait() == 0


@test
def guest_panic():
    panic = out_byte(0x505, 1) + HALT
    for args, action, code, state in (([], 'poweroff', 0, None), (['-no-shutdown'], 'pause', None, 'guest-panicked'),
                                      (['-action', 'panic=none'], 'run', None, 'running'),
                                      (['-action', 'panic=exit-failure'], 'poweroff', 1, None)):
        with pc(panic, '-device', 'pvpanic', *args) as e:
            c = e.connect()
            c.run('cont')
            assert c.event('GUEST_PANICKED')['data'] == {'action': action}
            if state:
                assert c.run('query-status')['status'] == state
            else:
                assert c.event('SHUTDOWN')['data'] == {'guest': True, 'reason': 'guest-panic'}
                assert e.wait() == code
    with pc(out_byte(0x505, 2) + HALT, '-device', 'pvpanic') as e:
        c = e.connect()
        c.run('cont')
        assert c.event('GUEST_CRASHLOADED')['data'] == {'action': 'run'}


WATCHDOG = b'\x66\xba' + struct.pack('<H', 0x443) + b'\xb0\x0f\xee'  # expires at once


@test
def watchdog():
    for action, args in (('none', []), ('debug', []), ('pause', []), ('reset', []), ('poweroff', []), ('inject-nmi', []), ('shutdown', []),
                         ('none', ['-watchdog-action', 'none']), ('none', ['-action', 'watchdog=none'])):
        with pc(WATCHDOG + HALT, '-device', 'ib700', *args) as e:
            c = e.connect()
            if not args:
                c.run(*(('watchdog-set-action', {'action': action}) if action != 'debug' else ('set-action', {'watchdog': action})))
            c.run('cont')
            assert c.event('WATCHDOG')['data'] == {'action': action}
            if action == 'pause':
                c.event('STOP')
                assert c.run('query-status')['status'] == 'watchdog'
                c.run('cont')
            elif action == 'reset':
                assert c.event('RESET')['data'] == {'guest': True, 'reason': 'guest-reset'}
            elif action == 'poweroff':
                assert c.event('SHUTDOWN')['data'] == {'guest': True, 'reason': 'guest-shutdown'}
                assert e.wait() == 0
            elif action == 'shutdown':
                c.event('POWERDOWN')
            else:
                assert c.run('query-status')['running']


@test
def watchdog_is_stopped():
    """Stopped in time, it does not expire; a reset stops it, too."""
    stop = b'\x66\xba' + struct.pack('<H', 0x441) + b'\xee'
    slow = b'\x66\xba' + struct.pack('<H', 0x443) + b'\xb0\x00\xee'
    with pc(slow + stop + out_byte(0x505, 4) + HALT, '-device', 'ib700', '-device', 'pvpanic', '-no-shutdown') as e:
        c = e.connect()
        c.run('cont')
        c.event('SHUTDOWN')
        c.event('STOP')
        assert 'WATCHDOG' not in [x['event'] for x in c.events]


@test
def the_guest_sets_its_clock():
    """RTC_CHANGE tells how far from -rtc's base: here from 2021 to 2031."""
    code = b''
    for reg, value in ((0xb, 0x82), (9, 0x31), (0xb, 0x02)):
        code += out_byte(0x70, reg) + out_byte(0x71, value)
    for args in ([], ['-rtc', 'base=2021-05-06T07:08:09'], ['-rtc', 'base=2021-05-06T07:08:09,clock=vm']):
        with pc(code + HALT, *args) as e:
            c = e.connect()
            c.run('cont')
            data = c.event('RTC_CHANGE')['data']
            assert c.run('qom-get', {'path': data['qom-path'], 'property': 'type'}) == 'mc146818rtc', data
            years = 2031 - (2021 if args else time.gmtime().tm_year)
            assert abs(data['offset'] - years * 365.2425 * 86400) < 2 * 86400, data
            fails(c, 'system_wakeup', text='wake-up from suspend is not supported')


@test
def floods_of_events_are_limited():
    """A watchdog that expires all the time: at most one event in a second."""
    with pc(b'\x66\xba' + struct.pack('<H', 0x443) + b'\xb0\x0f\xee\xeb\xfd', '-device', 'ib700', '-watchdog-action', 'none') as e:
        c = e.connect()
        c.run('cont')
        begin = time.monotonic()
        for _ in range(4):
            c.event('WATCHDOG')
        assert time.monotonic() - begin > 2.9


@test
def signals():
    with pc(SPIN) as e:
        c = e.connect()
        c.run('cont')
        e.process.send_signal(signal.SIGTERM)
        assert c.event('SHUTDOWN')['data'] == {'guest': False, 'reason': 'host-signal'}
        assert e.wait() == 0


@test
def nmi():
    with pc(SPIN) as e:
        e.connect().run('inject-nmi')
    with none() as e:
        fails(e.connect(), 'inject-nmi', text='interrupt')


@test
def round_trips_beside_a_busy_guest():
    with pc(SPIN) as e:
        c = e.connect()
        c.run('cont')
        times = []
        for _ in range(500):
            begin = time.perf_counter()
            c.raw(b'{"execute": "query-status"}')
            c.line()
            times.append(time.perf_counter() - begin)
        print(f'# median {statistics.median(times) * 1e6:.0f} us, worst {max(times) * 1e6:.0f} us')
        assert statistics.median(times) < 0.02


# ---- clients ----

@test
def probe_of_libvirt():
    """Its argv, its commands in order, and what it must find (docs of its capability probe)."""
    folder = os.path.join(SCRATCH, 'probe')
    os.mkdir(folder)
    binary = os.path.join(folder, 'qemu-system-x86_64')
    os.symlink(os.path.abspath(RHEA), binary)
    begin = time.perf_counter()
    argv = [binary, '-S', '-no-user-config', '-nodefaults', '-nographic', '-machine', 'none,accel=kvm:tcg', '-qmp',
            f'unix:{folder}/qmp.monitor,server=on,wait=off', '-pidfile', f'{folder}/qmp.pid', '-daemonize']
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, env={'LC_ALL': 'C'})
    assert p.returncode == 0, p.stdout
    print(f'# probe ready after {(time.perf_counter() - begin) * 1e3:.0f} ms')
    with open(f'{folder}/qmp.pid', encoding='ascii') as f:
        pid = int(f.read())
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(f'{folder}/qmp.monitor')
        c = Connection(s, RHEA)
        c.run('qmp_capabilities')
        assert c.run('query-version')['qemu']['major'] == 7 and c.run('query-target')['arch'] == 'x86_64'
        schema = c.run('query-qmp-schema')
        enum = {t['name']: t for t in schema}
        qom_type = next(m for m in enum[enum['object-add']['arg-type']]['members'] if m['name'] == 'qom-type')['type']
        assert 'secret' in enum[qom_type]['values']
        assert 'cont' in [x['name'] for x in c.run('query-commands')]
        assert set(c.run('query-kvm')) == {'enabled', 'present'}
        types = [t['name'] for t in c.run('qom-list-types')]
        assert {'tcg-accel', 'isa-serial', 'max-x86_64-cpu', 'qemu64-x86_64-cpu', 'none-machine'} <= set(types)
        for name in ('virtio-blk-pci', 'scsi-hd', 'kvm-pit', 'ICH9-LPC', 'usb-host', 'isa-serial'):
            m = c.ask('device-list-properties', {'typename': name})
            assert 'return' in m or m['error']['class'] == 'DeviceNotFound', m
        for name in ('memory-backend-file', 'memory-backend-memfd', 'max-x86_64-cpu', 'none-machine'):
            c.run('qom-list-properties', {'typename': name})  # without memory-backend-file libvirt 9.0 crashes
        machines = c.run('query-machines')
        assert [(m['name'], m['alias'], m['default-ram-id']) for m in machines if m.get('is-default')] == [('pc-i440fx-7.2', 'pc', 'pc.ram')]
        c.run('query-cpu-definitions')
        c.run('query-command-line-options')
        c.run('query-migrate-capabilities')
        c.run('query-cpu-model-expansion', {'type': 'static', 'model': {'name': 'max'}})
        host = c.run('query-cpu-model-expansion', {'type': 'static', 'model': {'name': 'host', 'props': {'migratable': False}}})['model']['props']
        assert len(host['vendor']) == 12 and all(isinstance(host[x], int) for x in ('family', 'model', 'stepping')) and host['sse2'] is True
        begin = time.perf_counter()
        os.kill(pid, signal.SIGTERM)
        while s.recv(65536):
            pass
        print(f'# gone after {(time.perf_counter() - begin) * 1e3:.0f} ms')
        deadline = time.time() + 5
        while os.path.exists(f'{folder}/qmp.pid') and time.time() < deadline:
            time.sleep(0.005)
        assert not os.path.exists(f'{folder}/qmp.pid') and not os.path.exists(f'{folder}/qmp.monitor')
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


@test
def start_of_libvirt():
    """What it asks of a domain before cont, in order."""
    with pc(SPIN, '-name', 'guest=x86,debug-threads=on', '-machine', 'pc-i440fx-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram', '-object',
            '{"qom-type":"memory-backend-ram","id":"pc.ram","size":67108864}', '-audiodev', '{"id":"audio1","driver":"none"}', '-overcommit', 'mem-lock=off', '-smp', '2,sockets=2,cores=1,threads=1', '-rtc', 'base=utc',
            '-no-shutdown', '-boot', 'strict=on', '-chardev', 'pty,id=charserial0', '-device',
            '{"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}', '-msg', 'timestamp=on', '-sandbox',
            'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny') as e:
        c = e.connect()
        assert c.run('qom-get', {'path': '/machine', 'property': 'memory-backend'}) == 'pc.ram'
        c.run('query-migrate-capabilities')
        c.run('migrate-set-capabilities', {'capabilities': [{'capability': 'events', 'state': True}]})
        assert [x for x in c.run('query-chardev') if x['label'] == 'charserial0'][0]['filename'].startswith('pty:/dev/pts/')
        assert len(c.run('query-cpus-fast')) == 2
        assert c.run('query-iothreads') == []
        assert {'name': 'serial0', 'type': 'child<isa-serial>'} in c.run('qom-list', {'path': '/machine/peripheral'})
        assert c.run('query-named-block-nodes', {'flat': True}) == [] and c.run('query-block') == []
        c.run('cont')
        c.event('RESUME')
        c.close()  # libvirtd restarts
        c = e.connect()
        for command in ('query-migrate-capabilities', 'query-status', 'query-cpus-fast', 'query-iothreads', 'query-block', 'query-chardev', 'query-jobs'):
            c.run(command)
        c.run('stop')
        c.event('STOP')
        c.run('cont')
        assert e.stop() == 0


@test
def failure_under_libvirt():
    """Whoever sees the monitor close finds the reason in standard error: it is written first, even if that takes long."""
    path = f'{SCRATCH}/early'
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        out, full = os.pipe()
        os.set_blocking(full, False)
        try:
            while True:
                os.write(full, bytes(4096))
        except BlockingIOError:
            os.set_blocking(full, True)
        p = subprocess.Popen([RHEA, '-M', 'none', '-display', 'none', '-chardev', f'socket,id=m,fd={listener.fileno()},server=on,wait=off',
                              '-mon', 'chardev=m,mode=control', '-device', 'nosuch'], stderr=full, pass_fds=[listener.fileno()])
        os.close(full)
        listener.close()
        assert not select.select([client], [], [], 0.5)[0], 'the monitor closed before there was a message'
        with open(out, 'rb') as f:
            assert b"no device type 'nosuch'" in f.read()
        assert p.wait(60) == 1


@test
def probe_of_libguestfs():
    """Requests in one burst on standard input that ends at once; replies line by line, no event before the third."""
    kernel = guest(os.path.join(SCRATCH, 'libguestfs'), HALT)  # firmware, of which there is none, does without
    for machine in (['-machine', 'none,accel=kvm:tcg'], ['-machine', 'accel=kvm:tcg', '-kernel', kernel]):
        for command in ('query-qmp-schema', 'query-kvm'):
            p = subprocess.run([RHEA, '-display', 'none', *machine, '-qmp', 'stdio'], timeout=60, stdout=subprocess.PIPE,
                               input=b'{ "execute": "qmp_capabilities" } { "execute": "%s" } { "execute": "quit" }\n' % command.encode())
            lines = [json.loads(x) for x in p.stdout.splitlines()]
            assert 'QMP' in lines[0] and lines[1] == {'return': {}} and p.returncode == 0, lines[:2]
            data = lines[2]['return']
            assert 'enabled' in data if command == 'query-kvm' else len(data) > 50, lines[2]


@test
def testdev_ends_the_emulator():
    """The console of the KVM unit tests: "5q" is exit code 5 << 1 | 1."""
    code = b''.join(out_byte(0x3f8, x) for x in b'x5q') + HALT
    with pc(code, '-chardev', 'testdev,id=ctd', '-serial', 'chardev:ctd') as e:
        c = e.connect()
        c.run('cont')
        assert c.event('SHUTDOWN')['data'] == {'guest': True, 'reason': 'guest-shutdown'}
        assert e.wait() == 11


# No machine of today has a bus on which devices come and go (tests/unit/test-object.c has one), or a sleep to wake from.
CANNOT_SUCCEED = {'device_add', 'device_del', 'system_wakeup'}


def every_command_succeeded():
    """Each command of the schema was seen to succeed in this run, and its reply was as the schema says."""
    checker = Schema.checkers[RHEA]
    never = set(checker.commands) - Schema.succeeded - CANNOT_SUCCEED - {'quit'}
    print(f'# events never seen: {", ".join(sorted(set(checker.events) - Schema.events)) or "none"}')
    assert not never, sorted(never)


try:
    sys.exit(main(sys.argv[5:], [every_command_succeeded]))
finally:
    shutil.rmtree(SCRATCH, ignore_errors=True)
