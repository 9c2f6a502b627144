/*
 * gdbstub/packet.h: the framing of the remote serial protocol: $data#checksum, acknowledgement,
 * retransmission, escapes, run lengths, and the interrupt byte between packets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"

#define GDB_PACKET_MAX 0x4000 /* data bytes either way, before escaping */

typedef struct GdbPackets {
    /* the user's */
    void (*packet)(void *opaque, const char *data, size_t len); /* data is NUL-terminated as well */
    void (*interrupt)(void *opaque);
    void (*write)(void *opaque, const void *buf, size_t len);
    void *opaque;
    bool no_ack;           /* set between packets */
    /* internal */
    int state;
    bool too_long;
    uint8_t sum, want;
    GString *in;
    GByteArray *last;      /* sent last, as framed */
} GdbPackets;

void gdb_packets_init(GdbPackets *p);
void gdb_packets_reset(GdbPackets *p); /* a new connection */
void gdb_packets_free(GdbPackets *p);
void gdb_packets_receive(GdbPackets *p, const uint8_t *buf, size_t len);
void gdb_packets_send(GdbPackets *p, const char *data, size_t len);

/* Hex as the protocol has it: two digits a byte. False: not n bytes of hex. */
void gdb_hex_append(GString *out, const void *buf, size_t n);
bool gdb_hex_parse(const char *text, size_t text_len, uint8_t *buf, size_t n) WARN_UNUSED;
