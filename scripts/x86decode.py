#!/usr/bin/env python3
# Makes the x86 decoder's tables from target/x86/*.decode. The format is described at the head of
# target/x86/base.decode. Two rows that match the same bytes are an error, unless one says `over`.
#
# SPDX-License-Identifier: GPL-2.0-or-later
import argparse
import json
import re
import sys
from itertools import combinations

MAPS = {'': 0, '0F': 1, '0F38': 2, '0F3A': 3}
VEX_MAP = 3  # added to the legacy map's number
PFX = {'NP': 1, '66': 2, 'F3': 4, 'F2': 8, 'NFx': 3, 'NF3': 11, 'NF2': 7, 'N66': 13}
TYPES = ['none', 'b', 'w', 'd', 'q', 'dq', 'qq', 'v', 'y', 'z', 'x', 'ps', 'pd', 'ss', 'sd', 'pi', 'si', 'p', 's', 'a',
         't', 'bs', 'h', 'qh']
LETTERS = 'ABCDEGHIJLMNOPQRSUVWXYZ'
FIXED = {
    'AL': ('GPR', 0, 'b'), 'CL': ('GPR', 1, 'b'), 'DX': ('GPR', 2, 'w'), 'AX': ('GPR', 0, 'w'), 'rAX': ('GPR', 0, 'v'),
    'eAX': ('GPR', 0, 'z'), 'EAX': ('GPR', 0, 'd'), 'ECX': ('GPR', 1, 'd'), 'EDX': ('GPR', 2, 'd'),
    'ES': ('SEG', 0, 'w'), 'CS': ('SEG', 1, 'w'), 'SS': ('SEG', 2, 'w'), 'DS': ('SEG', 3, 'w'), 'FS': ('SEG', 4, 'w'),
    'GS': ('SEG', 5, 'w'), '1': ('ONE', 1, 'b'), 'ST0': ('ST', 0, 't'), 'STi': ('STI', 0, 't'), 'XMM0': ('XMM', 0, 'dq'),
}
ATTRS = ['lock', 'd64', 'f64', 'priv', 'prot', 'rep', 'sse', 'avx', 'x87', 'nowait', 'mmx', 'fp', 'align', 'vsib', 'nodiff',
         'over', 'i64', 'o64', 'nomem', 'pfx66', 'noalign', 'end', 'stack', 'cpl0']
FLAG_BITS = {'c': 1, 'p': 4, 'a': 16, 'z': 64, 's': 128, 'o': 2048, 'i': 512, 'd': 1024, 't': 256}


