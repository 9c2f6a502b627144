/*
 * A board that nobody would build: I/O APIC, HPET and serial ports in memory, a PIC on a line of its own; made by
 * docs/devel/adding-a-machine.md. Its lines lead where the tables say, options take rows away, errors name the row.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/board.h"
#include "util/report.h"

/* ---- the board ---- */

enum { HAS_HPET = BIT(0), HAS_PIC = BIT(1), HAS_FAULT = BIT(2) };

static const IrqRow irqs[] = {
    {"tick", .isa = -1, .gsi = 20, IRQ_LEVEL, IRQ_ACTIVE_HIGH},
    {"uart", .isa = 5, .gsi = 7},
    {"old", .isa = 3, .gsi = -1},
};
static const IrqTable irq_table = {irqs, ARRAY_SIZE(irqs), .gsis = 24};
static const BoardController controllers[] = {
    {"ioapic", BOARD_BY_GSI, 0, 24},
    {"pic", BOARD_BY_ISA, 0, 8},
};

typedef struct ToyMachine {
    Machine m;
    MemoryRegion ram;
    bool hpet, pic, fault;
    unsigned intr, stop;
} ToyMachine;
#define TOY(o) ((ToyMachine *)(o))

static void intr_set(Machine *m, bool level)
{
    TOY(m)->intr += level;
}

static void stop_set(Machine *m, bool level)
{
    TOY(m)->stop += level;
}

static const BoardLine lines[] = {
    {"intr", .set = intr_set},
    {"stop", .set = stop_set},
    {"both", .to = {{"ioapic", 23}, {"pic", 7}}},
};

static const BoardRow rows[] = {
    {"ioapic", "ioapic", {AT_MEMORY(0x10000000)}},
    {"pic", "isa-i8259", {AT_PORT(0x120), AT_PORT(0x5d0)}, {ON_LINE(0, "intr")}, .props = "master=on", .needs = HAS_PIC},
    {"hpet", "hpet", {AT_MEMORY(0x20000000)},
     {ON_INPUTS(0, "ioapic", 8, 8), ON_LINE(24, "tick"), ON_LINE(25, "uart"), ON_LINE(26, "stop")}, .needs = HAS_HPET},
    {"uart0", "serial-mm", {AT_MEMORY(0x30000000)}, {ON_LINE(0, "uart")}, .serial = 1},
    {"uart1", "serial-mm", {AT_MEMORY(0x30001000)}, {ON_LINE(0, "both")}, .serial = 2},
    {"fault", "serial-mm", {AT_MEMORY(0x30002000)}, .props = "regshift=9", .needs = HAS_FAULT},
};
static const Board board = {
    &irq_table, BOARD_TABLE(controllers, controllers), BOARD_TABLE(lines, lines), BOARD_TABLE(rows, rows),
};

static bool toy_build(Machine *m, GError **error)
{
    ToyMachine *s = TOY(m);

    memory_region_init_alias(&s->ram, "low-ram", &m->ram, 0, m->config->ram_size);
    memory_region_add_subregion(&m->system_memory, 0, &s->ram);
    board_make_lines(m, &board);
    return board_add_devices(m, &board, (s->hpet ? HAS_HPET : 0) | (s->pic ? HAS_PIC : 0) | (s->fault ? HAS_FAULT : 0), error);
}

static const Property toy_props[] = {
    PROP_BOOL("hpet", ToyMachine, hpet, true, "timers"),
    PROP_BOOL("pic", ToyMachine, pic, true, "old interrupt controller"),
    PROP_BOOL("fault", ToyMachine, fault, false, "a device that cannot be realized"),
};
static const MachineOps toy_ops = {.default_ram_id = "ram", .default_ram_size = 4 * MiB, .max_cpus = 1, .build = toy_build};
OBJECT_TYPE(toy, ToyMachine, .name = "toy", .parent = "machine", .summary = "toy board", .props = PROPS(toy_props), .ops = &toy_ops);

/* ---- the tests; each builds its own machine, and so runs in a process of its own ---- */

static Machine *m;

static bool build(const char *options, GError **error)
{
    m = machine_new(options, error);
    return m && machine_build(m, error) && machine_finish(m, error) && (machine_reset(m), true);
}

static void must_build(const char *options)
{
    GError *error = NULL;

    if (!build(options, &error)) {
        g_error("%s", error->message);
    }
}

/* A number of a device's state, as its table has it. */
static uint64_t state_of(const char *name, const char *field)
{
    Device *dev = board_device(m, name);
    const StateDesc *d = &dev->obj.type->state;
    uint64_t v = 0;

    for (unsigned i = 0; i < d->count; i++) {
        if (g_str_equal(d->fields[i].name, field)) {
            memcpy(&v, (const char *)dev + d->fields[i].offset, d->fields[i].size);
        }
    }
    return v;
}

static uint64_t ld(AddressSpace *as, hwaddr addr)
{
    return address_space_ld(as, addr, 1, MEMTXATTRS_NONE, NULL);
}

static void whole(void)
{
    machine_config.serial[0] = chardev_new("null,id=s0", NULL);
    machine_config.serial[1] = chardev_new("null,id=s1", NULL);
    must_build("toy");
    irq_set(board_line(m, "uart"), true); /* GSI 7 and ISA line 5 */
    g_assert_cmphex(state_of("ioapic", "lines"), ==, 1 << 7);
    g_assert_cmphex(state_of("pic", "lines"), ==, 1 << 5);
    irq_set(board_line(m, "uart"), false);
    irq_set(board_line(m, "tick"), true); /* only a GSI */
    g_assert_cmphex(state_of("ioapic", "lines"), ==, 1 << 20);
    g_assert_cmphex(state_of("pic", "lines"), ==, 0);
    irq_set(board_line(m, "tick"), false);
    irq_set(board_line(m, "old"), true); /* only the PIC's */
    g_assert_cmphex(state_of("ioapic", "lines"), ==, 0);
    g_assert_cmphex(state_of("pic", "lines"), ==, 1 << 3);
    irq_set(board_line(m, "old"), false);
    device_set_irq(board_device(m, "uart1"), 0, true);
    g_assert_cmphex(state_of("ioapic", "lines"), ==, 1 << 23);
    g_assert_cmphex(state_of("pic", "lines"), ==, 1 << 7);
    device_set_irq(board_device(m, "uart1"), 0, false);
    device_set_irq(board_device(m, "hpet"), 3, true); /* 0 to 7 are the I/O APIC's 8 to 15 */
    g_assert_cmphex(state_of("ioapic", "lines"), ==, 1 << 11);
    device_set_irq(board_device(m, "hpet"), 3, false);
    device_set_irq(board_device(m, "hpet"), 8, true); /* leads nowhere */
    g_assert_cmphex(state_of("ioapic", "lines"), ==, 0);
    device_set_irq(board_device(m, "hpet"), 26, true);
    g_assert_cmpuint(TOY(m)->stop, ==, 1);
    g_assert_cmpuint(TOY(m)->intr, >, 0);
    /* and things are where the rows say */
    g_assert_cmphex(ld(&address_space_memory, 0x30000005), ==, 0x60);
    g_assert_cmphex(ld(&address_space_memory, 0x30001005), ==, 0x60);
    g_assert_cmphex(ld(&address_space_memory, 0x20000000 + 5), !=, 0xff);
    address_space_st(&address_space_io, 0x121, 0x5a, 1, MEMTXATTRS_NONE, NULL);
    g_assert_cmphex(ld(&address_space_io, 0x121), ==, 0x5a);
}

static void without(void)
{
    must_build("toy,hpet=off,pic=off");
    g_assert_null(board_device(m, "hpet"));
    g_assert_null(board_device(m, "pic"));
    g_assert_null(board_device(m, "uart0")); /* no -serial */
    irq_set(board_line(m, "both"), true);    /* one of two is left */
    irq_set(board_line(m, "old"), true);     /* none */
    g_assert_cmphex(state_of("ioapic", "lines"), ==, 1 << 23);
}

static void fails(void)
{
    GError *error = NULL;

    g_assert_false(build("toy,fault=on", &error));
    g_assert_cmpstr(error->message, ==, "fault: serial-mm: regshift=9; valid are 0 to 3");
    g_assert_null(board_device(m, "fault"));
}

static void in_a_process(gconstpointer body)
{
    if (g_test_subprocess()) {
        ((void (*)(void))body)();
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    report_init("test-toy-board");
    bql_lock();
    g_test_add_data_func("/toy-board/whole", whole, in_a_process);
    g_test_add_data_func("/toy-board/without", without, in_a_process);
    g_test_add_data_func("/toy-board/fails", fails, in_a_process);
    return g_test_run();
}
