/*
 * hw/char/serial16550.c: 16550A UART (National Semiconductor PC16550D datasheet) on the ISA bus
 * ("isa-serial") and memory-mapped ("serial-mm").
 *
 * Transmission takes no guest time: a byte written to THR is gone at once, and THRE interrupts follow
 * each write. Since a console prints byte by byte, output is collected and handed to the back end in
 * one piece at a newline, when the buffer is full, or after a short while. When the back end takes no
 * more, the transmit FIFO really fills and THRE stays clear until there is room again.
 *
 * Reception is paced by the guest: the back end is asked for no more than the FIFO holds. The modem
 * lines say that a connected partner is ready; baud rate and format only set the receive timeout.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/chardev.h"
#include "hw/acpi/aml.h"
#include "hw/core/clock.h"
#include "hw/core/device.h"
#include "hw/intc/isa.h"
#include "util/report.h"

/* register offsets; DLL and DLM replace 0 and 1 while LCR.DLAB is set */
enum { UART_RBR_THR, UART_IER, UART_IIR_FCR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR, UART_REGS };
#define IER_RDA 0x01
#define IER_THRE 0x02
#define IER_RLS 0x04
#define IER_MS 0x08
#define IIR_NONE 0x01
#define IIR_MS 0x00
#define IIR_THRE 0x02
#define IIR_RDA 0x04
#define IIR_RLS 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS 0xc0
#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define FCR_KEPT 0xc9
#define LCR_STOP 0x04
#define LCR_PARITY 0x08
#define LCR_BREAK 0x40
#define LCR_DLAB 0x80
#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_BI 0x10
#define LSR_ERRORS 0x1e
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define LSR_FIFO_ERROR 0x80
#define MSR_DCTS 0x01
#define MSR_DDSR 0x02
#define MSR_TERI 0x04
#define MSR_DDCD 0x08
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80
#define FIFO_SIZE 16
#define COLLECT_SIZE 256
#define COLLECT_NS 500000 /* a prompt without a newline appears after this */

typedef struct Uart {
    Device dev;
    ChardevFrontend chardev;
    uint32_t index, iobase, irq; /* isa-serial */
    uint32_t baudbase;           /* rate at divisor 1 */
    uint8_t regshift;            /* serial-mm */

    uint8_t ier, fcr, lcr, mcr, lsr_errors, msr, scr;
    uint16_t divisor;
    bool thre_pending;           /* THRE interrupt not yet acknowledged */
    bool timeout_pending;        /* characters wait below the trigger level */
    uint8_t rx[FIFO_SIZE], rx_break[FIFO_SIZE];
    uint8_t rx_head, rx_count;
    uint8_t tx[FIFO_SIZE];       /* used only while the back end is stuck */
    uint8_t tx_head, tx_count;
    uint8_t out[COLLECT_SIZE];   /* on its way to the back end */
    uint16_t out_count;
    bool line;                   /* INTR output */
    bool stuck;                  /* waits for the back end's writable callback */
    Timer rx_timer, out_timer;
} Uart;

/* ---- interrupt ---- */
static unsigned uart_rx_trigger(const Uart *s)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };
    return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

static uint8_t uart_line_errors(const Uart *s)
{
    uint8_t errors = s->lsr_errors;
    if (s->rx_count && s->rx_break[s->rx_head]) {
        errors |= LSR_BI;
    }
    return errors;
}

/* The pending interrupt of highest priority, as IIR shows it. */
static uint8_t uart_iir(const Uart *s)
{
    if ((s->ier & IER_RLS) && uart_line_errors(s)) {
        return IIR_RLS;
    }
    if ((s->ier & IER_RDA) && s->rx_count >= uart_rx_trigger(s)) {
        return IIR_RDA;
    }
    if ((s->ier & IER_RDA) && s->timeout_pending) {
        return IIR_TIMEOUT;
    }
    if ((s->ier & IER_THRE) && s->thre_pending) {
        return IIR_THRE;
    }
    if ((s->ier & IER_MS) && (s->msr & 0x0f)) {
        return IIR_MS;
    }
    return IIR_NONE;
}