class Row:
    def __init__(self, where, text):
        self.where = where
        cols = [c.strip() for c in text.split('|')]
        if len(cols) != 6:
            self.fail(f'{len(cols)} columns instead of 6 (name | encoding | operands | attributes | feature | function)')
        self.name, self.encoding, operands, attrs, feature, function = cols
        self.map, self.opcode, self.opmask = 0, None, 0xff
        self.vex = False
        self.pfx, self.mod, self.reg, self.rm, self.w, self.l = 15, 0, 0xff, 0xff, 3, 3
        self.modrm = False
        self.modes = 3
        self.parse_operands(operands)
        self.parse_attrs(attrs)
        self.parse_encoding(self.encoding)
        self.features = [] if feature in ('-', '') else re.split(r'[+&]', feature)
        if len(self.features) > 2:
            self.fail('more than two features')
        m = re.fullmatch(r'(\w+)(?:\((.*)\))?|-', function)
        if not m:
            self.fail(f'bad function "{function}"')
        self.function = m.group(1)
        args = split_args(m.group(2)) if m.group(2) else []
        if len(args) > 2:
            self.fail('more than two arguments')
        self.args = (args + ['0', '0'])[:2]

    def fail(self, why):
        sys.exit(f'{self.where}: {getattr(self, "name", "?")}: {why}')

    def parse_operands(self, text):
        self.operands = []
        for o in [x.strip() for x in text.split(',')] if text not in ('', '-') else []:
            if o in FIXED:
                self.operands.append(FIXED[o])
            elif o[0] in LETTERS and (o[1:] in TYPES or o == 'M' or o == 'Ew/d'):
                self.operands.append((o[0], 0, o[1:] or 'none'))
            else:
                self.fail(f'unknown operand "{o}"')
        if len(self.operands) > 4:
            self.fail('more than four operands')

    def parse_attrs(self, text):
        self.attrs, self.flags = set(), {'w': 0, 'u': 0, 'r': 0}
        for a in text.split() if text != '-' else []:
            if re.fullmatch('[wur]:[cpazsoidt]+', a):
                for c in a[2:]:
                    self.flags[a[0]] |= FLAG_BITS[c]
            elif a in ATTRS:
                self.attrs.add(a)
            else:
                self.fail(f'unknown attribute "{a}"')
        if 'i64' in self.attrs:
            self.modes &= 1
        if 'o64' in self.attrs:
            self.modes &= 2
        if self.modes == 0:
            self.fail('valid in no mode')

    def parse_vex(self, tok):
        self.vex = True
        self.pfx = 1
        for part in tok.split('.')[1:]:
            if part in ('128', 'LZ', 'L0'):
                self.l = 1
            elif part in ('256', 'L1'):
                self.l = 2
            elif part in ('LIG', 'NDS', 'NDD', 'DDS', 'WIG'):
                pass
            elif part in ('NP', '66', 'F3', 'F2'):
                self.pfx = PFX[part]
            elif part in ('0F', '0F38', '0F3A'):
                self.map = MAPS[part] + VEX_MAP
            elif part == 'W0':
                self.w = 1
            elif part == 'W1':
                self.w = 2
            else:
                self.fail(f'unknown VEX field "{part}"')
        if self.map < 4:
            self.fail('VEX without a map')

    def parse_encoding(self, text):
        toks = text.split()
        escape = ''
        seen_prefix = False
        for n, t in enumerate(toks):
            if t.startswith('VEX.'):
                self.parse_vex(t)
            elif self.opcode is None and t in PFX and not seen_prefix and not self.vex and \
                    (not re.fullmatch('66|F2|F3', t) or n + 1 < len(toks)):
                self.pfx = PFX[t]
                seen_prefix = True
            elif t == 'REX.W':
                self.w = 2
            elif t == 'W0':
                self.w = 1
            elif self.opcode is None and t == '0F' and not self.vex and escape == '':
                escape = '0F'
                self.map = 1
            elif self.opcode is None and escape == '0F' and t in ('38', '3A') and self.map == 1 and \
                    n + 1 < len(toks) and re.match('[0-9A-F]{2}', toks[n + 1]):
                escape += t
                self.map = MAPS[escape]
            elif m := re.fullmatch(r'([0-9A-F]{2})(\+r|\+cc|\+i)?', t):
                self.add_byte(int(m.group(1), 16), m.group(2))
            elif t == '/r':
                self.modrm = True
            elif m := re.fullmatch('/([0-7])', t):
                self.modrm = True
                self.reg = 1 << int(m.group(1))
            elif t == '/is4':
                pass
            elif t in ('mem', 'reg'):
                self.mod = 1 if t == 'mem' else 2
                self.modrm = True
            elif re.fullmatch('[ic][bwdopz]|iv', t):
                pass
            else:
                self.fail(f'unknown encoding token "{t}"')
        if self.opcode is None:
            self.fail('no opcode')
        for kind, _, _ in self.operands:
            if kind in 'CDEGMNPQRSUVW' and len(kind) == 1 and not self.modrm:
                self.fail(f'operand {kind} needs ModRM (/r)')
        if self.modrm and self.mod == 0:
            kinds = {k for k, _, _ in self.operands}
            self.mod = 1 if 'M' in kinds else 2 if kinds & set('NRU') else 3
            if kinds & set('CD'):
                self.mod = 3

    def add_byte(self, value, suffix):
        if self.opcode is None:
            self.opcode = value
            self.opmask = {None: 0xff, '+r': 0xf8, '+cc': 0xf0, '+i': 0xf8}[suffix]
        elif value >= 0xc0 and not self.modrm:
            self.modrm = True
            self.mod = 2
            self.reg = 1 << (value >> 3 & 7)
            self.rm = 0xff if suffix else 1 << (value & 7)
        else:
            self.fail(f'unexpected byte {value:02X}')

    def opcodes(self):
        return [o for o in range(256) if (o & self.opmask) == (self.opcode & self.opmask)]

    def vvvv_used(self):
        return any(k in ('H', 'B') for k, _, _ in self.operands)

    def overlaps(self, other):
        if not (self.pfx & other.pfx and self.w & other.w and self.l & other.l and self.modes & other.modes):
            return False
        if not self.modrm:
            return True
        return bool(self.mod & other.mod and self.reg & other.reg and self.rm & other.rm)


def split_args(text):
    out, depth = [''], 0
    for ch in text:
        depth += (ch == '(') - (ch == ')')
        if ch == ',' and depth == 0:
            out.append('')
        else:
            out[-1] += ch
    return [a.strip() for a in out]


