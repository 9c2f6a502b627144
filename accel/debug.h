/*
 * accel/debug.h: what a debugger asks of the vCPUs: breakpoints and watchpoints by guest virtual address,
 * single steps, and why a vCPU stopped. The remote protocol is gdbstub/; accelerators carry it out.
 *
 * A vCPU that hits something calls cpu_debug_stop in its thread, outside guest code: it stands still from
 * then on, and the main loop stops the others and tells the debugger (system_debug_request).
 *
 * Locking: the big lock. The set of points changes only in exclusive sections, so vCPUs in guest code
 * and translations read it without a lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"

/* Numbered as the Z packets of the remote protocol. */
typedef enum {
    DEBUG_BREAK_SOFT, DEBUG_BREAK_HARD, DEBUG_WATCH_WRITE, DEBUG_WATCH_READ, DEBUG_WATCH_ACCESS, DEBUG_KIND_COUNT,
    DEBUG_STEP = DEBUG_KIND_COUNT, /* a single step came to its end */
    DEBUG_NONE,
} DebugKind;

struct DebugPoint {
    DebugKind kind;
    uint64_t va, len;  /* len: of watchpoints */
};

typedef struct {
    unsigned n_breaks, n_watches;
    GArray *points;    /* of DebugPoint */
} DebugPoints;
extern DebugPoints debug_points;

/* Several equal ones are counted. False: the accelerator cannot do this one (now). */
bool debug_point_add(DebugKind kind, uint64_t va, uint64_t len) WARN_UNUSED;
bool debug_point_remove(DebugKind kind, uint64_t va, uint64_t len) WARN_UNUSED; /* false: there is none */
void debug_points_clear(void);
/* DEBUG_NONE, or which kind of breakpoint is at va. */
DebugKind debug_break_find(uint64_t va);
/* Is any byte of [va, va+len) watched, by whatever kind? */
bool debug_watch_touches(uint64_t va, uint64_t len);
/* The watchpoint that such an access hits, NULL if none. */
const DebugPoint *debug_watch_find(uint64_t va, uint64_t len, bool write);

/* Cpu.debug.step: how a vCPU goes on when the machine is started. Bits of the "qemu.sstep" packets. */
enum { DEBUG_STEP_ENABLE = 1, DEBUG_STEP_NOIRQ = 2, DEBUG_STEP_NOTIMER = 4 };
/* The virtual clock stands still while the machine runs for a single step. */
extern bool debug_freeze_clock;

/* The vCPU's thread, with the big lock: stop for this reason. */
void cpu_debug_stop(Cpu *cpu, DebugKind reason, uint64_t va);

/* ---- registers, as the target describes them ---- */
typedef struct {
    const char *name;
    uint8_t bits;
    const char *type;   /* of the target description; NULL: int */
    const char *group;  /* "general", "float", "vector", "system"; NULL: by type */
    uint16_t id;        /* the target's own */
} GdbRegister;

typedef struct {
    const char *name;   /* "org.gnu.gdb.i386.core" */
    const char *annex;  /* "i386-64bit.xml" */
    const char *types;  /* XML of the types used; NULL: none */
    const GdbRegister *regs;
    unsigned count;
    bool (*present)(const Cpu *cpu); /* NULL: always */
} GdbFeature;

#define GDB_REGISTER_MAX 64 /* bytes */
typedef struct GdbTarget {
    const char *arch;            /* "i386:x86-64" */
    const GdbFeature *features;  /* their registers are numbered from 0 in this order */
    unsigned count;
    /* Little endian, bits / 8 bytes. The vCPU stands still; called in its thread. */
    void (*read)(Cpu *cpu, unsigned id, uint8_t *buf);
    bool (*write)(Cpu *cpu, unsigned id, const uint8_t *buf);
    uint32_t irq_mask;           /* Cpu.interrupt_request bits that DEBUG_STEP_NOIRQ holds back */
    const char *sp, *fp;         /* the registers that $sp and $fp stand for */
    bool (*can_step)(Cpu *cpu);  /* false: a halted vCPU that only an external event can start */
} GdbTarget;