static void uart_update(Uart *s)
{
    bool level = uart_iir(s) != IIR_NONE;
    if (level != s->line) {
        s->line = level;
        device_set_irq(&s->dev, 0, level);
    }
}

/* ---- transmit ---- */
static void uart_collect(Uart *s, uint8_t byte);

/* Offer the collected bytes to the back end; what it refuses stays, and THRE with it. */
static void uart_flush(Uart *s)
{
    if (s->out_count && s->chardev.chr) {
        int n = chardev_write(&s->chardev, s->out, s->out_count);
        n = CLAMP(n, 0, (int)s->out_count);
        memmove(s->out, s->out + n, s->out_count - n);
        s->out_count -= n;
    } else {
        s->out_count = 0;
    }
    s->stuck = s->out_count > 0;
    if (!s->out_count) {
        timer_del(&s->out_timer);
    }
}

static void uart_drain_fifo(Uart *s)
{
    if (!s->tx_count) {
        return;
    }
    while (s->tx_count && s->out_count < COLLECT_SIZE) {
        uint8_t byte = s->tx[s->tx_head];
        s->tx_head = (s->tx_head + 1) % FIFO_SIZE;
        s->tx_count--;
        uart_collect(s, byte);
    }
    if (!s->tx_count) {
        s->thre_pending = true;
    }
}

static void uart_writable(void *opaque)
{
    Uart *s = opaque;
    uart_flush(s);
    uart_drain_fifo(s);
    uart_update(s);
}

static void uart_out_timeout(void *opaque)
{
    uart_flush(opaque);
}

static void uart_collect(Uart *s, uint8_t byte)
{
    if (!s->chardev.chr) {
        return;
    }
    s->out[s->out_count++] = byte;
    if (s->stuck) {
        return;
    }
    if (byte == '\n' || s->out_count == COLLECT_SIZE) {
        uart_flush(s);
    } else if (s->out_count == 1) {
        timer_mod(&s->out_timer, clock_now(CLOCK_REALTIME_NS) + COLLECT_NS);
    }
}

static void uart_flush_hook(void *opaque)
{
    uart_flush(opaque);
}

static void uart_rx_push(Uart *s, uint8_t byte, bool is_break);

static void uart_transmit(Uart *s, uint8_t byte)
{
    /* The write ends the THRE interrupt; the transmitter being done at once begins the next. */
    s->thre_pending = false;
    uart_update(s);
    if (s->mcr & MCR_LOOP) {
        uart_rx_push(s, byte, false);
    } else if (s->out_count < COLLECT_SIZE && !s->tx_count) {
        uart_collect(s, byte);
    } else if (s->tx_count < (s->fcr & FCR_ENABLE ? FIFO_SIZE : 1)) {
        s->tx[(s->tx_head + s->tx_count++) % FIFO_SIZE] = byte;
    } /* else the guest overran the transmitter: the byte is lost */
    s->thre_pending = !s->tx_count;
    uart_update(s);
}

/* ---- receive ---- */
/* Start bit, data, parity and stop bits of one character. */
static int64_t uart_char_ns(const Uart *s)
{
    unsigned bits = 1 + 5 + (s->lcr & 3) + (s->lcr & LCR_PARITY ? 1 : 0) + (s->lcr & LCR_STOP ? 2 : 1);
    unsigned divisor = s->divisor ? s->divisor : 1;
    return (int64_t)bits * divisor * NANOSECONDS_PER_SECOND / s->baudbase;
}

/* Four characters' time after the last one came or was read, those below the trigger interrupt. */
static void uart_rx_rearm(Uart *s)
{
    s->timeout_pending = false;
    if ((s->fcr & FCR_ENABLE) && s->rx_count) {
        timer_mod(&s->rx_timer, clock_now(CLOCK_VIRTUAL_NS) + 4 * uart_char_ns(s));
    } else {
        timer_del(&s->rx_timer);
    }
}

