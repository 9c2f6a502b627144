#!/usr/bin/env python3
# scripts/qapi-gen.py: from a QAPI schema to C and to the reference manual.
# SPDX-License-Identifier: GPL-2.0-or-later
"""qapi-gen.py SCHEMA.json -o DIR [--check] [--depfile FILE]

Writes into DIR: qapi-types.[ch], qapi-commands.[ch], qapi-events.[ch], qapi-introspect.c, qmp-reference.md and
qmp-examples.json (what the documentation says is sent and answered, for tests). --check only reads the schema."""
import argparse
import json
import os
import sys

from qapi.cgen import CGen
from qapi.docgen import markdown
from qapi.introspect import Introspection
from qapi.parser import Doc, SchemaError
from qapi.schema import Schema


def examples(schema):
    found = []
    for x in schema.order:
        if not isinstance(x, Doc) and x.doc:
            found += [{'of': x.name, 'kind': x.kind, 'exchange': e} for e in x.doc.exchanges()]
    return json.dumps(found, indent=1) + '\n'


def main():
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument('schema')
    ap.add_argument('-o', '--output', default='.')
    ap.add_argument('--check', action='store_true')
    ap.add_argument('--depfile')
    ap.add_argument('--prefix', default='qapi/', help='of the generated headers in #include')
    o = ap.parse_args()
    try:
        schema = Schema(o.schema)
    except SchemaError as e:
        print(f'qapi-gen: {e}', file=sys.stderr)
        return 1
    if o.check:
        return 0
    c = CGen(schema, o.prefix)
    files = {
        'qapi-types.h': c.types_h(), 'qapi-types.c': c.types_c(), 'qapi-commands.h': c.commands_h(), 'qapi-commands.c': c.commands_c(),
        'qapi-events.h': c.events_h(), 'qapi-events.c': c.events_c(), 'qapi-introspect.c': Introspection(schema).c_text(),
        'qmp-reference.md': markdown(schema), 'qmp-examples.json': examples(schema),
    }
    os.makedirs(o.output, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(o.output, name), 'w', encoding='utf-8') as f:
            f.write(text)
    if o.depfile:
        with open(o.depfile, 'w', encoding='utf-8') as f:
            f.write(' '.join(os.path.join(o.output, n) for n in files) + ': ' + ' '.join(schema.files) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
