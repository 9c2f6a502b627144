#!/usr/bin/env python3
# scripts/doc-program.py: the program that the C blocks of a page of documentation make together.
# SPDX-License-Identifier: GPL-2.0-or-later
"""doc-program.py PAGE.md > PROGRAM.c"""
import sys

inside = False
with open(sys.argv[1], encoding='utf-8') as page:
    for number, line in enumerate(page, 1):
        if line.startswith('```'):
            inside = line.strip() == '```c'
            if inside:
                print(f'#line {number + 1} "{sys.argv[1]}"')
        elif inside:
            print(line, end='')