static void uart_rx_timeout(void *opaque)
{
    Uart *s = opaque;
    s->timeout_pending = s->rx_count > 0;
    uart_update(s);
}

static unsigned uart_rx_room(const Uart *s)
{
    return (s->fcr & FCR_ENABLE ? FIFO_SIZE : 1) - MIN(s->rx_count, s->fcr & FCR_ENABLE ? FIFO_SIZE : 1);
}

static void uart_rx_push(Uart *s, uint8_t byte, bool is_break)
{
    if (!uart_rx_room(s)) {
        s->lsr_errors |= LSR_OE;
        if (!(s->fcr & FCR_ENABLE)) {
            s->rx[s->rx_head] = byte; /* without a FIFO the new character wins */
        }
        return;
    }
    unsigned slot = (s->rx_head + s->rx_count++) % FIFO_SIZE;
    s->rx[slot] = byte;
    s->rx_break[slot] = is_break;
    uart_rx_rearm(s);
}

static int uart_can_receive(void *opaque)
{
    Uart *s = opaque;
    return s->mcr & MCR_LOOP ? 0 : uart_rx_room(s);
}

static void uart_receive(void *opaque, const uint8_t *buf, int len)
{
    Uart *s = opaque;
    for (int i = 0; i < len; i++) {
        uart_rx_push(s, buf[i], false);
    }
    uart_update(s);
}

static void uart_event(void *opaque, ChardevEvent event)
{
    Uart *s = opaque;
    if (event == CHARDEV_BREAK && !(s->mcr & MCR_LOOP)) {
        uart_rx_push(s, 0, true);
        uart_update(s);
    } else if (event == CHARDEV_CLOSED) {
        s->out_count = 0;
        s->stuck = false;
        uart_writable(s); /* nobody listens: the transmitter runs free */
    }
}

static void uart_accept_input(Uart *s)
{
    if (s->chardev.chr) {
        chardev_accept_input(&s->chardev);
    }
}

static uint8_t uart_read_rbr(Uart *s)
{
    if (!s->rx_count) {
        return s->rx[s->rx_head];
    }
    uint8_t byte = s->rx[s->rx_head];
    s->rx_break[s->rx_head] = false;
    s->rx_head = (s->rx_head + 1) % FIFO_SIZE;
    s->rx_count--;
    uart_rx_rearm(s);
    uart_update(s);
    uart_accept_input(s);
    return byte;
}

