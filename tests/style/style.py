#!/usr/bin/env python3
"""Style as a test: file headers, line length, layers, errors that can be ignored, banned calls, devices that nobody builds, links in docs.

  style.py SOURCE_ROOT        prints TAP; one test per rule, with the offending lines as diagnostics
"""
import pathlib
import re
import shutil
import subprocess
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.').resolve()
files = []
if shutil.which('git'):
    files = [root / f for f in subprocess.run(['git', 'ls-files'], cwd=root, capture_output=True, text=True).stdout.split()]
if not files:  # no git, or a release archive
    files = [f for f in root.rglob('*') if f.is_file() and not f.relative_to(root).parts[0].startswith(('.', 'build', 'guests'))]
files = [f for f in files if f.exists() and 'tests/bench/vmbench' not in str(f)]
sources = [f for f in files if f.suffix in ('.c', '.h')]
text = {f: f.read_text(errors='replace') for f in files if f.suffix in ('.c', '.h', '.py', '.md', '.S', '.def', '.decode')}


def name(f):
    return str(f.relative_to(root))


def header():
    """Every source file says what it is and under which licence."""
    for f in sources:
        if 'SPDX-License-Identifier: GPL-2.0-or-later' not in text[f][:4000]:
            yield f'{name(f)}: no SPDX-License-Identifier: GPL-2.0-or-later in the opening comment'


def columns():
    """Lines fit 160 columns (100 is the aim of the formatter; tables may be wider)."""
    for f in sources:
        for n, line in enumerate(text[f].splitlines(), 1):
            if len(line) > 160:
                yield f'{name(f)}:{n}: {len(line)} columns'


# A layer includes only itself and lower ones. Longest prefix decides.
LAYERS = {'util': 0, 'qapi': 1, 'chardev': 1, 'memory': 1, 'event': 1, 'accel': 1, 'backends': 1, 'hw/core': 1, 'target': 2, 'hw': 2, 'hw/x86': 3,
          'migration': 4, 'gdbstub': 4,
          'monitor': 4, 'system': 4, 'tests': 5}
# Known crossings, each with its reason.
ALLOWED = {}


def layer(path):
    parts = path.split('/')
    for n in range(len(parts) - 1, 0, -1):
        if '/'.join(parts[:n]) in LAYERS:
            return LAYERS['/'.join(parts[:n])]
    return None


def layers():
    """A lower layer never includes a higher one."""
    for f in sources:
        mine = layer(name(f))
        for inc in re.findall(r'^#include "([^"]+)"', text[f], re.M):
            theirs = layer(inc)
            if mine is not None and theirs is not None and theirs > mine and (name(f), inc) not in ALLOWED:
                yield f'{name(f)} includes {inc}: layer {mine} may not use layer {theirs}'


# Declared low and defined high: who calls them low reaches up. Each with its reason; the list may only get shorter.
REQUEST = 'a request to the run state: a flag that the main loop looks at'
BACK_DOORS = {'system_reset_request': REQUEST, 'system_shutdown_request': REQUEST, 'system_shutdown_with_code': REQUEST,
              'system_powerdown_request': REQUEST, 'system_internal_error_request': REQUEST, 'system_watchdog_request': REQUEST,
              'system_debug_request': REQUEST}


def declared():
    """A function that a lower layer declares is not defined in a higher one."""
    where = {}
    for f in sources:
        if f.suffix == '.c' and not name(f).startswith('tests/'):
            for function in re.findall(r'^(?!static|typedef|extern|#)[A-Za-z_][\w ]*[ *](\w+)\([^;{}]*\)\n\{', text[f], re.M):
                where[function] = f
    for f in sources:
        if f.suffix != '.h' or name(f).startswith('tests/'):
            continue
        for function in re.findall(r'^(?!static|typedef|#)[A-Za-z_][\w ]*[ *](\w+)\([^;{}]*\)[^;{}()]*;', text[f], re.M):
            mine, theirs = layer(name(f)), layer(name(where[function])) if function in where else None
            if mine is not None and theirs is not None and theirs > mine and function not in BACK_DOORS:
                yield f'{function}: {name(f)} declares it, {name(where[function])} defines it'


def unused():
    """What fails by a GError cannot be ignored: such a function is WARN_UNUSED."""
    for f in sources:
        if f.suffix == '.h' and not name(f).startswith('tests/'):
            for m in re.finditer(r'^(?!static|typedef|void|#)[A-Za-z_][^;{}#]*?GError \*\*\w*\);', text[f], re.M):
                if '(*' not in m.group(0).split(',')[0] and not re.match(r'[A-Z_]+\(', m.group(0)):
                    yield f'{name(f)}: {m.group(0).splitlines()[0]}'


BANNED = {r'\bstrcpy\(': 'g_strlcpy or g_strdup', r'\bstrcat\(': 'GString', r'(?<![a-z_])sprintf\(': 'g_strdup_printf or snprintf',
          r'\bgets\(': 'fgets', r'\bstrtok\(': 'g_strsplit', r'\batoi\(': 'parse_u64', r'\bsystem\(': 'GSubprocess', r'\babort\(\)': 'assert or an error'}


def banned():
    """Calls that have no place here."""
    for f in sources:
        if name(f).startswith('tests/'):
            continue
        for n, line in enumerate(text[f].splitlines(), 1):
            code = re.sub(r'"(\\.|[^"\\])*"|/\*.*?\*/|//.*', '', line)
            for pattern, better in BANNED.items():
                if re.search(pattern, code) and not code.lstrip().startswith('*'):
                    yield f'{name(f)}:{n}: {pattern}: use {better}'


def built():
    """Every file with a DEVICE_TYPE is in its folder's meson.build."""
    for f in sources:
        if f.suffix == '.c' and re.search(r'^(DEVICE|OBJECT)_TYPE\(', text[f], re.M) and not name(f).startswith('tests/'):
            meson = f.parent / 'meson.build'
            if not meson.exists() or f.name not in meson.read_text():
                yield f'{name(f)}: not in {name(meson)}: nobody builds it'


# Size budgets: past 1,000 lines a file probably has two subjects. Exceptions give their reason.
BIG = {'tests/unit/test-backend.c': 'one test per IR operation, all on one generated-code harness',
       'hw/intc/apic.c': 'one register file, three access paths'}


def sizes():
    """Files stay below about 1,000 lines."""
    for f in sources:
        lines = text[f].count('\n')
        if lines > 1100 and name(f) not in BIG:
            yield f'{name(f)}: {lines} lines; split it, or list it here with a reason'


def links():
    """Relative links in the documentation lead somewhere."""
    for f in files:
        if f.suffix == '.md':
            for target in re.findall(r'\]\(([^)#\s]+)[^)]*\)', text[f]):
                if '://' not in target and not (f.parent / target).exists():
                    yield f'{name(f)}: link to {target}: no such file'


rules = [header, columns, layers, declared, unused, banned, built, sizes, links]
print(f'1..{len(rules)}')
failed = False
for i, rule in enumerate(rules, 1):
    bad = list(rule())
    failed |= bool(bad)
    print(f'{"not ok" if bad else "ok"} {i} - {rule.__doc__.strip()}')
    for b in bad:
        print(f'# {b}')
sys.exit(failed)