def read_rows(paths):
    rows = []
    for path in paths:
        with open(path, encoding='utf-8') as f:
            for n, line in enumerate(f, 1):
                line = line.split('#', 1)[0].strip()
                if line:
                    rows.append(Row(f'{path}:{n}', line))
    return rows


def dispatch(rows):
    table = {}
    for index, row in enumerate(rows):
        for o in row.opcodes():
            table.setdefault((row.map, o), []).append(index)
    errors = []
    for (m, o), cand in table.items():
        cand.sort(key=lambda i: 'over' not in rows[i].attrs)
        if len({rows[i].modrm for i in cand}) > 1:
            errors.append(f'{rows[cand[0]].where}: opcode {o:02X} of map {m}: some rows have ModRM, some not: ' +
                          ', '.join(rows[i].name for i in cand))
        for a, b in combinations(cand, 2):
            if rows[a].overlaps(rows[b]) and ('over' in rows[a].attrs) == ('over' in rows[b].attrs):
                errors.append(f'{rows[b].where}: {rows[b].name} ({rows[b].encoding}) overlaps {rows[a].name} '
                              f'({rows[a].encoding}, {rows[a].where})')
    if errors:
        sys.exit('\n'.join(sorted(set(errors))))
    return table


def c_row(row):
    ops = ', '.join('{X86_SPEC_%s, %d, X86_TYPE_%s}' % (k, r, t) for k, r, t in row.operands)
    attrs = ' | '.join(f'X86_ATTR_{a}' for a in sorted(row.attrs)) or '0'
    feats = ', '.join(f'X86_FEATURE_{f}' for f in row.features) or '0'
    fn = f'gen_{row.function}' if row.function else 'NULL'
    return (f'    {{"{row.name}", "{row.encoding}", {fn}, {row.args[0]}, {row.args[1]}, {row.map}, 0x{row.opcode:02x}, 0x{row.opmask:02x}, '
            f'{int(row.modrm)}, 0x{row.pfx:x}, {row.mod}, 0x{row.reg:02x}, 0x{row.rm:02x}, {row.w}, {row.l}, {row.modes}, '
            f'{int(row.vvvv_used())}, {len(row.operands)}, {{{ops}}}, {attrs}, {{{feats}}}, '
            f'0x{row.flags["w"]:x}, 0x{row.flags["u"]:x}, 0x{row.flags["r"]:x}}},')


def write_c(rows, table, out):
    out.write('/* Made by scripts/x86decode.py. */\n')
    out.write('const X86Row x86_rows[] = {\n' + '\n'.join(c_row(r) for r in rows) + '\n};\n')
    out.write('const unsigned x86_row_count = ARRAY_SIZE(x86_rows);\n')
    flat = []
    index = {}
    for key, cand in sorted(table.items()):
        index[key] = (len(flat), len(cand))
        flat += cand
    out.write('static const uint16_t x86_candidates[] = {' + ', '.join(map(str, flat)) + '};\n')
    out.write('static const X86Dispatch x86_dispatch[7][256] = {\n')
    for (m, o), (start, count) in index.items():
        modrm = int(rows[table[(m, o)][0]].modrm)
        out.write(f'    [{m}][0x{o:02x}] = {{{start}, {count}, {modrm}}},\n')
    out.write('};\n')


def write_h(rows, out):
    out.write('/* Made by scripts/x86decode.py. */\n#pragma once\n')
    for f in sorted({r.function for r in rows if r.function}):
        out.write(f'void gen_{f}(DisasContext *s, X86Insn *i);\n')


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--c')
    p.add_argument('--header')
    p.add_argument('--missing')
    p.add_argument('--json')
    p.add_argument('spec', nargs='+')
    a = p.parse_args()
    rows = read_rows(a.spec)
    table = dispatch(rows)
    if a.c:
        with open(a.c, 'w', encoding='utf-8') as f:
            write_c(rows, table, f)
    if a.header:
        with open(a.header, 'w', encoding='utf-8') as f:
            write_h(rows, f)
    if a.missing:
        with open(a.missing, 'w', encoding='utf-8') as f:
            f.writelines(f'{r.name} {r.encoding}\n' for r in rows if not r.function)
    if a.json:
        with open(a.json, 'w', encoding='utf-8') as f:
            json.dump([{'name': r.name, 'encoding': r.encoding, 'operands': r.operands, 'attributes': sorted(r.attrs),
                        'features': r.features, 'flags': r.flags, 'implemented': bool(r.function)} for r in rows], f, indent=1)


if __name__ == '__main__':
    main()