/* ---- modem lines ---- */
static uint8_t uart_modem_lines(const Uart *s)
{
    if (s->mcr & MCR_LOOP) {
        return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
               (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
    }
    return MSR_CTS | MSR_DSR | MSR_DCD;
}

static void uart_modem_changed(Uart *s)
{
    uint8_t lines = uart_modem_lines(s), was = s->msr & 0xf0, changed = lines ^ was;
    uint8_t delta = s->msr & 0x0f;
    delta |= changed & MSR_CTS ? MSR_DCTS : 0;
    delta |= changed & MSR_DSR ? MSR_DDSR : 0;
    delta |= (was & ~lines) & MSR_RI ? MSR_TERI : 0;
    delta |= changed & MSR_DCD ? MSR_DDCD : 0;
    s->msr = lines | delta;
}

/* ---- registers ---- */
static uint8_t uart_read_lsr(Uart *s)
{
    uint8_t v = uart_line_errors(s) | (s->rx_count ? LSR_DR : 0);
    if (!s->tx_count) {
        v |= s->out_count < COLLECT_SIZE ? LSR_THRE | LSR_TEMT : 0;
    }
    for (unsigned i = 0; (s->fcr & FCR_ENABLE) && i < s->rx_count; i++) {
        if (s->rx_break[(s->rx_head + i) % FIFO_SIZE]) {
            v |= LSR_FIFO_ERROR;
        }
    }
    if (v & LSR_ERRORS) { /* reading clears them */
        s->lsr_errors = 0;
        s->rx_break[s->rx_head] = false;
        uart_update(s);
    }
    return v;
}

static void uart_clear_rx(Uart *s)
{
    s->rx_head = s->rx_count = 0;
    memset(s->rx_break, 0, sizeof(s->rx_break));
    uart_rx_rearm(s);
}

static void uart_write_fcr(Uart *s, uint8_t v)
{
    bool toggled = (v ^ s->fcr) & FCR_ENABLE;
    s->fcr = v & FCR_ENABLE ? v & FCR_KEPT : 0;
    if (toggled || (v & FCR_CLEAR_RX)) {
        uart_clear_rx(s);
    }
    if (toggled || (v & FCR_CLEAR_TX)) {
        s->tx_head = s->tx_count = 0;
        s->thre_pending = true;
    }
    uart_update(s);
    uart_accept_input(s);
}

static void uart_write_ier(Uart *s, uint8_t v)
{
    bool enabled = v & ~s->ier & IER_THRE;
    s->ier = v & 0x0f;
    if (enabled && !s->tx_count) {
        s->thre_pending = true; /* enabling with an empty transmitter interrupts at once */
    }
    uart_update(s);
}

static void uart_write_mcr(Uart *s, uint8_t v)
{
    bool left_loop = (s->mcr & ~v) & MCR_LOOP;
    s->mcr = v & 0x1f;
    uart_modem_changed(s);
    uart_update(s);
    if (left_loop) {
        uart_accept_input(s);
    }
}

static uint64_t uart_read(void *opaque, hwaddr addr, unsigned size)
{
    Uart *s = opaque;
    uint8_t v;
    switch (addr >> s->regshift) {
    case UART_RBR_THR:
        return s->lcr & LCR_DLAB ? s->divisor & 0xff : uart_read_rbr(s);
    case UART_IER:
        return s->lcr & LCR_DLAB ? s->divisor >> 8 : s->ier;
    case UART_IIR_FCR:
        v = uart_iir(s);
        if (v == IIR_THRE) {
            s->thre_pending = false;
            uart_update(s);
        }
        return v | (s->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
    case UART_LCR:
        return s->lcr;
    case UART_MCR:
        return s->mcr;
    case UART_LSR:
        return uart_read_lsr(s);
    case UART_MSR:
        v = s->msr;
        s->msr &= 0xf0;
        uart_update(s);
        return v;
    default:
        return s->scr;
    }
}

static void uart_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    Uart *s = opaque;
    uint8_t v = value;
    switch (addr >> s->regshift) {
    case UART_RBR_THR:
        if (s->lcr & LCR_DLAB) {
            s->divisor = (s->divisor & 0xff00) | v;
        } else {
            uart_transmit(s, v);
        }
        break;
    case UART_IER:
        if (s->lcr & LCR_DLAB) {
            s->divisor = (s->divisor & 0x00ff) | v << 8;
        } else {
            uart_write_ier(s, v);
        }
        break;
    case UART_IIR_FCR:
        uart_write_fcr(s, v);
        break;
    case UART_LCR:
        s->lcr = v;
        break;
    case UART_MCR:
        uart_write_mcr(s, v);
        break;
    case UART_LSR: /* factory test; status is read-only */
        break;
    case UART_MSR:
        s->msr = (s->msr & 0xf0) | (v & 0x0f);
        uart_update(s);
        break;
    default:
        s->scr = v;
        break;
    }
}

static const MemoryRegionOps uart_pio_ops = { .read = uart_read, .write = uart_write, .impl = { 1, 1 } };
/* One register per access, whatever its width. */
static const MemoryRegionOps uart_mmio_ops = {
    .read = uart_read, .write = uart_write, .valid = { 1, 8 }, .impl = { 1, 8 },
};

/* ---- device ---- */
static bool uart_realize(Uart *s, GError **error)
{
    if (!s->baudbase) {
        return error_set(error, "%s: baudbase=0; it is the bit rate at divisor 1, 115200 on a PC",
                         s->dev.obj.type->name);
    }
    timer_init(&s->rx_timer, CLOCK_VIRTUAL_NS, uart_rx_timeout, s);
    timer_init(&s->out_timer, CLOCK_REALTIME_NS, uart_out_timeout, s);
    s->chardev.opaque = s;
    s->chardev.can_receive = uart_can_receive;
    s->chardev.receive = uart_receive;
    s->chardev.event = uart_event;
    s->chardev.writable = uart_writable;
    if (s->chardev.chr && !chardev_connect(s->chardev.chr, &s->chardev, error)) {
        return false;
    }
    chardev_flush_hook_add(uart_flush_hook, s);
    return true;
}

static bool isa_serial_realize(Device *dev, GError **error)
{
    static const struct { uint16_t base; uint8_t irq; } ports[4] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };
    Uart *s = (Uart *)dev;
    if (s->index == UINT32_MAX) { /* the first one not taken */
        s->index = 0;
        for (guint i = 0; i < dev->bus->devices->len; i++) {
            Device *other = g_ptr_array_index(dev->bus->devices, i);
            if (other != dev && other->obj.type == dev->obj.type) {
                s->index = MAX(s->index, ((Uart *)other)->index + 1);
            }
        }
    }
    if (s->index >= ARRAY_SIZE(ports) && (s->iobase == UINT32_MAX || s->irq == UINT32_MAX)) {
        return error_set(error, "isa-serial: index=%u has no standard address; 0 to 3 have, else give iobase and irq",
                         s->index);
    }
    s->iobase = s->iobase == UINT32_MAX ? ports[s->index].base : s->iobase;
    s->irq = s->irq == UINT32_MAX ? ports[s->index].irq : s->irq;
    if (s->iobase > 0x10000 - UART_REGS) {
        return error_set(error, "isa-serial: iobase=0x%x is beyond the 64 KiB port space", s->iobase);
    }
    if (!isa_connect_irq(dev, 0, s->irq, error)) {
        return false;
    }
    if (!uart_realize(s, error)) {
        isa_disconnect_irq(dev, 0);
        return false;
    }
    memory_region_init_io(&dev->mmio[0], &uart_pio_ops, s, "serial", UART_REGS);
    device_map_io(dev, 0, s->iobase);
    return true;
}

