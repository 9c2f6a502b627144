# tests/qmp/arguments.py: arguments for commands, made out of the schema.
# SPDX-License-Identifier: GPL-2.0-or-later
import random

STRINGS = ['', 'x', 'file', '/machine', 'none', '\u00e4' * 40]
PRIMITIVES = {'int': [0, 1, -1, 255, 256, 65536, 2**31, 2**32, -2**31 - 1, -2**63, 2**63 - 1], 'number': [0, 1.5, -1e300, 2**53], 'boolean': [True, False],
              'null': [None], 'value': [None, 1, 'x', [], {}, True]}


class Maker:
    """Arguments out of the schema; wrong=True: sometimes of another type, missing, or too many. `words`: strings by member
    name, in preference to just any."""

    def __init__(self, checker, seed, wrong, words=None):
        self.c, self.r, self.wrong, self.words = checker, random.Random(seed), wrong, words or {}

    def make(self, name, depth=0, member=''):
        t = self.c.types[name]
        if self.wrong and self.r.random() < 0.1:
            return self.r.choice([None, 1, 'x', [], {}, True, -1.5])
        meta = t['meta-type']
        if meta == 'builtin' and t['json-type'] == 'string':
            known = member in self.words and (member == 'host' or self.r.random() < 0.8)  # a host's name may be asked of the world
            return self.r.choice(self.words[member] if known else STRINGS)
        if meta == 'builtin':
            return self.r.choice(PRIMITIVES[t['json-type']])
        if meta == 'enum':
            return self.r.choice(t['values'])
        if meta == 'array':
            return [self.make(t['element-type'], depth + 1, member) for _ in range(self.r.randrange(3))] if depth < 6 else []
        if meta == 'alternate':
            return self.make(self.r.choice(t['members'])['type'], depth + 1, member)
        return self.object(t, depth)

    def object(self, t, depth):
        value = {}
        for m in t['members']:
            if ('default' not in m or self.r.random() < 0.5) and not (self.wrong and self.r.random() < 0.05):
                value[m['name']] = self.make(m['type'], depth + 1, m['name'])
        for v in t.get('variants', []):
            if v['case'] == value.get(t['tag']):
                value.update(self.object(self.c.types[v['type']], depth + 1))
        if self.wrong and self.r.random() < 0.1:
            value['no-such-member'] = 1
        return value
