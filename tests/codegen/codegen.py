#!/usr/bin/env python3
"""Host code of hot idioms against goldens.txt (TAP). With --bless: rewrite goldens.txt.

  meson compile -C build && tests/codegen/codegen.py build/tests/codegen/codegen --bless
"""
import difflib, os, subprocess, sys

# SPDX-License-Identifier: GPL-2.0-or-later
golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'goldens.txt')
if len(sys.argv) < 2:
    print('1..0 # SKIP built without capstone (libcapstone-dev), or for another host')
    sys.exit(0)
p = subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, text=True)
if p.returncode == 77:
    print('1..0 # SKIP this host cannot run the translator')
    sys.exit(0)
if '--bless' in sys.argv:
    if p.returncode == 0:
        open(golden, 'w').write(p.stdout)
    sys.exit(p.returncode)
print('1..1')
want = open(golden).read()
for line in difflib.unified_diff(want.splitlines(), p.stdout.splitlines(), 'goldens.txt', 'now', lineterm='', n=8):
    print('#', line)
same = p.returncode == 0 and want == p.stdout
print('ok' if same else 'not ok', '1 - host code of hot idioms' + ('' if same else '; if meant: codegen.py … --bless'))
sys.exit(0 if same else 1)
