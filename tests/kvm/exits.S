/*
 * tests/kvm/exits.S: a PVH program for the benchmark: 50,000 writes to a port that nothing answers, then
 * isa-debug-exit; with a command line, isa-debug-exit at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long _start

    .text
    .code32
    .globl _start
_start:
    mov 24(%ebx), %esi
    test %esi, %esi
    jz 1f
    cmpb $'x', (%esi)           /* peers give an empty line, not none */
    je 2f
1:  mov $50000, %ecx
3:  out %al, $0x80
    dec %ecx
    jnz 3b
2:  mov $0xf4, %dx
    mov $0x10, %al
    out %al, %dx
    hlt