static bool serial_mm_realize(Device *dev, GError **error)
{
    Uart *s = (Uart *)dev;
    if (s->regshift > 3) {
        return error_set(error, "serial-mm: regshift=%u; valid are 0 to 3", s->regshift);
    }
    if (!uart_realize(s, error)) {
        return false;
    }
    memory_region_init_io(&dev->mmio[0], &uart_mmio_ops, s, "serial", (uint64_t)UART_REGS << s->regshift);
    return true;
}

static void uart_unrealize(Device *dev)
{
    Uart *s = (Uart *)dev;
    uart_flush(s);
    timer_del(&s->rx_timer);
    timer_del(&s->out_timer);
    chardev_disconnect(&s->chardev);
    isa_disconnect_irq(dev, 0);
    chardev_flush_hook_remove(uart_flush_hook, s);
}

static void uart_reset_enter(Device *dev)
{
    Uart *s = (Uart *)dev;
    uart_flush(s);
    s->ier = s->fcr = s->lcr = s->mcr = s->lsr_errors = s->scr = 0;
    s->mcr = MCR_OUT2;
    s->divisor = 12;
    s->thre_pending = s->timeout_pending = false;
    s->tx_head = s->tx_count = 0;
    uart_clear_rx(s);
    s->msr = uart_modem_lines(s);
}

static void uart_reset_hold(Device *dev)
{
    ((Uart *)dev)->line = false;
    device_set_irq(dev, 0, false);
}

static void uart_reset_exit(Device *dev)
{
    uart_accept_input((Uart *)dev);
}

/* Collected output belongs to this host: it goes out here, not again where the state is loaded. */
static void uart_pre_save(void *obj)
{
    uart_writable(obj);
    uart_flush(obj);
}

