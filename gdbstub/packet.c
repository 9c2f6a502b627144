/*
 * gdbstub/packet.c: see packet.h. GDB manual, E.1 (overview), E.13 (interrupts), E.11 (acknowledgement).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "gdbstub/packet.h"

enum { IDLE, DATA, ESCAPED, RUN, SUM1, SUM2 };

void gdb_packets_init(GdbPackets *p)
{
    p->in = g_string_new(NULL);
    p->last = g_byte_array_new();
    gdb_packets_reset(p);
}

void gdb_packets_reset(GdbPackets *p)
{
    p->state = IDLE;
    p->no_ack = false;
    g_byte_array_set_size(p->last, 0);
}

void gdb_packets_free(GdbPackets *p)
{
    g_string_free(p->in, TRUE);
    g_byte_array_unref(p->last);
}

/* ---- receiving ---- */

static void idle(GdbPackets *p, uint8_t c)
{
    switch (c) {
    case '$':
        g_string_truncate(p->in, 0);
        p->sum = 0;
        p->too_long = false;
        p->state = DATA;
        break;
    case 3:
        p->interrupt(p->opaque);
        break;
    case '-':
        if (!p->no_ack && p->last->len) {
            p->write(p->opaque, p->last->data, p->last->len);
        }
        break;
    default: /* '+', and noise */
        break;
    }
}

static void append(GdbPackets *p, uint8_t c, unsigned times)
{
    while (times--) {
        if (p->in->len == 2 * GDB_PACKET_MAX) {
            p->too_long = true;
            return;
        }
        g_string_append_c(p->in, c);
    }
}

static void data(GdbPackets *p, uint8_t c)
{
    if (c == '#') {
        p->state = SUM1;
        return;
    }
    if (c == '$') { /* a new packet: the rest of the old one was lost */
        p->state = IDLE;
        idle(p, c);
        return;
    }
    p->sum += c;
    if (p->state == ESCAPED) {
        append(p, c ^ 0x20, 1);
        p->state = DATA;
    } else if (p->state == RUN) {
        p->state = DATA;
        if (p->in->len && c >= 32) {
            append(p, p->in->str[p->in->len - 1], c - 29);
        }
    } else if (c == '}') {
        p->state = ESCAPED;
    } else if (c == '*') {
        p->state = RUN;
    } else {
        append(p, c, 1);
    }
}

static void finish(GdbPackets *p)
{
    bool ok = p->sum == p->want && !p->too_long;

    p->state = IDLE;
    if (!p->no_ack) {
        p->write(p->opaque, ok ? "+" : "-", 1);
    }
    if (ok) {
        p->packet(p->opaque, p->in->str, p->in->len);
    }
}

static void sum_digit(GdbPackets *p, uint8_t c)
{
    int digit = g_ascii_xdigit_value(c);

    if (p->state == SUM1) {
        p->want = digit < 0 ? ~p->sum : digit << 4;
        p->state = SUM2;
    } else {
        p->want = digit < 0 ? ~p->sum : p->want | digit;
        finish(p);
    }
}

void gdb_packets_receive(GdbPackets *p, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p->state == IDLE) {
            idle(p, buf[i]);
        } else if (p->state == SUM1 || p->state == SUM2) {
            sum_digit(p, buf[i]);
        } else {
            data(p, buf[i]);
        }
    }
}

/* ---- sending ---- */

void gdb_packets_send(GdbPackets *p, const char *text, size_t len)
{
    uint8_t sum = 0, esc[2] = {'}'};
    char tail[4];

    g_byte_array_set_size(p->last, 0);
    g_byte_array_append(p->last, (const uint8_t *)"$", 1);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text[i];

        if (c == '$' || c == '#' || c == '}' || c == '*') {
            esc[1] = c ^ 0x20;
            g_byte_array_append(p->last, esc, 2);
            sum += esc[0] + esc[1];
        } else {
            g_byte_array_append(p->last, &c, 1);
            sum += c;
        }
    }
    snprintf(tail, sizeof(tail), "#%02x", sum);
    g_byte_array_append(p->last, (const uint8_t *)tail, 3);
    p->write(p->opaque, p->last->data, p->last->len);
}

/* ---- hex ---- */

void gdb_hex_append(GString *out, const void *buf, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        uint8_t c = ((const uint8_t *)buf)[i];

        g_string_append_c(out, digits[c >> 4]);
        g_string_append_c(out, digits[c & 15]);
    }
}

bool gdb_hex_parse(const char *text, size_t text_len, uint8_t *buf, size_t n)
{
    if (text_len != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int hi = g_ascii_xdigit_value(text[2 * i]), lo = g_ascii_xdigit_value(text[2 * i + 1]);

        if (hi < 0 || lo < 0) {
            return false;
        }
        buf[i] = hi << 4 | lo;
    }
    return true;
}
