/*
 * hw/input/i8042.c: PS/2 keyboard controller: ports 0x60 and 0x64 as in the IBM PS/2 Hardware
 * Interface Technical Reference, with a keyboard and a mouse plugged in.
 *
 * The output buffer holds one byte and says where it came from; it refills when read, from the
 * controller's own replies first, then keyboard, then mouse. IRQ 1 or 12 is high while it is full, so
 * each byte makes an edge. Outputs 2 and 3 are the A20 line and the reset line; without a reset
 * line the controller asks for the reset itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "accel/accel.h"
#include "hw/core/device.h"
#include "hw/input/ps2.h"
#include "util/report.h"

/* status register */
#define STATUS_OBF 0x01
#define STATUS_SYS 0x04
#define STATUS_COMMAND 0x08 /* the last write was a command */
#define STATUS_UNLOCKED 0x10
#define STATUS_AUX_OBF 0x20
/* controller configuration byte */
#define CONFIG_KBD_INT 0x01
#define CONFIG_AUX_INT 0x02
#define CONFIG_SYS 0x04
#define CONFIG_KBD_DISABLE 0x10
#define CONFIG_AUX_DISABLE 0x20
#define CONFIG_TRANSLATE 0x40
/* output port */
#define OUTPORT_RESET 0x01 /* active low */
#define OUTPORT_A20 0x02
#define OUTPORT_OBF 0x10
#define OUTPORT_AUX_OBF 0x20
#define OUTPORT_IDLE 0xcc
/* commands */
#define CTL_READ_RAM 0x20 /* … 0x3f; 0x20 is the configuration byte */
#define CTL_WRITE_RAM 0x60
#define CTL_AUX_DISABLE 0xa7
#define CTL_AUX_ENABLE 0xa8
#define CTL_AUX_TEST 0xa9
#define CTL_SELF_TEST 0xaa
#define CTL_KBD_TEST 0xab
#define CTL_KBD_DISABLE 0xad
#define CTL_KBD_ENABLE 0xae
#define CTL_READ_INPORT 0xc0
#define CTL_READ_OUTPORT 0xd0
#define CTL_WRITE_OUTPORT 0xd1
#define CTL_WRITE_KBD_OBF 0xd2
#define CTL_WRITE_AUX_OBF 0xd3
#define CTL_WRITE_AUX 0xd4
#define CTL_A20_OFF 0xdd
#define CTL_A20_ON 0xdf
#define CTL_PULSE 0xf0 /* … 0xff: pulse the output port bits that are zero */

enum { OUT_IRQ1, OUT_IRQ12, OUT_A20, OUT_RESET, I8042_OUTPUTS };
enum { FROM_CONTROLLER, FROM_KEYBOARD, FROM_AUX };

typedef struct I8042 {
    Device dev;
    uint8_t ram[32];      /* byte 0: configuration */
    uint8_t command;      /* waits for its data byte at port 0x60 */
    uint8_t outport;      /* A20 and reset bits */
    uint8_t obuf, source; /* the output buffer and where its byte came from */
    bool full, last_command, break_next;
    int16_t reply;        /* controller's reply waiting for the buffer; -1: none */
    bool reply_aux;
    Ps2Keyboard keyboard;
    Ps2Mouse mouse;
} I8042;

static void i8042_update_irq(I8042 *s)
{
    uint8_t config = s->ram[0];
    device_set_irq(&s->dev, OUT_IRQ1, s->full && s->source != FROM_AUX && (config & CONFIG_KBD_INT));
    device_set_irq(&s->dev, OUT_IRQ12, s->full && s->source == FROM_AUX && (config & CONFIG_AUX_INT));
}

static void i8042_put(I8042 *s, uint8_t byte, uint8_t source)
{
    s->obuf = byte;
    s->source = source;
    s->full = true;
}

/* The keyboard's next byte, translated to set 1 if asked; 0xf0 becomes the next code's top bit. */
static int i8042_keyboard_byte(I8042 *s)
{
    int byte = ps2_keyboard_next(&s->keyboard);
    if (byte < 0 || !(s->ram[0] & CONFIG_TRANSLATE)) {
        return byte;
    }
    if (byte == 0xf0) {
        s->break_next = true;
        byte = ps2_keyboard_next(&s->keyboard);
        if (byte < 0) {
            return byte;
        }
    }
    byte = ps2_translate(byte) | (s->break_next ? 0x80 : 0);
    s->break_next = false;
    return byte;
}

