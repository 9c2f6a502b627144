# tests/fuzz/seeds.py: what fuzzers of the emulator have in common: options, seeds, time. Verdicts are TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from tap import finish, report  # noqa: E402


def main(usage, fuzz):
    """Call fuzz(rhea, scratch folder, seed, time of the end) with a fixed seed and a fresh one, or with the one that is given. It
    returns what it did, as a text, and a list of problems. The program's exit code."""
    ap = argparse.ArgumentParser(usage=usage)
    ap.add_argument('rhea')
    ap.add_argument('scratch')
    ap.add_argument('--seconds', type=float, default=20)
    ap.add_argument('--seed', type=int)
    o = ap.parse_args()
    scratch, seeds = tempfile.mkdtemp(dir=o.scratch), [o.seed] if o.seed is not None else [1, random.SystemRandom().randrange(1 << 30)]
    for seed in seeds:
        did, problems = fuzz(os.path.abspath(o.rhea), scratch, seed, time.time() + o.seconds / len(seeds))
        report(not problems, f'seed {seed}: {did}', '\n'.join(problems))
    shutil.rmtree(scratch, ignore_errors=True)
    return finish()
