# tests/bench/stamp.py: figures of a benchmark into the README: what stands between <!--NAME--> and <!--/--> there.
# SPDX-License-Identifier: GPL-2.0-or-later
import datetime
import os
import re

README = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'README.md')


def machine():
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        model = re.search(r'model name\s*: (.*)', f.read())
    return f'{datetime.date.today()}, {os.cpu_count()} CPUs of {model.group(1).strip() if model else "unknown make"}'


def stamp(**figures):
    """Also the date and the machine, as <!--measured-->."""
    with open(README, encoding='utf-8') as f:
        text = f.read()
    for name, figure in {**figures, 'measured': machine()}.items():
        text, n = re.subn(f'(<!--{name}-->).*?(<!--/-->)', lambda m, v=figure: f'{m.group(1)}{v}{m.group(2)}', text)
        assert n, f'{README} has no <!--{name}-->'
    with open(README, 'w', encoding='utf-8') as f:
        f.write(text)
