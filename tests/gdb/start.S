/*
 * tests/gdb/start.S: PVH entry of the program that debugger tests drive: 32-bit code, then long mode. The
 * second CPU, if there is one, loops in real mode at 1000:0000.
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
    .global _start, leaf32, after32
_start:
    cli
    mov $stack_top, %esp
    mov $5, %ecx
1:  call leaf32
    loop 1b
after32:
    movl $pdpt + 3, pml4
    xor %ecx, %ecx
2:  mov %ecx, %eax          /* 4 GiB, one to one, in 1 GiB of 2 MiB pages each */
    shl $12, %eax
    add $pd + 3, %eax
    mov %eax, pdpt(, %ecx, 8)
    inc %ecx
    cmp $4, %ecx
    jb 2b
    xor %ecx, %ecx
3:  mov %ecx, %eax
    shl $21, %eax
    or $0x83, %eax
    mov %eax, pd(, %ecx, 8)
    inc %ecx
    cmp $2048, %ecx
    jb 3b
    movl $pdpt + 3, pml4 + 256 * 8 /* and the same at 0xffff800000000000 */
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0x6a0, %eax        /* PAE PGE OSFXSR OSXMMEXCPT */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax         /* LME */
    wrmsr
    mov $0x80010023, %eax   /* PG WP NE MP PE */
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_entry

leaf32:
    incl counter32
    ret

    .code64
long_entry:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $stack_top, %rsp
    call main
1:  hlt
    jmp 1b

/* u64 fill(u8 *p, u64 n): stores n bytes by one instruction */
    .global fill, fill_stos, fill_end
fill:
    mov %rsi, %rcx
    mov $0x5a, %eax
fill_stos:
    rep stosb
fill_end:
    ret

/* u64 rmw(u64 *p): an atomic, a plain read-modify-write, a vector store */
    .global rmw, rmw_lock, rmw_add, rmw_load, rmw_vector, rmw_end
rmw:
    xor %eax, %eax
    inc %eax
rmw_lock:
    lock xadd %rax, (%rdi)
rmw_add:
    addq $2, (%rdi)
rmw_load:
    mov (%rdi), %rax
rmw_vector:
    movups %xmm0, 16(%rdi)
rmw_end:
    ret

/* void halt(void): with interrupts off: for ever, but for a debugger */
    .global halt, halt_next
halt:
    hlt
halt_next:
    ret

    .code16
    .global ap_begin, ap_end, ap_leaf, ap_counter
ap_begin:
    cli
    mov $0x1000, %ax
    mov %ax, %ss
    mov $0x800, %sp
1:  call ap_leaf
    jmp 1b
ap_leaf:
    incl %cs:(ap_counter - ap_begin)
    ret
    .align 4
ap_counter:
    .long 0
ap_end:

    .data
    .align 16
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .quad gdt
    .global counter32
counter32:
    .long 0
    .bss
    .align 4096
    .global pml4
pml4: .skip 4096
pdpt: .skip 4096
pd:   .skip 4 * 4096
    .skip 8192
stack_top:
