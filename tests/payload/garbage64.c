/*
 * tests/payload/garbage64.c: runs random bytes at CPL 0 and CPL 3, for as long as the processor survives
 * them. What comes out does not matter; the emulator must neither crash nor hang.
 *
 * The command line gives the seed. Exceptions step over the byte at fault; timer interrupts throw the
 * program out of loops.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lib64.h"

#define CODE_SIZE 16384u
#define CODE16 (FREE_SEL | 3) /* 16-bit code segment over the random bytes */
static u8 code[CODE_SIZE + 64] __attribute__((aligned(4096), section(".user.bss")));
static u64 state;
static unsigned events;

static u64 next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

/* Bytes that begin longer instructions come more often than chance would have it. */
static void fill(void)
{
    static const u8 likely[] = {0x0f, 0x66, 0xf2, 0xf3, 0x48, 0x4c, 0xc4, 0xc5, 0xf0, 0x8b, 0x89, 0xcf, 0xcb, 0x9d, 0xf6, 0xff};
    for (unsigned i = 0; i < CODE_SIZE; i++) {
        u64 r = next();
        code[i] = r & 7 ? r >> 8 : likely[r >> 8 & 15];
    }
}

static bool on_fault(Frame *f)
{
    events++;
    if (events > 200000) {
        guard_rsp = 0;
        finish();
    }
    u64 at = (u64)code + next() % CODE_SIZE;
    bool inside = f->rip >= (u64)code && f->rip < (u64)code + CODE_SIZE && f->vector < 32;
    f->rip = inside && (next() & 3) ? f->rip + 1 : at;
    static const u16 cs[] = {KCS, KCS, KCS, UCS, UCS, UCS32, UCS32, CODE16};
    f->cs = cs[next() & 7];
    f->ss = f->cs == KCS ? KDS : UDS;
    if (f->cs == CODE16) {
        f->rip = at - (u64)code;
    }
    f->rflags = (f->rflags & 0xcd5) | 2 | (next() & 0x40400 & (f->rflags ^ 0x40000)) | 0x200;
    f->rsp = (u64)code + CODE_SIZE / 2 + (next() & 0xff8);
    u64 *regs = &f->r15;
    for (unsigned i = 0; i < 15; i++) {
        u64 r = next();
        regs[i] = r & 1 ? (u64)code + (r >> 8) % CODE_SIZE : r & 2 ? r : r >> 56;
    }
    write_cr4(read_cr4() | CR4_PAE | CR4_OSFXSR);
    if (f->vector >= 32) {
        *(volatile u32 *)0xfee000b0 = 0;
    }
    return true;
}

static void start(void *arg)
{
    ((void (*)(void))code)();
}

int main(void)
{
    extern u32 start_info;
    const char *seed = (const char *)(u64)*(u32 *)((u64)start_info + 24);
    state = 0x9e3779b97f4a7c15ull;
    for (; seed && *seed; seed++) {
        state = state * 31 + *seed;
    }
    setup();
    fill();
    set_desc(FREE_SEL, descriptor((u64)code, 0x3fff, 0xfa, 0), 0);
    for (unsigned i = 0; i < 256; i++) {
        hooks[i] = on_fault;
        set_gate(i, stubs + i * 16, KCS, 14, 3, 1 + i % 7);
    }
    *(volatile u32 *)0xfee000f0 = 0x1ff;
    *(volatile u32 *)0xfee003e0 = 0xb;
    *(volatile u32 *)0xfee00320 = 0x20061;
    *(volatile u32 *)0xfee00380 = 300000;
    print("garbage %x\n", (u32)state);
    guard(start, NULL);
    finish();
}
