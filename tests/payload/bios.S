/*
 * tests/payload/bios.S: real mode as firmware would leave it: interrupt handlers, ticks, and the way to a reset. Prints a
 * letter for each thing that is right, and ends by a jump to F000:FFF0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define PLACE 0x7000
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long _start
    .text
    .code32
    .global _start, user_start
_start:
    mov $real, %esi
    mov $PLACE, %edi
    mov $(real_end - real), %ecx
    rep movsb
    lgdt gdt_pointer
    ljmp $8, $PLACE
gdt:
    .quad 0, 0x00009b000000ffff, 0x000093000000ffff /* 16-bit code and data */
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt

    .code16
real:
    mov $16, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov %cr0, %eax
    and $~1, %al
    mov %eax, %cr0
    ljmp $0, $(PLACE + 1f - real)
1:  xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov $PLACE, %sp
    lidtl PLACE + idt_pointer - real
    mov $0x3f8, %dx
    int $0x12                       /* memory, as the data area says */
    cmp 0x413, %ax
    jne 9f
    cmp $639, %ax
    jne 9f
    mov $'M', %al
    outb %al, %dx
    cmpw $0x9fc0, 0x40e
    jne 9f
    mov $'E', %al
    outb %al, %dx
    clc
    mov $0xe820, %ax
    int $0x15                       /* not supported, and says so */
    jnc 9f
    cmp $0x86, %ah
    jne 9f
    mov $0x03, %ah
    int $0x10
    mov $'C', %al
    outb %al, %dx
    mov 0x46c, %ebx
    sti
    hlt
    hlt
    hlt
    cli
    mov 0x46c, %eax
    sub %ebx, %eax
    cmp $3, %eax
    jne 9f
    mov $'T', %al
    outb %al, %dx
    mov $0x0a, %al
    outb %al, %dx
    ljmp $0xf000, $0xfff0
9:  mov $'!', %al
    outb %al, %dx
    cli
    hlt
idt_pointer:
    .word 0x3ff
    .long 0
real_end:
    .data
    .long 0