static void i8042_refill(I8042 *s)
{
    int byte;
    if (s->full) {
        return;
    }
    if (s->reply >= 0) {
        i8042_put(s, s->reply, s->reply_aux ? FROM_AUX : FROM_CONTROLLER);
        s->reply = -1;
    } else if (!(s->ram[0] & CONFIG_KBD_DISABLE) && (byte = i8042_keyboard_byte(s)) >= 0) {
        i8042_put(s, byte, FROM_KEYBOARD);
    } else if (!(s->ram[0] & CONFIG_AUX_DISABLE) && (byte = ps2_mouse_next(&s->mouse)) >= 0) {
        i8042_put(s, byte, FROM_AUX);
    }
    i8042_update_irq(s);
}

static void i8042_input(void *opaque)
{
    i8042_refill(opaque);
}

static void i8042_reply(I8042 *s, uint8_t byte, bool aux)
{
    s->reply = byte;
    s->reply_aux = aux;
    i8042_refill(s);
}

/* ---- output port ---- */
static void i8042_request_reset(I8042 *s)
{
    if (s->dev.irq_out[OUT_RESET]) {
        irq_pulse(s->dev.irq_out[OUT_RESET]);
    } else {
        system_reset_request(SHUTDOWN_GUEST_RESET);
    }
}

static void i8042_set_outport(I8042 *s, uint8_t v)
{
    s->outport = v & (OUTPORT_RESET | OUTPORT_A20);
    device_set_irq(&s->dev, OUT_A20, v & OUTPORT_A20);
    if (!(v & OUTPORT_RESET)) {
        i8042_request_reset(s);
    }
}

static uint8_t i8042_get_outport(const I8042 *s)
{
    uint8_t obf = !s->full ? 0 : s->source == FROM_AUX ? OUTPORT_AUX_OBF : OUTPORT_OBF;
    return OUTPORT_IDLE | s->outport | obf;
}

/* ---- ports ---- */
static uint64_t i8042_read_data(void *opaque, hwaddr addr, unsigned size)
{
    I8042 *s = opaque;
    uint8_t v = s->obuf;
    if (s->full) {
        s->full = false;
        i8042_update_irq(s); /* low between two bytes */
        i8042_refill(s);
    }
    return v;
}

static void i8042_set_config(I8042 *s, uint8_t v)
{
    s->ram[0] = v & ~0x80;
    i8042_update_irq(s);
    i8042_refill(s);
}

static void i8042_write_data(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    I8042 *s = opaque;
    uint8_t v = value, command = s->command;
    s->command = 0;
    s->last_command = false;
    switch (command) {
    case 0:
        ps2_keyboard_write(&s->keyboard, v);
        s->break_next = false;
        break;
    case CTL_WRITE_RAM:
        i8042_set_config(s, v);
        break;
    case CTL_WRITE_RAM + 1 ... CTL_WRITE_RAM + 31:
        s->ram[command & 31] = v;
        break;
    case CTL_WRITE_OUTPORT:
        i8042_set_outport(s, v);
        break;
    case CTL_WRITE_KBD_OBF:
    case CTL_WRITE_AUX_OBF:
        i8042_reply(s, v, command == CTL_WRITE_AUX_OBF);
        break;
    case CTL_WRITE_AUX:
        ps2_mouse_write(&s->mouse, v);
        break;
    }
    i8042_refill(s);
}

static uint64_t i8042_read_status(void *opaque, hwaddr addr, unsigned size)
{
    I8042 *s = opaque;
    uint8_t v = STATUS_UNLOCKED | (s->last_command ? STATUS_COMMAND : 0) | (s->ram[0] & CONFIG_SYS ? STATUS_SYS : 0);
    if (s->full) {
        v |= STATUS_OBF | (s->source == FROM_AUX ? STATUS_AUX_OBF : 0);
    }
    return v;
}

