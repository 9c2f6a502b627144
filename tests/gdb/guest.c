/*
 * tests/gdb/guest.c: the program that debugger tests drive: a loop with a call, stores, loads and string
 * instructions at known symbols.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdint.h>

#define NOINLINE __attribute__((noinline))
typedef uint64_t u64;

volatile u64 counter, watched, neighbour, loaded, rounds, halts;
volatile uint8_t area[256] __attribute__((aligned(4096)));
volatile u64 cell[4] __attribute__((aligned(4096)));
extern uint8_t ap_begin[], ap_end[];
u64 leaf(u64 n);
void stores(void);
void loads(void);
void main(void);
void fill(volatile uint8_t *p, u64 n);
u64 rmw(volatile u64 *p);
void halt(void);

NOINLINE u64 leaf(u64 n)
{
    counter += n;
    return counter * 2;
}

NOINLINE void stores(void)
{
    neighbour = rounds;
    watched = rounds + 1000;
    neighbour = rounds + 1;
}

NOINLINE void loads(void)
{
    loaded = neighbour;
    loaded = watched;
    loaded = neighbour;
}

/* INIT, then the start-up IPI for 0x10000, to all others (SDM vol. 3, 10.6). */
static void start_others(void)
{
    volatile uint32_t *icr = (volatile uint32_t *)0xfee00300;
    volatile uint8_t *to = (volatile uint8_t *)0x10000;

    for (unsigned i = 0; i < ap_end - ap_begin; i++) {
        to[i] = ap_begin[i];
    }
    *icr = 0xc4500;
    for (volatile unsigned i = 0; i < 1000; i++) {
    }
    *icr = 0xc4610;
}

void main(void)
{
    start_others();
    for (;;) {
        rounds++;
        leaf(3);
        stores();
        loads();
        fill(area, sizeof(area));
        rmw(cell);
        if (halts) {
            halts--;
            halt();
        }
    }
}