static bool uart_post_load(void *obj, unsigned version, GError **error)
{
    Uart *s = obj;
    if (s->rx_head >= FIFO_SIZE || s->rx_count > FIFO_SIZE || s->tx_head >= FIFO_SIZE ||
        s->tx_count > FIFO_SIZE || s->out_count > COLLECT_SIZE) {
        return error_set(error, "%s: saved FIFO positions are out of range", s->dev.obj.type->name);
    }
    uart_writable(s);
    return true;
}

/* COM ports by number; their resources are what the properties say. */
static void isa_serial_acpi(Device *dev, void *aml)
{
    Uart *s = (Uart *)dev;
    char name[5] = {'C', 'O', 'M', '1' + s->index, 0};

    if (s->index > 8 || s->irq >= 16) {
        return;
    }
    aml_device_begin(aml, name);
    aml_name_eisaid(aml, "_HID", "PNP0501");
    aml_name_int(aml, "_UID", s->index + 1);
    aml_method_returning(aml, "_STA", 0xf);
    aml_resources_begin(aml, "_CRS");
    aml_res_io(aml, s->iobase, UART_REGS);
    aml_res_irq(aml, s->irq, AML_IRQ_EDGE_HIGH);
    aml_resources_end(aml);
    aml_end(aml);
}

static const StateField uart_state[] = {
    STATE_U8(Uart, ier), STATE_U8(Uart, fcr), STATE_U8(Uart, lcr), STATE_U8(Uart, mcr),
    STATE_U8(Uart, lsr_errors), STATE_U8(Uart, msr), STATE_U8(Uart, scr), STATE_U16(Uart, divisor),
    STATE_BOOL(Uart, thre_pending), STATE_BOOL(Uart, timeout_pending), STATE_ARRAY(Uart, rx),
    STATE_ARRAY(Uart, rx_break), STATE_U8(Uart, rx_head), STATE_U8(Uart, rx_count),
    STATE_ARRAY(Uart, tx), STATE_U8(Uart, tx_head), STATE_U8(Uart, tx_count), STATE_ARRAY(Uart, out),
    STATE_U16(Uart, out_count), STATE_BOOL(Uart, line), STATE_TIMER(Uart, rx_timer),
};

static const Property isa_serial_props[] = {
    PROP_U32("index", Uart, index, UINT32_MAX, "0 to 3: COM1 to COM4's address and interrupt; default: the next"),
    PROP_U32("iobase", Uart, iobase, UINT32_MAX, "first I/O port"),
    PROP_U32("irq", Uart, irq, UINT32_MAX, "ISA interrupt line"),
    PROP_U32("baudbase", Uart, baudbase, 115200, "bit rate at divisor 1"),
    PROP_CHARDEV("chardev", Uart, chardev, "character device it transmits to and receives from"),
};
static const Property serial_mm_props[] = {
    PROP_U8("regshift", Uart, regshift, 0, "log2 of the distance between registers in bytes"),
    PROP_U32("baudbase", Uart, baudbase, 399193, "bit rate at divisor 1"),
    PROP_CHARDEV("chardev", Uart, chardev, "character device it transmits to and receives from"),
};

DEVICE_TYPE(isa_serial, Uart, .name = "isa-serial", .summary = "16550A serial port", .category = "Input", .user_creatable = true,
            .bus = "isa", .props = PROPS(isa_serial_props), .irqs_out = 1,
            .state = STATE(1, uart_state, .pre_save = uart_pre_save, .post_load = uart_post_load),
            .realize = isa_serial_realize, .acpi = isa_serial_acpi,
            .unrealize = uart_unrealize, .reset_enter = uart_reset_enter, .reset_hold = uart_reset_hold,
            .reset_exit = uart_reset_exit);
DEVICE_TYPE(serial_mm, Uart, .name = "serial-mm", .summary = "16550A serial port in memory",
            .props = PROPS(serial_mm_props), .irqs_out = 1,
            .state = STATE(1, uart_state, .pre_save = uart_pre_save, .post_load = uart_post_load),
            .realize = serial_mm_realize,
            .unrealize = uart_unrealize, .reset_enter = uart_reset_enter, .reset_hold = uart_reset_hold,
            .reset_exit = uart_reset_exit);
