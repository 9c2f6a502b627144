/*
 * hw/timer/pcspk.c: PC system control port B, 0x61: the gate and output of PIT channel 2 and the
 * refresh toggle, as in the IBM PC AT technical reference. The speaker makes no sound. The parity and
 * channel check bits read as no error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/timer/i8254.h"
#include "hw/core/clock.h"
#include "util/report.h"

#define PORTB_GATE2 0x01
#define PORTB_SPEAKER 0x02
#define PORTB_WRITABLE 0x0f
#define PORTB_REFRESH 0x10
#define PORTB_OUT2 0x20
#define REFRESH_NS 15085 /* PIT channel 1 at its usual count of 18 */

typedef struct PcSpeaker {
    Device dev;
    Object *pit;         /* property: the timer whose channel 2 it has */
    uint8_t control;
} PcSpeaker;

static Device *timer(const PcSpeaker *s)
{
    return DEVICE(s->pit);
}

static uint64_t pcspk_read(void *opaque, hwaddr addr, unsigned size)
{
    PcSpeaker *s = opaque;
    uint8_t v = s->control | (pit_get_gate(timer(s), 2) ? PORTB_GATE2 : 0) | (pit_get_speaker(timer(s)) ? PORTB_SPEAKER : 0);
    if ((clock_now(CLOCK_VIRTUAL_NS) / REFRESH_NS) & 1) {
        v |= PORTB_REFRESH;
    }
    if (pit_get_out(timer(s), 2)) {
        v |= PORTB_OUT2;
    }
    return v;
}

static void pcspk_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    PcSpeaker *s = opaque;
    s->control = value & PORTB_WRITABLE & ~(PORTB_GATE2 | PORTB_SPEAKER); /* those are kept with the timer */
    pit_set_gate(timer(s), 2, value & PORTB_GATE2);
    pit_set_speaker(timer(s), value & PORTB_SPEAKER);
}

static const MemoryRegionOps pcspk_ops = { .read = pcspk_read, .write = pcspk_write, .impl = { 1, 1 } };

static bool pcspk_realize(Device *dev, GError **error)
{
    if (!((PcSpeaker *)dev)->pit) {
        return error_set(error, "pcspk: its property 'pit' must name the isa-pit whose channel 2 it has");
    }
    memory_region_init_io(&dev->mmio[0], &pcspk_ops, dev, "pcspk", 1);
    return true;
}

static void pcspk_reset_enter(Device *dev)
{
    ((PcSpeaker *)dev)->control = 0;
}

static const StateField pcspk_state[] = { STATE_U8(PcSpeaker, control) };

static const Property pcspk_props[] = {PROP_LINK("pit", PcSpeaker, pit, "isa-pit", "the timer whose channel 2 drives it")};

DEVICE_TYPE(pcspk, PcSpeaker, .name = "isa-pcspk", .alias = "pcspk", .summary = "speaker and port 0x61",
            .props = PROPS(pcspk_props), .state = STATE(1, pcspk_state), .realize = pcspk_realize, .reset_enter = pcspk_reset_enter);
