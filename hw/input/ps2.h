/*
 * hw/input/ps2.h: PS/2 keyboard and mouse, and the way host input reaches them.
 *
 * The two are parts of the keyboard controller ("i8042"), which owns their state and calls them.
 * Locking: big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

/* ---- host input ---- */
/* Press or release the key called `qcode` ("a", "ret", "shift_r", as QMP's send-key names keys).
 * False when there is no such key or no keyboard. */
bool ps2_key_event(const char *qcode, bool down);
/* There are a keyboard and a mouse. */
bool ps2_is_there(void);
bool ps2_has_key(const char *qcode);
/* The key with this scan code of set 1, 0x80 added if it comes after 0xe0; NULL: none. */
const char *ps2_key_of_number(unsigned number);
/* Relative motion (right, down and wheel-up are positive), and the buttons held. */
enum { PS2_BUTTON_LEFT = 1, PS2_BUTTON_RIGHT = 2, PS2_BUTTON_MIDDLE = 4, PS2_BUTTON_SIDE = 8, PS2_BUTTON_EXTRA = 16 };
void ps2_mouse_event(int dx, int dy, int dz, unsigned buttons);
/* Keyboard LEDs as the guest set them: bit 0 scroll, 1 num, 2 caps. */
unsigned ps2_leds(void);

/* ---- the controller's side ---- */
#define PS2_QUEUE_SIZE 64
typedef struct Ps2Queue {
    uint8_t data[PS2_QUEUE_SIZE];
    uint8_t head, count;
} Ps2Queue;
typedef struct Ps2Keyboard {
    Ps2Queue out;
    uint8_t command;      /* waits for its argument; 0: none */
    uint8_t set, leds, rate, last;
    uint8_t modifiers;    /* shift, control and alternate keys held down */
    bool scanning;
} Ps2Keyboard;
typedef struct Ps2Mouse {
    Ps2Queue out;
    uint8_t command;
    uint8_t id;           /* 0 plain, 3 wheel, 4 five buttons */
    uint8_t rate, resolution, knock; /* knock: progress of the sample-rate sequences that unlock ids */
    uint8_t buttons, sent_buttons, last;
    int32_t dx, dy, dz;   /* motion not yet reported */
    bool reporting, scaling, remote, wrap;
} Ps2Mouse;
extern const StateDesc ps2_keyboard_state, ps2_mouse_state;

void ps2_keyboard_power_on(Ps2Keyboard *k);
void ps2_mouse_power_on(Ps2Mouse *m);
void ps2_keyboard_write(Ps2Keyboard *k, uint8_t byte); /* from the host (guest software) */
void ps2_mouse_write(Ps2Mouse *m, uint8_t byte);
/* The next byte to the host, -1 for none. */
int ps2_keyboard_next(Ps2Keyboard *k);
int ps2_mouse_next(Ps2Mouse *m);
bool ps2_keyboard_valid(const Ps2Keyboard *k); /* of loaded state */
bool ps2_mouse_valid(const Ps2Mouse *m);
/* The controller offers its devices to host input; changed is called after input was queued. */
void ps2_attach(Ps2Keyboard *k, Ps2Mouse *m, void (*changed)(void *opaque), void *opaque);
/* 8042 translation of one set 2 code to set 1 (without the break bit). */
uint8_t ps2_translate(uint8_t set2);
