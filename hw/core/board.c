/*
 * hw/core/board.c: see board.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/board.h"

/* A line as the board has it: outputs drive `irq`, which drives what it leads to. */
typedef struct Wire {
    Irq irq;
    Irq *sink[2];
    Machine *machine;
    void (*set)(Machine *m, bool level);
} Wire;

struct BoardWires {
    GHashTable *by_name; /* → Wire * */
};

static void wire_to_sinks(void *opaque, unsigned n, bool level)
{
    Wire *w = opaque;

    irq_set(w->sink[0], level);
    irq_set(w->sink[1], level);
}

static void wire_to_board(void *opaque, unsigned n, bool level)
{
    Wire *w = opaque;

    w->set(w->machine, level);
}

static Wire *add_wire(Machine *m, const char *name)
{
    Wire *w = g_new0(Wire, 1);

    assert(!g_hash_table_contains(m->wires->by_name, name)); /* a name stands for one line */
    w->irq = (Irq){.handler = wire_to_sinks, .opaque = w};
    w->machine = m;
    g_hash_table_insert(m->wires->by_name, (char *)name, w);
    return w;
}

static Wire *wire(Machine *m, const char *name)
{
    Wire *w = g_hash_table_lookup(m->wires->by_name, name);

    if (!w) {
        g_error("machine '%s' has no line '%s'", m->obj.type->name, name);
    }
    return w;
}

void board_make_lines(Machine *m, const Board *board)
{
    m->wires = g_new0(BoardWires, 1);
    m->wires->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    for (unsigned i = 0; i < board->irqs->n; i++) {
        add_wire(m, board->irqs->rows[i].name);
    }
    for (unsigned i = 0; i < board->n_lines; i++) {
        const BoardLine *line = &board->lines[i];
        Wire *w = add_wire(m, line->name);

        w->set = line->set;
        w->irq.handler = line->set ? wire_to_board : wire_to_sinks;
        w->sink[0] = line->irq ? line->irq() : NULL;
    }
}

void board_free_lines(Machine *m)
{
    if (m->wires) {
        g_hash_table_destroy(m->wires->by_name);
        g_clear_pointer(&m->wires, g_free);
    }
}

Irq *board_line(Machine *m, const char *name)
{
    return &wire(m, name)->irq;
}

Device *board_device(Machine *m, const char *name)
{
    Object *child = m->obj.children ? g_hash_table_lookup(m->obj.children, name) : NULL;

    return child && object_type_is(child->type, "device") ? DEVICE(child) : NULL;
}

/* ---- devices ---- */

static Device *row_device(Machine *m, const Board *board, const char *name)
{
    for (unsigned i = 0; i < board->n_rows; i++) {
        if (g_str_equal(board->rows[i].name, name)) {
            return board_device(m, name);
        }
    }
    g_error("machine '%s' has no row for a device '%s'", m->obj.type->name, name);
}

static void connect_outputs(Machine *m, const BoardRow *row, Device *dev)
{
    for (unsigned i = 0; i < ARRAY_SIZE(row->out); i++) {
        if (row->out[i].line) {
            device_connect_irq(dev, row->out[i].out, board_line(m, row->out[i].line));
        }
    }
}

static bool set_properties(Machine *m, const BoardRow *row, Device *dev, GError **error)
{
    return (!row->serial || property_set(&dev->obj, "chardev", chardev_id(m->config->serial[row->serial - 1]), error))
           && property_set_list(&dev->obj, row->props, error);
}

static bool add_device(Machine *m, const BoardRow *row, GError **error)
{
    Device *dev = device_new(row->type);

    object_add_child(&m->obj, row->name, &dev->obj);
    object_unref(&dev->obj); /* the tree keeps it */
    connect_outputs(m, row, dev);
    if (!set_properties(m, row, dev, error) || !device_realize(dev, error)) {
        g_prefix_error(error, "%s: ", row->name);
        object_unparent(&dev->obj);
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(row->map); i++) {
        if (row->map[i].space == BOARD_PORT) {
            device_map_io(dev, i, row->map[i].addr);
        } else if (row->map[i].space == BOARD_MEMORY) {
            device_map(dev, i, row->map[i].addr);
        }
    }
    return true;
}

static bool counts(const Machine *m, const BoardRow *row, uint32_t have)
{
    return !(row->needs & ~have) && (!row->serial || m->config->serial[row->serial - 1]);
}

/* ---- where lines lead ---- */

static void add_sink(Wire *w, Device *dev, unsigned input)
{
    if (dev) {
        assert(!w->sink[1]);
        w->sink[w->sink[0] ? 1 : 0] = device_irq_in(dev, input);
    }
}

static void connect_interrupts(Machine *m, const Board *board)
{
    for (unsigned i = 0; i < board->irqs->n; i++) {
        const IrqRow *row = &board->irqs->rows[i];

        for (unsigned k = 0; k < board->n_controllers; k++) {
            const BoardController *c = &board->controllers[k];
            int n = (c->by == BOARD_BY_ISA ? row->isa : row->gsi) - (int)c->first;

            if (n >= 0 && n < (int)c->count && (c->by == BOARD_BY_ISA ? row->isa : row->gsi) >= 0) {
                add_sink(wire(m, row->name), row_device(m, board, c->device), n);
            }
        }
    }
}

static void connect_lines(Machine *m, const Board *board)
{
    for (unsigned i = 0; i < board->n_lines; i++) {
        const BoardLine *line = &board->lines[i];

        for (unsigned k = 0; k < ARRAY_SIZE(line->to) && line->to[k].device; k++) {
            add_sink(wire(m, line->name), row_device(m, board, line->to[k].device), line->to[k].input);
        }
    }
}

/* Outputs that lead to inputs of one device, once that is there. */
static void connect_directly(Machine *m, const Board *board, const BoardRow *row)
{
    Device *from = board_device(m, row->name);

    for (unsigned i = 0; i < ARRAY_SIZE(row->out); i++) {
        const BoardOutput *o = &row->out[i];
        Device *to = o->device ? row_device(m, board, o->device) : NULL;

        for (unsigned n = 0; to && n < o->count; n++) {
            device_connect_irq(from, o->out + n, device_irq_in(to, o->input + n));
        }
    }
}

bool board_add_devices(Machine *m, const Board *board, uint32_t have, GError **error)
{
    for (unsigned i = 0; i < board->n_rows; i++) {
        if (counts(m, &board->rows[i], have) && !add_device(m, &board->rows[i], error)) {
            return false;
        }
    }
    connect_interrupts(m, board);
    connect_lines(m, board);
    for (unsigned i = 0; i < board->n_rows; i++) {
        if (counts(m, &board->rows[i], have)) {
            connect_directly(m, board, &board->rows[i]);
        }
    }
    return true;
}
