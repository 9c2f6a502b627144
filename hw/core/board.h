/*
 * hw/core/board.h: boards as data. A board is three tables:
 *
 *   interrupts   IrqTable: names, numbers, how they are triggered
 *   lines        all other wires, by name: to inputs of devices, or into a function of the board
 *   rows         devices: type, where their regions are mapped, which lines their outputs drive, properties, and
 *                what the machine must have for the row to count
 *
 * docs/devel/adding-a-machine.md builds one step by step.
 *
 * Locking: the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/irq_table.h"
#include "hw/core/machine.h"

/* ---- lines ---- */

typedef struct BoardLine {
    const char *name;
    struct { const char *device; unsigned input; } to[2]; /* rows of the board; one that is left out takes nothing */
    Irq *(*irq)(void);                  /* a wire that is there already */
    void (*set)(Machine *m, bool level); /* the board itself */
} BoardLine;
/* The inputs of a device that interrupts of the table lead to: ISA lines or GSIs from `first` on. */
typedef struct BoardController {
    const char *device;
    enum { BOARD_BY_ISA, BOARD_BY_GSI } by;
    unsigned first, count;
} BoardController;

/* ---- devices ---- */

typedef struct BoardPlace {
    enum { BOARD_NOWHERE, BOARD_PORT, BOARD_MEMORY } space;
    uint64_t addr;
} BoardPlace;
#define AT_PORT(port) { BOARD_PORT, (port) }
#define AT_MEMORY(address) { BOARD_MEMORY, (address) }

/* An output on a named line, or `count` of them on inputs of one device. */
typedef struct BoardOutput {
    unsigned out;
    const char *line;
    const char *device;
    unsigned input, count;
} BoardOutput;
#define ON_LINE(n, name) { .out = (n), .line = (name) }
#define ON_INPUTS(n, dev, first, howmany) { .out = (n), .device = (dev), .input = (first), .count = (howmany) }

typedef struct BoardRow {
    const char *name;            /* the child under /machine */
    const char *type;
    BoardPlace map[4];           /* of region i */
    BoardOutput out[4];
    const char *props;           /* "iobase=0x3f8,chardev=serial0" before it is realized; NULL: none */
    unsigned serial;             /* n + 1: has the back end of -serial number n, and is there only if that is */
    uint32_t needs;              /* bits of what the machine has: all of them, or the row does not count */
} BoardRow;

typedef struct Board {
    const IrqTable *irqs;
    const BoardController *controllers;
    unsigned n_controllers;
    const BoardLine *lines;
    unsigned n_lines;
    const BoardRow *rows;
    unsigned n_rows;
} Board;
#define BOARD_TABLE(field, array) .field = array, .n_##field = ARRAY_SIZE(array)

/* All lines of the board; they lead nowhere yet. The machine owns them. */
void board_make_lines(Machine *m, const Board *board);
/* The line of that name, of the interrupts or of the others; it exists. */
Irq *board_line(Machine *m, const char *name);
/* Make, map and realize the devices of the rows whose needs `have` satisfies, and connect all lines. */
bool board_add_devices(Machine *m, const Board *board, uint32_t have, GError **error) WARN_UNUSED;
/* The device of a row; NULL: it was left out. */
Device *board_device(Machine *m, const char *name);
void board_free_lines(Machine *m); /* the machine type does it */
