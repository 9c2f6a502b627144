/* tests/unit/test-acpi-pm.c: ACPI fixed hardware and the small ports. SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/devtest.h"
#include "hw/acpi/pm.h"
#include "hw/intc/isa.h"
#include "system/runstate.h"

static Device *pm, *port92;

static void start(void)
{
    device_reset(pm);
    outb(ACPI_SMI_CMD, ACPI_ENABLE_VALUE);
    dt_edges(0);
}

static void test_enable(void)
{
    device_reset(pm);
    g_assert_cmphex(inw(ACPI_PM1A_CNT_BLK), ==, 0);
    outw(ACPI_PM1A_CNT_BLK, 1); /* not the operating system's to set */
    g_assert_cmphex(inw(ACPI_PM1A_CNT_BLK), ==, 0);
    outb(ACPI_SMI_CMD, ACPI_ENABLE_VALUE);
    g_assert_cmphex(inw(ACPI_PM1A_CNT_BLK), ==, 1);
    outb(ACPI_SMI_CMD, ACPI_DISABLE_VALUE);
    g_assert_cmphex(inw(ACPI_PM1A_CNT_BLK), ==, 0);
}

static void test_timer(void)
{
    start();
    uint32_t a = inl(ACPI_PM_TMR_BLK);
    step(SEC);
    g_assert_cmpint((inl(ACPI_PM_TMR_BLK) - a) & 0xffffff, ==, ACPI_PM_TMR_FREQUENCY_HZ);
    g_assert_cmphex(inl(ACPI_PM_TMR_BLK) >> 24, ==, 0);
    step(5 * SEC); /* the top bit changes every 2.34 s */
    g_assert_cmphex(inw(ACPI_PM1A_EVT_BLK), ==, 1);
    g_assert_false(dt_wire[0].level);
    outw(ACPI_PM1A_EVT_BLK, 1);
    g_assert_cmphex(inw(ACPI_PM1A_EVT_BLK), ==, 0);
    outw(ACPI_PM1A_EVT_BLK + 2, 1);
    step(5 * SEC);
    g_assert_true(dt_wire[0].level);
    outw(ACPI_PM1A_EVT_BLK, 1);
    g_assert_false(dt_wire[0].level);
    step(3 * SEC);
    g_assert_cmpint(dt_edges(0), ==, 2);
    outw(ACPI_PM1A_EVT_BLK, 1);
    step_late(100 * SEC); /* many carries before anybody looks: one event */
    step(0);
    g_assert_cmpint(dt_edges(0), ==, 1);
    outw(ACPI_PM1A_EVT_BLK, 1);
    g_assert_false(dt_wire[0].level);
    step_late(3 * SEC);
    outw(ACPI_PM1A_EVT_BLK + 2, 1); /* an access before the main loop */
    g_assert_cmpint(dt_edges(0), ==, 1);
}

static void test_power_button(void)
{
    int code;
    start();
    outw(ACPI_PM1A_EVT_BLK + 2, 0x100);
    system_powerdown_request();
    runstate_handle_requests(&code);
    g_assert_true(dt_wire[0].level);
    g_assert_cmphex(inw(ACPI_PM1A_EVT_BLK) & 0x100, ==, 0x100);
    outb(ACPI_PM1A_EVT_BLK, 0xff); /* the other byte: stays */
    g_assert_true(dt_wire[0].level);
    outb(ACPI_PM1A_EVT_BLK + 1, 0x01);
    g_assert_false(dt_wire[0].level);
}

static void test_rtc_alarm(void)
{
    Irq *alarm = device_irq_in(pm, 0);
    start();
    outw(ACPI_PM1A_EVT_BLK + 2, 0x400);
    irq_set(alarm, true);
    g_assert_true(dt_wire[0].level);
    g_assert_cmphex(inw(ACPI_PM1A_EVT_BLK) & 0x400, ==, 0x400);
    outw(ACPI_PM1A_EVT_BLK, 0x400);
    g_assert_false(dt_wire[0].level);
    irq_set(alarm, true); /* still the same alarm */
    g_assert_false(dt_wire[0].level);
    irq_set(alarm, false);
    irq_set(alarm, true);
    g_assert_true(dt_wire[0].level);
    irq_set(alarm, false);
}

