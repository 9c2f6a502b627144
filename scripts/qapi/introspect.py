# scripts/qapi/introspect.py: the text of query-qmp-schema, and a checker of values against it for tests.
# SPDX-License-Identifier: GPL-2.0-or-later
import json

from .cgen import NOTICE
from .schema import BUILTINS

EMPTY = 'q_empty'


class Introspection:
    """Pieces of JSON text, each with its condition; every element is followed by a comma."""

    def __init__(self, schema):
        self.schema = schema
        self.pieces = []
        self._build()

    def _name(self, t):
        """Builtin integers of any width are one type on the wire."""
        if t is None:
            return EMPTY
        if t.kind == 'builtin' and BUILTINS[t.name][0] == 'int':
            return 'int'
        if t.kind == 'array':
            return f'[{self._name(t.element)}]'
        return f'q_obj_{t.name}-arg' if t.implicit else t.name

    def _put(self, text, cond=None):
        if self.pieces and self.pieces[-1][0] == cond:
            self.pieces[-1] = (cond, self.pieces[-1][1] + text)
        else:
            self.pieces.append((cond, text))

    def _list(self, key, items, cond):
        """items: (condition, value)"""
        self._put(f'{json.dumps(key)}: [', cond)
        for c, v in items:
            both = f'{cond} && {c}' if cond and c else cond or c
            self._put(json.dumps(v) + ', ', both)
        self._put('], ', cond)

    @staticmethod
    def _features(owner):
        """For members, whose features' conditions are not split any further."""
        return {'features': [f.name for f in owner.features]} if owner.features else {}

    def _entity(self, meta, name, owner, fields=(), lists=()):
        cond = owner.cond if owner is not None else None
        self._put('{' + f'"name": {json.dumps(name)}, "meta-type": {json.dumps(meta)}, ', cond)
        for k, v in fields:
            self._put(f'{json.dumps(k)}: {json.dumps(v)}, ', cond)
        for k, v in lists:
            self._list(k, v, cond)
        if owner is not None and owner.features:
            self._list('features', [(f.cond, f.name) for f in owner.features], cond)
        self._put('}, ', cond)

    def _members(self, t):
        for m in t.members():
            yield m.cond, {'name': m.name, 'type': self._name(m.type), **({'default': None} if m.optional else {}), **self._features(m)}

    def _object(self, t):
        fields, lists = [], [('members', self._members(t))]
        if t.variants:
            fields = [('tag', t.tag_name)]
            given = [(v.cond, {'case': v.name, 'type': self._name(v.type)}) for v in t.variants]
            rest = [(v.cond, {'case': v.name, 'type': EMPTY}) for v in t.tag().type.values
                    if v.name not in [x.name for x in t.variants]]
            lists.append(('variants', given + rest))
        self._entity('object', self._name(t), t, fields, lists)

    def _used(self):
        """Types that a command or event reaches, in a stable order."""
        seen, order = set(), []

        def visit(t):
            if t is None or id(t) in seen:
                return
            seen.add(id(t))
            order.append(t)
            if t.kind == 'array':
                visit(t.element)
            for m in (t.members() + t.variants if t.kind in ('object', 'alternate') else []):
                visit(m.type)
        for e in list(self.schema.commands.values()) + list(self.schema.events.values()):
            visit(e.arg)
            visit(e.ret)
        return order

    def _build(self):
        for c in self.schema.commands.values():
            self._entity('command', c.name, c, [('arg-type', self._name(c.arg)), ('ret-type', self._name(c.ret)), ('allow-oob', c.oob)])
        for e in self.schema.events.values():
            self._entity('event', e.name, e, [('arg-type', self._name(e.arg))])
        self._entity('object', EMPTY, None, (), [('members', [])])
        done = {EMPTY}
        for t in self._used():
            name = self._name(t)
            if name in done:
                continue
            done.add(name)
            if t.kind == 'builtin':
                self._entity('builtin', name, None, [('json-type', BUILTINS[t.name][0])])
            elif t.kind == 'enum':
                self._entity('enum', name, t, (), [
                    ('members', [(v.cond, {'name': v.name, **self._features(v)}) for v in t.values]),
                    ('values', [(v.cond, v.name) for v in t.values])])
            elif t.kind == 'array':
                self._entity('array', name, t, [('element-type', self._name(t.element))])
            elif t.kind == 'alternate':
                self._entity('alternate', name, t, (), [('members', [(v.cond, {'type': self._name(v.type)}) for v in t.variants])])
            else:
                self._object(t)

    def c_text(self):
        out = [NOTICE, '#include "qapi/qapi.h"\n\nconst char *const qapi_introspection[] = {\n']
        for cond, text in self.pieces:
            if cond:
                out.append(f'#if {cond}\n')
            for i in range(0, len(text), 2000):
                out.append('    ' + json.dumps(text[i:i + 2000]) + ',\n')
            if cond:
                out.append('#endif\n')
        return ''.join(out) + '    NULL,\n};\n'


class Checker:
    """Holds values against what query-qmp-schema answered. Problems are a list of texts."""

    def __init__(self, schema):
        self.types = {e['name']: e for e in schema if e['meta-type'] not in ('command', 'event')}
        self.commands = {e['name']: e for e in schema if e['meta-type'] == 'command'}
        self.events = {e['name']: e for e in schema if e['meta-type'] == 'event'}

    def reply(self, command, value):
        return self._check(self.commands[command]['ret-type'], value, 'return')

    def event(self, name, data):
        if name not in self.events:
            return [f'event {name} is not in the schema']
        return self._check(self.events[name]['arg-type'], {} if data is None else data, name)

    def arguments(self, command, value):
        return self._check(self.commands[command]['arg-type'], value, command)

    def _check(self, name, value, path):
        t = self.types[name]
        meta = t['meta-type']
        if meta == 'builtin':
            ok = {'string': lambda v: isinstance(v, str), 'int': lambda v: isinstance(v, int) and not isinstance(v, bool),
                  'number': lambda v: isinstance(v, (int, float)) and not isinstance(v, bool), 'boolean': lambda v: isinstance(v, bool),
                  'null': lambda v: v is None, 'value': lambda v: True}[t['json-type']](value)
            return [] if ok else [f'{path}: {value!r} is not a {name}']
        if meta == 'enum':
            return [] if value in t['values'] else [f'{path}: {value!r} is not in enum {name}']
        if meta == 'array':
            if not isinstance(value, list):
                return [f'{path}: {value!r} is not an array']
            return [p for i, v in enumerate(value) for p in self._check(t['element-type'], v, f'{path}[{i}]')]
        if meta == 'alternate':
            return [] if any(not self._check(m['type'], value, path) for m in t['members']) else [f'{path}: {value!r} fits no branch of {name}']
        return self._object(t, value, path)

    def _all_members(self, t, value):
        members = {m['name']: m for m in t['members']}
        tag = value.get(t.get('tag')) if 'tag' in t else None
        for v in t.get('variants', []):
            if v['case'] == tag:
                members.update(self._all_members(self.types[v['type']], value))
        return members

    def _object(self, t, value, path):
        if not isinstance(value, dict):
            return [f'{path}: {value!r} is not an object']
        members, bad = self._all_members(t, value), []
        for k, v in value.items():
            bad += self._check(members[k]['type'], v, f'{path}.{k}') if k in members else [f"{path}: member '{k}' is not in {t['name']}"]
        bad += [f"{path}: member '{k}' is missing" for k, m in members.items() if 'default' not in m and k not in value]
        return bad
