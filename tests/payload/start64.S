/*
 * tests/payload/start64.S: PVH entry to long mode, exception stubs, guard, entry to user mode, the
 * application processors' trampoline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 8, 18          /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad _start

    .text
    .code32
    .global _start
_start:
    cli
    cld
    mov %ebx, start_info    /* hvm_start_info */
    mov $boot_stack_top, %esp
    mov $boot_pml4, %edi
    mov %edi, %cr3
    /* PML4[0] → PDPT, PDPT[0..3] → 1 GiB worth of 2 MiB pages each */
    movl $boot_pdpt + 3, boot_pml4
    xor %ecx, %ecx
1:  mov %ecx, %eax
    shl $12, %eax
    add $boot_pd + 3, %eax
    mov %eax, boot_pdpt(, %ecx, 8)
    inc %ecx
    cmp $4, %ecx
    jb 1b
    xor %ecx, %ecx
2:  mov %ecx, %eax
    shl $21, %eax
    or $0x83, %eax
    mov %eax, boot_pd(, %ecx, 8)
    inc %ecx
    cmp $2048, %ecx
    jb 2b
    call enter_long
    ljmp $0x08, $long_entry

/* PAE, LME, NXE, SCE, paging; GDT loaded. Clobbers eax, ecx, edx. */
enter_long:
    mov %cr4, %eax
    or $0x6a0, %eax         /* PAE, PGE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax
    wrmsr
    mov $0x80010023, %eax   /* PG WP NE MP PE */
    mov %eax, %cr0
    lgdt gdt_ptr32
    ret

    .code64
long_entry:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_stack_top, %rsp
    call main
    call finish

/* ---- exception and interrupt stubs: 256 of 16 bytes ---- */
    .align 16
    .global stubs
stubs:
    vector = 0
    .rept 256
    .align 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
    nop
    nop
    .else
    pushq $0
    .endif
    pushq $vector
    jmp stub_common
    vector = vector + 1
    .endr

stub_common:
    push %rax; push %rcx; push %rdx; push %rbx; push %rbp; push %rsi; push %rdi
    push %r8; push %r9; push %r10; push %r11; push %r12; push %r13; push %r14; push %r15
    mov %rsp, %rdi
    cld
    mov %rsp, %rbx
    and $-16, %rsp
    call on_event
    mov %rbx, %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %r11; pop %r10; pop %r9; pop %r8
    pop %rdi; pop %rsi; pop %rbp; pop %rbx; pop %rdx; pop %rcx; pop %rax
    add $16, %rsp
    iretq

/* int guard(void (*fn)(void *), void *arg): 1 if an exception ended fn */
    .global guard, guard_resume
guard:
    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
    mov %rsp, guard_rsp(%rip)
    mov %rdi, %rax
    mov %rsi, %rdi
    call *%rax
    xor %eax, %eax
    jmp 1f
guard_resume:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov $1, %eax
1:  movq $0, guard_rsp(%rip)
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
    ret

/* void enter_user(struct { u64 rip, arg, flags, cs, ss, rsp; } *) */
    .global enter_user
enter_user:
    pushq 32(%rdi)
    pushq 40(%rdi)
    pushq 16(%rdi)
    pushq 24(%rdi)
    pushq (%rdi)
    mov 8(%rdi), %rdi
    iretq

/* SYSCALL lands here: tells what it saw by int $0x81 at CPL 0 */
    .global syscall_entry
syscall_entry:
    int $0x81
    ud2

/* ---- user code ---- */
    .section .user, "awx"
    .align 4096
    .global user_read, user_write, user_done, user_syscall, user_sysret_landing
user_read:
    mov (%rdi), %eax
    int $0x80
user_write:
    movl $0x55, (%rdi)
    int $0x80
user_done:
    int $0x80
user_syscall:
    mov $0x1234, %eax
    syscall
    nop
user_sysret_landing:
    int $0x80

/* ---- application processors: copied to 0x8000 ---- */
    .text
    .global trampoline, trampoline_end, trampoline_stack
    .weak ap_main
    .code16
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl 0x8000 + (tramp_gdt_ptr - trampoline)
    mov $0x23, %eax
    mov %eax, %cr0
    ljmpl $0x18, $ap32
    .align 8
tramp_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
tramp_gdt_ptr:
    .word 31
    .long 0x8000 + (tramp_gdt - trampoline)
trampoline_end:
    .code32
ap32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov trampoline_stack, %esp
    call enter_long
    ljmp $0x08, $ap64
    .code64
ap64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov trampoline_stack(%rip), %rsp
    call ap_main
1:  hlt
    jmp 1b

    .data
    .align 16
    .global gdt
gdt:
    .quad 0
    .quad 0x00af9b000000ffff  /* 08 kernel code */
    .quad 0x00cf93000000ffff  /* 10 kernel data */
    .quad 0x00cffb000000ffff  /* 18 user code, 32-bit */
    .quad 0x00cff3000000ffff  /* 20 user data */
    .quad 0x00affb000000ffff  /* 28 user code, 64-bit */
    .fill 250, 8, 0
gdt_end:
gdt_ptr32:
    .word gdt_end - gdt - 1
    .quad gdt
trampoline_stack:
    .quad 0
    .global start_info
start_info:
    .quad 0
    .global guard_rsp
guard_rsp:
    .quad 0

    .bss
    .align 4096
    .global boot_pml4, boot_pdpt, boot_pd
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4 * 4096
    .skip 32768
boot_stack_top:
