/*
 * tests/kvm/irq.S: a 32-bit PVH program: local APIC timer, PIT through the PIC (ExtINT), halting, starting the
 * other processors. Prints what worked to COM1, loops if its command line starts with 'l' (counting in
 * `counter` and printing a dot now and then), and ends by isa-debug-exit.
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
    cli
    cld
    mov $stack_top, %esp
    mov 24(%ebx), %edi          /* command line */
    mov %edi, line
    mov $s_start, %esi
    call puts
    movb $0, 0x9000             /* a reset leaves memory as it was */
    lidt idt_ptr
    mov $idt + 0x40 * 8, %ebp
    mov $on_timer, %eax
    call set_gate
    mov $idt + 0x50 * 8, %ebp
    mov $on_pit, %eax
    call set_gate
    mov $0xfee00000, %ebp
    movl $0x1ff, 0xf0(%ebp)     /* enabled */
    movl $0, 0x80(%ebp)

    /* local APIC timer, one shot, three times */
    movl $0xb, 0x3e0(%ebp)      /* divide by 1 */
    movl $0x40, 0x320(%ebp)
1:  movl $100000, 0x380(%ebp)
    sti
    hlt
    cli
    cmpl $3, timer_count
    jb 1b
    mov $s_timer, %esi
    call puts

    /* PIT channel 0 at 1 kHz through the PIC and LINT0 */
    movl $0x700, 0x350(%ebp)
    mov $0x11, %al
    out %al, $0x20
    mov $0x50, %al
    out %al, $0x21
    mov $4, %al
    out %al, $0x21
    mov $1, %al
    out %al, $0x21
    mov $0xfe, %al
    out %al, $0x21
    mov $0x34, %al
    out %al, $0x43
    mov $0xa9, %al
    out %al, $0x40
    mov $4, %al
    out %al, $0x40
2:  sti
    hlt
    cli
    cmpl $3, pit_count
    jb 2b
    mov $0xff, %al
    out %al, $0x21
    mov $s_pit, %esi
    call puts

    /* the others: INIT, start-up at 0x8000 */
    mov $trampoline, %esi
    mov $0x8000, %edi
    mov $trampoline_end - trampoline, %ecx
    rep movsb
    movl $0xc4500, 0x300(%ebp)
    movl $0xc4608, 0x300(%ebp)
    mov $1, %eax                /* CPUID says how many there are */
    cpuid
    bt $28, %edx
    jnc 4f
    shr $16, %ebx
    movzbl %bl, %ebx
3:  pause
    movzbl 0x9000, %ecx
    inc %ecx
    cmp %ebx, %ecx
    jb 3b
4:  mov $s_cpus, %esi
    call puts
    mov $'1', %al
    add 0x9000, %al
    call putc
    mov $'\n', %al
    call putc

    /* loop for as long as asked */
    mov line, %edi
    test %edi, %edi
    jz 6f
    cmpb $'l', (%edi)
    jne 6f
5:  incl counter
    mov counter, %eax
    and $0x3ff, %eax
    jnz 5b
    mov $'.', %al
    call putc
    jmp 5b
6:  mov $s_done, %esi
    call puts
    mov $0x10, %al
    out %al, $0xf4
7:  hlt
    jmp 7b

puts:
    lodsb
    test %al, %al
    jz 1f
    call putc
    jmp puts
1:  ret

putc:
    mov $0x3f8, %dx
    out %al, %dx
    ret

/* gate at ebp → eax */
set_gate:
    mov %ax, (%ebp)
    movw $0x10, 2(%ebp)
    movw $0x8e00, 4(%ebp)
    shr $16, %eax
    mov %ax, 6(%ebp)
    ret

on_timer:
    incl timer_count
    movl $0, 0xfee000b0
    jmp return

on_pit:
    incl pit_count
    mov $0x20, %al
    out %al, $0x20
/* IRET by hand (EAX and ECX are free where interrupts are open): some KVMs emulate all but that. Another interrupt may come
 * before the last instruction, so where to go on is on the stack. */
return:
    mov (%esp), %eax
    mov 8(%esp), %ecx
    mov %eax, 8(%esp)
    mov %ecx, 4(%esp)
    lea 4(%esp), %esp
    popf
    ret

    .code16
trampoline:
    xor %ax, %ax
    mov %ax, %ds
    lock incb 0x9000
1:  cli
    hlt
    jmp 1b
trampoline_end:

    .data
    .align 8
idt_ptr:
    .word 0x7ff
    .long idt
line: .long 0
timer_count: .long 0
pit_count: .long 0
counter: .long 0
s_start: .asciz "start\n"
s_timer: .asciz "timer ok\n"
s_pit: .asciz "pit ok\n"
s_cpus: .asciz "cpus "
s_done: .asciz "done\n"

    .bss
    .align 16
idt: .space 0x800
    .space 4096
stack_top:
