/*
 * tests/payload/start32.S: PVH entry, exception stubs, guard, user mode, virtual-8086 and real-mode code
 * of the 32-bit program.
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
    .global _start
_start:
    cli
    cld
    lgdt gdt_ptr
    ljmp $0x08, $1f
1:  mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov %ebx, start_info    /* hvm_start_info */
    mov $boot_stack_top, %esp
    call main
    call finish

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
    pushl $0
    .endif
    pushl $vector
    jmp stub_common
    vector = vector + 1
    .endr

stub_common:
    pushal
    .irp seg, ds, es, fs, gs /* a push of the register itself may leave the upper half as it was */
    mov %\seg, %eax
    push %eax
    .endr
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %esp, %ebx
    cld
    push %ebx
    call on_event
    mov %ebx, %esp
    pop %gs
    pop %fs
    pop %es
    pop %ds
    popal
    add $8, %esp
    iretl

    .global guard, guard_resume
guard:
    push %ebx; push %ebp; push %esi; push %edi
    mov 20(%esp), %eax
    mov 24(%esp), %edx
    mov %esp, guard_esp
    push %edx
    call *%eax
    add $4, %esp
    xor %eax, %eax
    jmp 1f
/* entered with any segments: CS and SS are right, the stack is not */
guard_resume:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov guard_esp, %esp
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $1, %eax
1:  movl $0, guard_esp
    pop %edi; pop %esi; pop %ebp; pop %ebx
    ret

/* void enter(u32 *frame, unsigned words): IRET with the given words, last first */
    .global enter_iret
enter_iret:
    mov 4(%esp), %esi
    mov 8(%esp), %ecx
1:  dec %ecx
    js 2f
    pushl (%esi, %ecx, 4)
    jmp 1b
2:  mov $0x55, %eax
    iretl

/* ---- a task: loops through int $0x90 ---- */
    .global task_entry, task_entry_short
task_entry:
    incl task_runs
    mov 4(%esp), %eax
    str %ax
    mov %ax, task_tr
    mov %cr0, %eax
    mov %eax, task_cr0
    pushf
    popl task_flags
    iretl
    jmp task_entry
/* left by JMP back to the main task */
    .global task_jmp_back
task_jmp_back:
    incl task_runs
    ljmp $0x28, $0
    jmp task_jmp_back
/* a fault handler's task: notes the error code and goes home by a jump to the main task, which goes on
 * at guard_resume; the faulting task is left where it is */
    .global df_task_home
df_task_home:
    popl df_error
    incl df_count
    mov $main_tss, %eax
    movl $guard_resume, 0x20(%eax)
    movl $2, 0x24(%eax)
    movl $0x10, 0x48(%eax)
    movl $0x08, 0x4c(%eax)
    movl $0x10, 0x50(%eax)
    movl $0x10, 0x54(%eax)
    movl $0, 0x58(%eax)
    movl $0, 0x5c(%eax)
    andb $~2, gdt + 0x28 + 5 /* the main task is busy as somebody's back link */
    ljmp $0x28, $0

    .code16
    .global task16_entry
task16_entry:
    addr32 incl task_runs
    iret
    jmp task16_entry
    .code32

/* ---- user code ---- */
    .section .user, "awx"
    .align 4096
    .global u_done, u_gate32, u_gate16, u_cli, u_pvi, u_sysenter, sysexit_landing, u_load_ds, u_lcall_conf, u_ss_read, u_ss_push
u_done:
    int $0x80
u_gate32:
    pushl $0x1111
    pushl $0x2222
    lcall $0x53, $0
    int $0x80
u_gate16:
    pushw $0x3333
    pushw $0x4444
    lcall $0x53, $0
    int $0x80
u_cli:
    cli
    int $0x80
u_pvi:
    cli
    sti
    pushf
    pop %eax
    int $0x80
u_ss_read:
    mov %esp, %edx
    mov $0x53, %ecx
    mov %ecx, %ss
    mov %ss:(%edx), %eax
    int $0x80
u_ss_push:
    mov $0x53, %ecx
    mov %ecx, %ss
    push %eax
    int $0x80
u_load_ds:
    mov $0x10, %eax
    mov %eax, %ds
    int $0x80
u_lcall_conf:
    lcall $0x50, $conforming_code
    int $0x80
u_sysenter:
    mov %esp, %ecx
    mov $sysexit_landing, %edx
    sysenter
sysexit_landing:
    mov $0x600d, %eax
    int $0x80

    .text
    .global conforming_code, gate32_target, gate16_target, sysenter_entry
conforming_code:
    mov %cs, conf_cs
    lret
/* ss:esp pushed, then the parameters, then cs:eip */
gate32_target:
    mov 8(%esp), %eax
    mov %eax, %ss:gate_params
    mov 12(%esp), %eax
    mov %eax, %ss:gate_params + 4
    mov 16(%esp), %eax
    mov %eax, %ss:gate_params + 8
    mov 20(%esp), %eax
    mov %eax, %ss:gate_params + 12
    mov %cs, %ss:gate_cs
    lret $8
gate16_target:
    movzwl 4(%esp), %eax
    mov %eax, %ss:gate_params
    movzwl 6(%esp), %eax
    mov %eax, %ss:gate_params + 4
    mov %cs, %ss:gate_cs
    lretw $4
sysenter_entry:
    mov %esp, sysenter_esp_seen
    mov %cs, sysenter_cs_seen
    mov %ss, sysenter_cs_seen + 4
    sysexit

/* ---- 16-bit code, copied to 0x8000; all offsets relative to it ---- */
#define LOW(label) (label - low_code)
    .global low_code, low_code_end, run_real
    .code16
low_code:
    /* 0: virtual-8086 entries, one per 16 bytes */
    .org low_code + 0x00; int $0x21; hlt
    .org low_code + 0x10; cli; hlt
    .org low_code + 0x20; pushf; hlt
    .org low_code + 0x30; popf; hlt
    .org low_code + 0x40; iret
    .org low_code + 0x50; outb %al, $0x80; hlt
    .org low_code + 0x60; mov %cs, %ax; mov %ds, %bx; mov (0x10), %cx; hlt
    .org low_code + 0x70; sti; hlt
    .org low_code + 0x80; mov %cr0, %eax; hlt
    .org low_code + 0x90; pushf; pop %ax; hlt
    .org low_code + 0xa0; int3; hlt
    .org low_code + 0xb0; lar %ax, %ax; hlt
    .org low_code + 0xc0; pushfl; hlt
    .org low_code + 0xd0; mov $0xffff, %bx; mov (%bx), %ax; hlt
    .org low_code + 0xe0; call 1f; 1: pop %ax; mov %sp, %bx; hlt
    .org low_code + 0xf0; xor %ax, %ax; mov %ax, %ss; div %ax; hlt
    .org low_code + 0x100
    /* handler for redirected interrupts: returns with AX = 0x4242 */
    .org low_code + 0x110; mov $0x4242, %ax; iret
    .org low_code + 0x120; pushf; pop %bx; iret

    .org low_code + 0x200
/* real mode: arrives in 16-bit protected mode with PE to be cleared */
real_start:
    mov %cr0, %eax
    and $~1, %eax
    mov %eax, %cr0
    ljmp $0x800, $LOW(real_main)
real_main:
    xor %ax, %ax
    mov %ax, %ss
    mov $0x7000, %sp
    mov %ax, %es
    mov $0x800, %ax
    mov %ax, %ds
    lidtl LOW(real_idt)
    /* vectors: 0x60 counts, 0 skips a 2-byte div, 13 records */
    movw $LOW(real_int60), %es:0x60 * 4
    movw $0x800, %es:0x60 * 4 + 2
    movw $LOW(real_div), %es:0
    movw $0x800, %es:2
    movw $LOW(real_gp), %es:13 * 4
    movw $0x800, %es:13 * 4 + 2
    movw $LOW(real_ud), %es:6 * 4
    movw $0x800, %es:6 * 4 + 2
    movw $LOW(real_db), %es:1 * 4
    movw $0x800, %es:1 * 4 + 2
    /* 1: int and iret */
    stc
    int $0x60
    mov %sp, LOW(real_results)
    int $0x60
    mov LOW(real_count), %ax
    mov %ax, LOW(real_results) + 2
    /* 2: divide error: the saved ip is the instruction's */
    xor %bx, %bx
real_div_at:
    div %bx
    mov LOW(real_div_ip), %ax
    sub $LOW(real_div_at), %ax
    mov %ax, LOW(real_results) + 4
    /* 3: a word at the segment's end is #GP, no error code is pushed */
    mov $0xffff, %bx
    mov %sp, %cx
real_gp_at:
    mov (%bx), %ax
    nop
    mov %sp, %dx
    sub %cx, %dx
    mov %dx, LOW(real_results) + 6
    mov LOW(real_gp_count), %ax
    mov %ax, LOW(real_results) + 8
    /* 4: far call and return, segment arithmetic */
    lcall $0x7f0, $(LOW(real_far) + 0x100)
    mov %ax, LOW(real_results) + 10
    /* 5: FS keeps the 4 GiB limit it was given in protected mode */
    mov $0x100000, %ebx
    mov %fs:(%ebx), %eax
    mov %eax, LOW(real_results) + 12
    /* 6: A20: without it 1 MiB + 0x500 is 0x500 */
    movw $0x1234, %es:0x500
    mov $0xffff, %ax
    mov %ax, %gs
    mov $0xdd, %cl      /* the gate is off when both of its sources are */
    call kbc_output
    inb $0x92, %al
    mov %al, %cl
    and $~3, %al
    outb %al, $0x92
    movw %gs:0x510, %bx
    mov %bx, LOW(real_results) + 16
    mov %cl, %al
    or $2, %al
    and $~1, %al
    outb %al, $0x92
    mov $0xdf, %cl
    call kbc_output
    movw $0x4321, %es:0x500
    movw %gs:0x510, %bx
    mov %bx, LOW(real_results) + 18
    /* 7: instructions that need protected mode */
    movw $0, LOW(real_ud_count)
    lar %ax, %ax
    str %ax
    mov LOW(real_ud_count), %ax
    mov %ax, LOW(real_results) + 20
    /* 8: stack wraps at 64 KiB */
    mov %sp, %bp
    mov $2, %sp
    push %ax
    push %ax
    mov %sp, LOW(real_results) + 22
    mov %bp, %sp
    /* 9: single step */
    pushf
    pop %ax
    or $0x100, %ax
    push %ax
    popf
    nop
    nop
    pushf
    pop %ax
    and $~0x100, %ax
    push %ax
    popf
    mov LOW(real_db_count), %ax
    mov %ax, LOW(real_results) + 24
    /* 10: smsw, lmsw back into protected mode */
    lgdtl LOW(real_gdt)
    smsw %ax
    mov %ax, LOW(real_results) + 26
    or $1, %ax
    lmsw %ax
    ljmpl $0x08, $real_back

/* the keyboard controller's output port becomes CL */
kbc_output:
    call kbc_ready
    mov $0xd1, %al
    outb %al, $0x64
    call kbc_ready
    mov %cl, %al
    outb %al, $0x60
kbc_ready:
    inb $0x64, %al
    test $2, %al
    jnz kbc_ready
    ret

real_int60:
    incw %cs:LOW(real_count)
    iret
real_div:
    push %bp
    mov %sp, %bp
    mov 2(%bp), %ax
    mov %ax, %cs:LOW(real_div_ip)
    addw $2, 2(%bp)
    pop %bp
    iret
real_gp:
    incw %cs:LOW(real_gp_count)
    push %bp
    mov %sp, %bp
    addw $2, 2(%bp)
    pop %bp
    iret
real_ud:
    incw %cs:LOW(real_ud_count)
    push %bp
    mov %sp, %bp
    addw $3, 2(%bp)
    pop %bp
    iret
real_db:
    incw %cs:LOW(real_db_count)
    iret
real_far:
    mov %cs, %ax
    lret
real_count: .word 0
real_div_ip: .word 0
real_gp_count: .word 0
real_ud_count: .word 0
real_db_count: .word 0
    .align 4
real_idt: .word 0x3ff; .long 0
real_gdt: .word gdt_end - gdt - 1; .long gdt
    .global real_results
    .align 16
real_results: .skip 64
low_code_end:

    .code32
/* void run_real(void): to real mode and back; all registers survive */
run_real:
    pushal
    pushf
    mov %esp, real_esp
    sidt real_saved_idt
    mov $0x10, %eax
    mov %eax, %fs
    mov $0x68, %eax         /* 16-bit data */
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %gs
    ljmp $0x60, $0x8000 + LOW(real_start)
    .global real_back
real_back:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov real_esp, %esp
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    lidt real_saved_idt
    popf
    popal
    ret

/* ---- 16-bit protected-mode code: int $0x80 through whatever gate there is ---- */
    .global code16_entry
    .code16
code16_entry:
    mov $0x12345678, %eax
    push %ax
    mov %esp, %ebx
    int $0x80
    .code32

    .data
    .global start_info
start_info:
    .long 0
    .align 16
    .global gdt, gdt_end
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff  /* 08 code */
    .quad 0x00cf93000000ffff  /* 10 data */
    .quad 0x00cffb000000ffff  /* 18 user code */
    .quad 0x00cff3000000ffff  /* 20 user data */
    .fill 7, 8, 0             /* 28 main TSS, 30 second, 38 16-bit, 40 double fault's, 48 LDT, 50 under test, 58 */
    .quad 0x000f9b000000ffff  /* 60 16-bit code, up to 1 MiB */
    .quad 0x000093000000ffff  /* 68 16-bit data */
    .fill 50, 8, 0
gdt_end:
gdt_ptr:
    .word gdt_end - gdt - 1
    .long gdt
    .global guard_esp, task_runs, task_tr, task_cr0, task_flags, df_error, df_count, conf_cs, gate_params, gate_cs
    .global sysenter_esp_seen, sysenter_cs_seen
guard_esp: .long 0
task_runs: .long 0
task_tr: .long 0
task_cr0: .long 0
task_flags: .long 0
df_error: .long 0xffffffff
df_count: .long 0
conf_cs: .long 0
gate_params: .skip 16
gate_cs: .long 0
sysenter_esp_seen: .long 0
sysenter_cs_seen: .long 0, 0
real_esp: .long 0
real_saved_idt: .quad 0

    .bss
    .align 4096
    .skip 32768
    .global boot_stack_top
boot_stack_top:
