/*
 * Tests of interrupts as such: tables of them, thousands of lines, messages with senders, interrupts with data.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/irqchip.h"
#include "hw/core/device.h"
#include "hw/core/irq_table.h"
#include "tests/unit/devtest.h"

/* ---- tables ---- */

static const IrqRow rows[] = {
    {"timer", 0, 2}, {"cascade", 2, -1}, {"keyboard", 1, 1}, {"sci", 9, 9, IRQ_LEVEL, IRQ_ACTIVE_HIGH}, {"pirq", -1, 16, IRQ_LEVEL, IRQ_ACTIVE_LOW},
};
static const IrqTable table = {rows, ARRAY_SIZE(rows), 24};

static void test_table(void)
{
    g_assert_true(irq_row_named(&table, "sci") == &rows[3]);
    g_assert_null(irq_row_named(&table, "none"));
    g_assert_true(irq_row_isa(&table, 1) == &rows[2]);
    g_assert_null(irq_row_isa(&table, 5));
    g_assert_cmphex(irq_row_mps_flags(&rows[3]), ==, 0xd);
    g_assert_cmphex(irq_row_mps_flags(&rows[4]), ==, 0xf);
    g_assert_true(irq_row_is_override(&rows[0]));  /* another number */
    g_assert_false(irq_row_is_override(&rows[1])); /* no GSI */
    g_assert_false(irq_row_is_override(&rows[2])); /* as expected */
    g_assert_true(irq_row_is_override(&rows[3]));  /* another trigger */
    g_assert_false(irq_row_is_override(&rows[4])); /* not ISA's */
}

/* ---- a controller with as many lines as it is told ---- */

typedef struct Many {
    Device dev;
    uint32_t lines;
    uint64_t rises, last;
} Many;

static void many_in(Device *dev, unsigned n, bool level)
{
    ((Many *)dev)->rises += level;
    ((Many *)dev)->last = n;
    device_set_irq(dev, n, level);
}

static bool many_realize(Device *dev, GError **error)
{
    device_size_irqs(dev, ((Many *)dev)->lines, ((Many *)dev)->lines);
    return true;
}

static const Property many_props[] = {PROP_U32("lines", Many, lines, 300, "interrupt lines")};
DEVICE_TYPE(many, Many, .name = "test-many-lines", .props = PROPS(many_props), .irqs_in = 300, .irqs_out = 300, .irq_in = many_in,
            .realize = many_realize);

static void test_many_lines(void)
{
    Device *of_type = device_new("test-many-lines"), *dev = dt_device("test-many-lines", "many", "lines=5000", 0);
    Many *s = (Many *)dev;

    g_assert_cmpuint(of_type->num_irq_in, ==, 300); /* more than a byte holds */
    object_unref(&of_type->obj);
    g_assert_cmpuint(dev->num_irq_in, ==, 5000);
    device_connect_irq(dev, 4999, dt_irq(0));
    irq_set(device_irq_in(dev, 4999), true);
    irq_set(device_irq_in(dev, 4998), true); /* leads nowhere */
    g_assert_cmpuint(s->rises, ==, 2);
    g_assert_cmpuint(s->last, ==, 4998);
    g_assert_cmpuint(dt_edges(0), ==, 1);
    device_unrealize(dev);
}

/* ---- messages ---- */

typedef struct {
    MsiController c;
    MsiMessage seen;
    unsigned n;
} Its;

/* A controller that translates by sender: only device 0x42 has a table, and its data is an index. */
static void its_send(MsiController *c, const MsiMessage *m)
{
    Its *its = (Its *)c;

    its->n += m->device_id == 0x42;
    its->seen = *m;
}

static bool its_route(MsiController *c, const MsiMessage *m, MsiMessage *route)
{
    route->data = m->data + 8192;
    return m->device_id == 0x42;
}

static void test_messages(void)
{
    static MemoryRegion ram;
    Its its = {.c = {.name = "its", .send = its_send, .route = its_route}}, inner = {.c = {.name = "inner", .send = its_send}};
    MsiMessage m = {0x1000, 7, 0x42}, route;

    g_assert_true(memory_region_init_ram(&ram, "ram", 0x2000, NULL));
    memory_region_add_subregion(&dt_memory, 0, &ram);
    g_assert_null(msi_controller());
    msi_send(msi_controller(), &m); /* without a controller it is a write */
    g_assert_cmphex(readl(0x1000), ==, 7);
    g_assert_true(msi_route(NULL, &m, &route));
    g_assert_cmphex(route.data, ==, 7);
    msi_controller_add(&its.c);
    msi_send(msi_controller(), &m);
    msi_send(msi_controller(), &(MsiMessage){0x1000, 9, MSI_NO_DEVICE});
    g_assert_cmpuint(its.n, ==, 1);
    g_assert_cmphex(its.seen.data, ==, 9);
    g_assert_cmphex(readl(0x1000), ==, 7);
    g_assert_true(msi_route(msi_controller(), &m, &route));
    g_assert_cmphex(route.data, ==, 8199);
    m.device_id = 0x43;
    g_assert_false(msi_route(msi_controller(), &m, &route));
    msi_controller_add(&inner.c);
    g_assert_true(msi_controller() == &inner.c);
    msi_controller_remove(&its.c);
    msi_controller_remove(&inner.c);
    g_assert_null(msi_controller());
}

/* ---- interrupts with data ---- */

static bool take(void *opaque, const IrqPayload *p)
{
    uint64_t *sum = opaque;

    *sum += p->word[0];
    return p->kind == 1;
}

static void test_payload(void)
{
    uint64_t sum = 0;
    const IrqPort port = {take, &sum};

    g_assert_true(irq_post(&port, &(IrqPayload){1, {5}}));
    g_assert_false(irq_post(&port, &(IrqPayload){2, {6}}));
    g_assert_false(irq_post(NULL, &(IrqPayload){1, {7}}));
    g_assert_cmpuint(sum, ==, 11);
}

/* ---- where controllers are ---- */

static void test_irqchip(void)
{
    static const IrqChip kernel = {.name = "kernel", .in_kernel = IRQCHIP_LOCAL | IRQCHIP_PIC};

    g_assert_false(irqchip_has(IRQCHIP_LOCAL));
    irqchip_use(&kernel);
    g_assert_true(irqchip_has(IRQCHIP_PIC));
    g_assert_false(irqchip_has(IRQCHIP_IOAPIC));
    irqchip_use(&irqchip_user);
    g_assert_false(irqchip_has(IRQCHIP_PIC));
}

int main(int argc, char **argv)
{
    dt_init(&argc, &argv);
    g_test_add_func("/irq/table", test_table);
    g_test_add_func("/irq/many-lines", test_many_lines);
    g_test_add_func("/irq/messages", test_messages);
    g_test_add_func("/irq/payload", test_payload);
    g_test_add_func("/irq/irqchip", test_irqchip);
    return g_test_run();
}
