/*
 * tests/payload/triple.S: no IDT, then an invalid instruction: the processor shuts down.
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
    .global _start, user_start
_start:
    mov $0x3f8, %dx
    mov $'T', %al
    outb %al, %dx
    mov $0x0a, %al
    outb %al, %dx
    lidt nothing
    ud2
    mov $'!', %al           /* never reached */
    outb %al, %dx
    jmp .
nothing: .word 0; .long 0
    .data
    .long 0