static void i8042_command(I8042 *s, uint8_t v)
{
    switch (v) {
    case CTL_READ_RAM ... CTL_READ_RAM + 31:
        i8042_reply(s, s->ram[v & 31], false);
        break;
    case CTL_WRITE_RAM ... CTL_WRITE_RAM + 31:
    case CTL_WRITE_OUTPORT ... CTL_WRITE_AUX:
        s->command = v;
        break;
    case CTL_AUX_DISABLE:
        i8042_set_config(s, s->ram[0] | CONFIG_AUX_DISABLE);
        break;
    case CTL_AUX_ENABLE:
        i8042_set_config(s, s->ram[0] & ~CONFIG_AUX_DISABLE);
        break;
    case CTL_KBD_DISABLE:
        i8042_set_config(s, s->ram[0] | CONFIG_KBD_DISABLE);
        break;
    case CTL_KBD_ENABLE:
        i8042_set_config(s, s->ram[0] & ~CONFIG_KBD_DISABLE);
        break;
    case CTL_SELF_TEST:
        s->ram[0] |= CONFIG_SYS;
        i8042_reply(s, 0x55, false);
        break;
    case CTL_AUX_TEST:
    case CTL_KBD_TEST:
        i8042_reply(s, 0x00, false);
        break;
    case CTL_READ_INPORT:
        i8042_reply(s, 0x80, false); /* keyboard not locked */
        break;
    case CTL_READ_OUTPORT:
        i8042_reply(s, i8042_get_outport(s), false);
        break;
    case CTL_A20_OFF:
    case CTL_A20_ON:
        i8042_set_outport(s, v == CTL_A20_ON ? s->outport | OUTPORT_A20 : s->outport & ~OUTPORT_A20);
        break;
    case CTL_PULSE ... CTL_PULSE + 15:
        if (!(v & OUTPORT_RESET)) {
            i8042_request_reset(s);
        }
        break;
    default:
        guest_error("i8042", "unknown controller command 0x%02x", v);
        break;
    }
}

static void i8042_write_command(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    I8042 *s = opaque;
    s->command = 0;
    s->last_command = true;
    i8042_command(s, value);
}

static const MemoryRegionOps data_ops = { .read = i8042_read_data, .write = i8042_write_data, .impl = { 1, 1 } };
static const MemoryRegionOps command_ops = { .read = i8042_read_status, .write = i8042_write_command, .impl = { 1, 1 } };

/* ---- device ---- */
static bool i8042_realize(Device *dev, GError **error)
{
    I8042 *s = (I8042 *)dev;
    memory_region_init_io(&dev->mmio[0], &data_ops, s, "i8042-data", 1);
    memory_region_init_io(&dev->mmio[1], &command_ops, s, "i8042-cmd", 1);
    ps2_attach(&s->keyboard, &s->mouse, i8042_input, s);
    return true;
}

static void i8042_unrealize(Device *dev)
{
    ps2_attach(NULL, NULL, NULL, NULL);
}

static void i8042_reset_enter(Device *dev)
{
    I8042 *s = (I8042 *)dev;
    memset(s->ram, 0, sizeof(s->ram));
    /* what firmware leaves behind: tested, interrupts on, set 1 codes */
    s->ram[0] = CONFIG_KBD_INT | CONFIG_AUX_INT | CONFIG_SYS | CONFIG_TRANSLATE;
    s->command = 0;
    s->outport = OUTPORT_RESET | OUTPORT_A20;
    s->obuf = 0;
    s->source = FROM_CONTROLLER;
    s->full = s->last_command = s->break_next = s->reply_aux = false;
    s->reply = -1;
    ps2_keyboard_power_on(&s->keyboard);
    ps2_mouse_power_on(&s->mouse);
}

static void i8042_reset_hold(Device *dev)
{
    i8042_update_irq((I8042 *)dev);
    device_set_irq(dev, OUT_A20, true);
    device_set_irq(dev, OUT_RESET, false);
}

static bool i8042_post_load(void *obj, unsigned version, GError **error)
{
    I8042 *s = obj;
    if (s->source > FROM_AUX || s->reply < -1 || s->reply > 0xff || !ps2_keyboard_valid(&s->keyboard) ||
        !ps2_mouse_valid(&s->mouse)) {
        return error_set(error, "i8042: saved state is out of range");
    }
    return true;
}

static const StateField i8042_state[] = {
    STATE_ARRAY(I8042, ram), STATE_U8(I8042, command), STATE_U8(I8042, outport), STATE_U8(I8042, obuf),
    STATE_U8(I8042, source), STATE_BOOL(I8042, full), STATE_BOOL(I8042, last_command),
    STATE_BOOL(I8042, break_next), STATE_INT_(I8042, reply), STATE_BOOL(I8042, reply_aux),
    STATE_STRUCT(I8042, keyboard, ps2_keyboard_state), STATE_STRUCT(I8042, mouse, ps2_mouse_state),
};

DEVICE_TYPE(i8042, I8042, .summary = "PS/2 keyboard controller with keyboard and mouse", .irqs_out = I8042_OUTPUTS,
            .state = STATE(1, i8042_state, .post_load = i8042_post_load), .realize = i8042_realize,
            .unrealize = i8042_unrealize, .reset_enter = i8042_reset_enter, .reset_hold = i8042_reset_hold);
