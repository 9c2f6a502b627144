#!/usr/bin/env python3
# scripts/initramfs.py: write a compressed initramfs (cpio "newc", gzip). The result depends on the input only.
# SPDX-License-Identifier: GPL-2.0-or-later
"""initramfs.py OUT [--init FILE] [--file /path/in/guest=FILE]... [--busybox FILE]"""
import argparse
import gzip
import stat


class Cpio:
    def __init__(self):
        self.data, self.inode, self.dirs = bytearray(), 0, set()

    def entry(self, name, mode, content=b''):
        self.inode += 1
        raw = name.encode() + b'\0'
        fields = [self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0]
        self.data += b'070701' + b''.join(b'%08X' % f for f in fields) + raw
        self.pad()
        self.data += content
        self.pad()

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def directory(self, name):
        if name and name not in self.dirs:
            self.directory(name.rpartition('/')[0])
            self.dirs.add(name)
            self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, content):
        name = name.lstrip('/')
        self.directory(name.rpartition('/')[0])
        self.entry(name, stat.S_IFREG | 0o755, content)


def main():
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument('out')
    ap.add_argument('--init', required=True)
    ap.add_argument('--busybox', required=True)
    ap.add_argument('--file', action='append', default=[], metavar='GUEST=HOST')
    o = ap.parse_args()
    cpio = Cpio()
    for name in ('dev', 'proc', 'sys', 'tmp', 'root', 'etc'):
        cpio.directory(name)
    files = {'/init': o.init, '/bin/busybox': o.busybox}
    files.update(f.split('=', 1) for f in o.file)
    for name, host in files.items():
        with open(host, 'rb') as f:
            cpio.file(name, f.read())
    cpio.entry('bin/sh', stat.S_IFLNK | 0o777, b'busybox')
    cpio.entry('TRAILER!!!', 0)
    with open(o.out, 'wb') as f, gzip.GzipFile(fileobj=f, mode='wb', compresslevel=1, mtime=0, filename='') as z:
        z.write(cpio.data)


if __name__ == '__main__':
    main()