static void test_gpe(void)
{
    start();
    acpi_pm_gpe(pm, 9);
    g_assert_false(dt_wire[0].level);
    outb(ACPI_GPE0_BLK + 3, 0x02);
    g_assert_true(dt_wire[0].level);
    g_assert_cmphex(inb(ACPI_GPE0_BLK + 1), ==, 0x02);
    outb(ACPI_GPE0_BLK + 1, 0x02);
    g_assert_false(dt_wire[0].level);
}

static void test_sleep(void)
{
    int code = -1;
    start();
    outw(ACPI_PM1A_CNT_BLK, 0x2000 | ACPI_SLP_TYP_S3 << 10);
    g_assert_false(runstate_handle_requests(&code));
    outw(ACPI_PM1A_CNT_BLK, ACPI_SLP_TYP_S5 << 10); /* without SLP_EN */
    g_assert_false(runstate_handle_requests(&code));
    outw(ACPI_PM1A_CNT_BLK, 0x2000 | ACPI_SLP_TYP_S5 << 10);
    g_assert_true(runstate_handle_requests(&code));
    g_assert_cmpint(code, ==, 0);
}

static void test_port92(void)
{
    device_reset(port92);
    g_assert_cmphex(inb(0x92), ==, 2);
    g_assert_true(dt_wire[8].level);
    outb(0x92, 0);
    g_assert_false(dt_wire[8].level);
    outb(0x92, 2);
    g_assert_true(dt_wire[8].level);
}

static void test_debug_exit(void)
{
    int code = -1;
    outb(0xf4, 0x10);
    g_assert_true(runstate_handle_requests(&code));
    g_assert_cmpint(code, ==, 0x21);
}

static void test_pc_testdev(void)
{
    outw(0xe0, 0x1234);
    g_assert_cmphex(inl(0xe0) & 0xffff, ==, 0x1234);
    outb(0xe3, 0x56);
    g_assert_cmphex(inl(0xe0) >> 24, ==, 0x56);
    g_assert_cmphex(inw(0xe8), ==, 0x1234);
    dt_edges(16 + 5);
    outb(0x2005, 1);
    g_assert_true(dt_wire[16 + 5].level);
    outb(0x2005, 0);
    outb(0x2017, 1); /* beyond the ISA lines: nothing */
    writeq(0xff000ff8, 0x1122334455667788);
    g_assert_cmphex(readl(0xff000ffc), ==, 0x11223344);
    address_space_st(&address_space_io, 0xe4, 0xffffffff, 4, MEMTXATTRS_NONE, NULL);
}

static void test_state(void)
{
    start();
    outw(ACPI_PM1A_EVT_BLK + 2, 0x101);
    acpi_pm_gpe(pm, 3);
    dt_state_round_trip(pm);
    g_assert_cmphex(inw(ACPI_PM1A_EVT_BLK + 2), ==, 0x101);
    dt_state_damage(pm, &address_space_io, ACPI_PM_BASE, 0x20, 2);
}

int main(int argc, char **argv)
{
    Irq *lines[ISA_IRQS];
    dt_init(&argc, &argv);
    for (unsigned i = 0; i < ISA_IRQS; i++) {
        lines[i] = dt_irq(16 + i);
    }
    isa_bus_new(object_root(), lines);
    pm = dt_device("acpi-pm", "pm", NULL, 1);
    device_map_io(pm, 0, ACPI_PM_BASE);
    device_map_io(pm, 1, ACPI_SMI_CMD);
    port92 = dt_device("port92", "port92", NULL, 0);
    device_connect_irq(port92, 0, dt_irq(8));
    device_map_io(port92, 0, 0x92);
    dt_device("isa-debug-exit", "exit", "iobase=0xf4,iosize=4", 0);
    dt_device("pc-testdev", "testdev", NULL, 0);
    g_test_add_func("/acpi-pm/enable", test_enable);
    g_test_add_func("/acpi-pm/timer", test_timer);
    g_test_add_func("/acpi-pm/power-button", test_power_button);
    g_test_add_func("/acpi-pm/rtc-alarm", test_rtc_alarm);
    g_test_add_func("/acpi-pm/gpe", test_gpe);
    g_test_add_func("/acpi-pm/sleep", test_sleep);
    g_test_add_func("/acpi-pm/state", test_state);
    g_test_add_func("/misc/port92", test_port92);
    g_test_add_func("/misc/debug-exit", test_debug_exit);
    g_test_add_func("/misc/pc-testdev", test_pc_testdev);
    return g_test_run();
}
