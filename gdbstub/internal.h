/*
 * gdbstub/internal.h: the stub's state, shared by its files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/debug.h"
#include "chardev/chardev.h"
#include "gdbstub/packet.h"

typedef struct GdbStub {
    ChardevFrontend fe;
    bool own_chardev;
    GdbPackets packets;
    /* of the connection */
    Cpu *g_cpu, *c_cpu;      /* of Hg and Hc */
    unsigned next_thread;    /* of qsThreadInfo */
    bool multiprocess, swbreak, hwbreak; /* the client's features */
    bool phys;               /* addresses are guest-physical */
    uint8_t sstep;           /* DEBUG_STEP_* of a step */
    bool resumed;            /* the client waits for a stop reply */
    Cpu *reported;           /* whose stop was reported last */
} GdbStub;

/* gdbstub.c */
void gdb_reply(GdbStub *g, const char *format, ...) G_GNUC_PRINTF(2, 3);
void gdb_reply_data(GdbStub *g, const GString *data);
void gdb_stop_reply(GdbStub *g, Cpu *cpu, int sig);
void gdb_append_thread(GdbStub *g, GString *out, const Cpu *cpu);
typedef enum { GDB_ACT_NONE, GDB_ACT_CONTINUE, GDB_ACT_STEP } GdbAction;
/* Let vCPUs go on, each as actions[index] says. */
void gdb_resume(GdbStub *g, const uint8_t *actions);
void gdb_detach(GdbStub *g);

/* commands.c */
void gdb_command(GdbStub *g, const char *data, size_t len);

/* description.c */
/* A document of the target description, NULL if there is none of that name. */
char *gdb_description(const Cpu *cpu, const char *annex);
unsigned gdb_register_count(const Cpu *cpu);
/* Little-endian bytes of register n; their number, 0 if there is no such register. In the vCPU's thread. */
unsigned gdb_register_read(Cpu *cpu, unsigned n, uint8_t *buf);
unsigned gdb_register_size(const Cpu *cpu, unsigned n);
bool gdb_register_write(Cpu *cpu, unsigned n, const uint8_t *buf) WARN_UNUSED;
