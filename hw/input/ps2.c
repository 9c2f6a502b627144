/*
 * hw/input/ps2.c: PS/2 keyboard and mouse: the command sets of the IBM PS/2 Hardware Interface
 * Technical Reference, keyboard and auxiliary device sections, and the wheel and five-button
 * extensions of the IntelliMouse.
 *
 * A key is known by its set 2 code; set 1 follows by the controller's own translation, set 3 has a
 * column of its own. Typematic repeat is the host's: key events repeat as the host sends them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/input/ps2.h"
#include "util/report.h"

#define PS2_ACK 0xfa
#define PS2_RESEND 0xfe
#define PS2_BAT_OK 0xaa
/* keyboard commands */
#define KBD_SET_LEDS 0xed
#define KBD_ECHO 0xee
#define KBD_SCAN_SET 0xf0
#define KBD_ID 0xf2
#define KBD_RATE 0xf3
#define KBD_ENABLE 0xf4
#define KBD_DEFAULTS_DISABLE 0xf5
#define KBD_DEFAULTS 0xf6
#define KBD_ALL_FIRST 0xf7 /* set 3: make, break, typematic of all keys */
#define KBD_ALL_LAST 0xfa
#define KBD_KEY_FIRST 0xfb /* set 3: of one key, given by its argument */
#define KBD_KEY_LAST 0xfd
#define KBD_RESEND 0xfe
#define KBD_RESET 0xff
/* mouse commands */
#define AUX_SCALE11 0xe6
#define AUX_SCALE21 0xe7
#define AUX_RESOLUTION 0xe8
#define AUX_STATUS 0xe9
#define AUX_STREAM 0xea
#define AUX_POLL 0xeb
#define AUX_RESET_WRAP 0xec
#define AUX_WRAP 0xee
#define AUX_REMOTE 0xf0
#define AUX_ID 0xf2
#define AUX_RATE 0xf3
#define AUX_ENABLE 0xf4
#define AUX_DISABLE 0xf5
#define AUX_DEFAULTS 0xf6
#define AUX_RESEND 0xfe
#define AUX_RESET 0xff
/* A motion report needs at most this much room. */
#define REPORT_MAX 4
/* The real keyboard's buffer: beyond it keys are lost, replies are not. */
#define KEY_ROOM (PS2_QUEUE_SIZE - 24)

typedef struct {
    const char *qcode;
    uint16_t set2; /* 0xe0 in the high byte: extended */
    uint8_t set3;
} Ps2Key;

static const Ps2Key keys[] = {
    { "esc", 0x76, 0x08 }, { "1", 0x16, 0x16 }, { "2", 0x1e, 0x1e }, { "3", 0x26, 0x26 },
    { "4", 0x25, 0x25 }, { "5", 0x2e, 0x2e }, { "6", 0x36, 0x36 }, { "7", 0x3d, 0x3d },
    { "8", 0x3e, 0x3e }, { "9", 0x46, 0x46 }, { "0", 0x45, 0x45 }, { "minus", 0x4e, 0x4e },
    { "equal", 0x55, 0x55 }, { "backspace", 0x66, 0x66 }, { "tab", 0x0d, 0x0d }, { "q", 0x15, 0x15 },
    { "w", 0x1d, 0x1d }, { "e", 0x24, 0x24 }, { "r", 0x2d, 0x2d }, { "t", 0x2c, 0x2c },
    { "y", 0x35, 0x35 }, { "u", 0x3c, 0x3c }, { "i", 0x43, 0x43 }, { "o", 0x44, 0x44 },
    { "p", 0x4d, 0x4d }, { "bracket_left", 0x54, 0x54 }, { "bracket_right", 0x5b, 0x5b },
    { "ret", 0x5a, 0x5a }, { "ctrl", 0x14, 0x11 }, { "a", 0x1c, 0x1c }, { "s", 0x1b, 0x1b },
    { "d", 0x23, 0x23 }, { "f", 0x2b, 0x2b }, { "g", 0x34, 0x34 }, { "h", 0x33, 0x33 },
    { "j", 0x3b, 0x3b }, { "k", 0x42, 0x42 }, { "l", 0x4b, 0x4b }, { "semicolon", 0x4c, 0x4c },
    { "apostrophe", 0x52, 0x52 }, { "grave_accent", 0x0e, 0x0e }, { "shift", 0x12, 0x12 },
    { "backslash", 0x5d, 0x5c }, { "z", 0x1a, 0x1a }, { "x", 0x22, 0x22 }, { "c", 0x21, 0x21 },
    { "v", 0x2a, 0x2a }, { "b", 0x32, 0x32 }, { "n", 0x31, 0x31 }, { "m", 0x3a, 0x3a },
    { "comma", 0x41, 0x41 }, { "dot", 0x49, 0x49 }, { "slash", 0x4a, 0x4a }, { "shift_r", 0x59, 0x59 },
    { "asterisk", 0x7c, 0x7e }, { "kp_multiply", 0x7c, 0x7e }, { "alt", 0x11, 0x19 },
    { "spc", 0x29, 0x29 }, { "caps_lock", 0x58, 0x14 }, { "f1", 0x05, 0x07 }, { "f2", 0x06, 0x0f },
    { "f3", 0x04, 0x17 }, { "f4", 0x0c, 0x1f }, { "f5", 0x03, 0x27 }, { "f6", 0x0b, 0x2f },
    { "f7", 0x83, 0x37 }, { "f8", 0x0a, 0x3f }, { "f9", 0x01, 0x47 }, { "f10", 0x09, 0x4f },
    { "f11", 0x78, 0x56 }, { "f12", 0x07, 0x5e }, { "num_lock", 0x77, 0x76 },
    { "scroll_lock", 0x7e, 0x5f }, { "kp_7", 0x6c, 0x6c }, { "kp_8", 0x75, 0x75 },
    { "kp_9", 0x7d, 0x7d }, { "kp_subtract", 0x7b, 0x84 }, { "kp_4", 0x6b, 0x6b },
    { "kp_5", 0x73, 0x73 }, { "kp_6", 0x74, 0x74 }, { "kp_add", 0x79, 0x7c }, { "kp_1", 0x69, 0x69 },
    { "kp_2", 0x72, 0x72 }, { "kp_3", 0x7a, 0x7a }, { "kp_0", 0x70, 0x70 }, { "kp_decimal", 0x71, 0x71 },
    { "kp_comma", 0x6d, 0x6d }, { "kp_equals", 0x0f, 0x0f }, { "less", 0x61, 0x13 },
    { "sysrq", 0x84, 0x57 }, { "ro", 0x51, 0x51 }, { "yen", 0x6a, 0x5d }, { "henkan", 0x64, 0x86 },
    { "muhenkan", 0x67, 0x85 }, { "katakanahiragana", 0x13, 0x87 }, { "lang1", 0xf2, 0xf2 },
    { "lang2", 0xf1, 0xf1 },
    { "print", 0xe07c, 0x57 }, { "home", 0xe06c, 0x6e }, { "up", 0xe075, 0x63 },
    { "pgup", 0xe07d, 0x6f }, { "left", 0xe06b, 0x61 }, { "right", 0xe074, 0x6a },
    { "end", 0xe069, 0x65 }, { "down", 0xe072, 0x60 }, { "pgdn", 0xe07a, 0x6d },
    { "insert", 0xe070, 0x67 }, { "delete", 0xe071, 0x64 }, { "kp_enter", 0xe05a, 0x79 },
    { "ctrl_r", 0xe014, 0x58 }, { "kp_divide", 0xe04a, 0x77 }, { "alt_r", 0xe011, 0x39 },
    { "meta_l", 0xe01f, 0x8b }, { "meta_r", 0xe027, 0x8c }, { "menu", 0xe02f, 0x8d },
    { "compose", 0xe02f, 0x8d }, { "power", 0xe037, 0 }, { "sleep", 0xe03f, 0 },
    { "wake", 0xe05e, 0 }, { "volumeup", 0xe032, 0x95 }, { "volumedown", 0xe021, 0x9d },
    { "audiomute", 0xe023, 0x9c }, { "audionext", 0xe04d, 0x93 }, { "audioprev", 0xe015, 0x94 },
    { "audiostop", 0xe03b, 0x98 }, { "audioplay", 0xe034, 0 }, { "calculator", 0xe02b, 0 },
    { "computer", 0xe040, 0 }, { "mail", 0xe048, 0 }, { "mediaselect", 0xe050, 0 },
    { "ac_home", 0xe03a, 0 }, { "ac_back", 0xe038, 0 }, { "ac_forward", 0xe030, 0 },
    { "ac_refresh", 0xe020, 0 }, { "ac_bookmarks", 0xe018, 0 },
};

static struct {
    Ps2Keyboard *keyboard;
    Ps2Mouse *mouse;
    void (*changed)(void *opaque);
    void *opaque;
} host;

void ps2_attach(Ps2Keyboard *k, Ps2Mouse *m, void (*changed)(void *opaque), void *opaque)
{
    host.keyboard = k;
    host.mouse = m;
    host.changed = changed;
    host.opaque = opaque;
}

uint8_t ps2_translate(uint8_t code)
{
    static const uint8_t set1[0x80] = {
        0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
        0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
        0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
        0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
        0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
        0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
        0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
        0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    };
    return code < 0x80 ? set1[code] : code == 0x83 ? 0x41 : code == 0x84 ? 0x54 : code;
}

/* ---- queues ---- */
static void queue_clear(Ps2Queue *q)
{
    q->head = q->count = 0;
}

static void queue_put(Ps2Queue *q, uint8_t byte)
{
    if (q->count < PS2_QUEUE_SIZE) {
        q->data[(q->head + q->count++) % PS2_QUEUE_SIZE] = byte;
    }
}

static int queue_get(Ps2Queue *q)
{
    if (!q->count) {
        return -1;
    }
    uint8_t byte = q->data[q->head];
    q->head = (q->head + 1) % PS2_QUEUE_SIZE;
    q->count--;
    return byte;
}

/* A reply goes before what was queued: commands flush pending scan codes and motion. */
static void reply(Ps2Queue *q, const uint8_t *bytes, unsigned n)
{
    queue_clear(q);
    for (unsigned i = 0; i < n; i++) {
        queue_put(q, bytes[i]);
    }
}
#define REPLY(q, ...) reply(q, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* ---- keyboard ---- */
static void keyboard_defaults(Ps2Keyboard *k)
{
    k->set = 2;
    k->rate = 0x2b; /* 10.9 per second after 500 ms */
}

void ps2_keyboard_power_on(Ps2Keyboard *k)
{
    memset(k, 0, sizeof(*k));
    keyboard_defaults(k);
    k->scanning = true;
}

static void keyboard_argument(Ps2Keyboard *k, uint8_t v)
{
    uint8_t command = k->command;
    k->command = 0;
    switch (command) {
    case KBD_SET_LEDS:
        k->leds = v & 7;
        REPLY(&k->out, PS2_ACK);
        break;
    case KBD_SCAN_SET:
        if (v == 0) {
            REPLY(&k->out, PS2_ACK, k->set);
        } else if (v <= 3) {
            k->set = v;
            REPLY(&k->out, PS2_ACK);
        } else {
            REPLY(&k->out, PS2_RESEND);
        }
        break;
    case KBD_RATE:
        k->rate = v & 0x7f;
        REPLY(&k->out, PS2_ACK);
        break;
    default: /* set 3 key types: accepted, all keys make and break */
        REPLY(&k->out, PS2_ACK);
        break;
    }
}

void ps2_keyboard_write(Ps2Keyboard *k, uint8_t v)
{
    if (k->command && v < KBD_SET_LEDS) {
        keyboard_argument(k, v);
        return;
    }
    k->command = 0;
    switch (v) {
    case KBD_SET_LEDS: case KBD_SCAN_SET: case KBD_RATE: case KBD_KEY_FIRST ... KBD_KEY_LAST:
        k->command = v;
        REPLY(&k->out, PS2_ACK);
        break;
    case KBD_ECHO:
        REPLY(&k->out, KBD_ECHO);
        break;
    case KBD_ID:
        REPLY(&k->out, PS2_ACK, 0xab, 0x83);
        break;
    case KBD_ENABLE:
        k->scanning = true;
        REPLY(&k->out, PS2_ACK);
        break;
    case KBD_DEFAULTS_DISABLE:
    case KBD_DEFAULTS:
        keyboard_defaults(k);
        k->scanning = v == KBD_DEFAULTS;
        REPLY(&k->out, PS2_ACK);
        break;
    case KBD_ALL_FIRST ... KBD_ALL_LAST:
        REPLY(&k->out, PS2_ACK);
        break;
    case KBD_RESEND:
        REPLY(&k->out, k->last);
        break;
    case KBD_RESET:
        ps2_keyboard_power_on(k);
        REPLY(&k->out, PS2_ACK, PS2_BAT_OK);
        break;
    default:
        REPLY(&k->out, PS2_RESEND);
        break;
    }
}

int ps2_keyboard_next(Ps2Keyboard *k)
{
    int byte = queue_get(&k->out);
    if (byte >= 0) {
        k->last = byte;
    }
    return byte;
}

static void keyboard_put_key(Ps2Keyboard *k, const Ps2Key *key, bool down)
{
    bool extended = key->set2 >> 8;
    uint8_t code = key->set2;
    if (k->set == 3) {
        if (!key->set3) {
            return;
        }
        extended = false;
        code = key->set3;
    }
    if (extended) {
        queue_put(&k->out, 0xe0);
    }
    if (k->set == 1) {
        queue_put(&k->out, ps2_translate(code) | (down ? 0 : 0x80));
    } else {
        if (!down) {
            queue_put(&k->out, 0xf0);
        }
        queue_put(&k->out, code);
    }
}

enum { MOD_SHIFT = 0x03, MOD_CTRL = 0x0c, MOD_ALT = 0x30 }; /* left and right */

static void keyboard_note_modifier(Ps2Keyboard *k, const char *qcode, bool down)
{
    static const char *const modifiers[] = {"shift", "shift_r", "ctrl", "ctrl_r", "alt", "alt_r"};
    for (unsigned i = 0; i < ARRAY_SIZE(modifiers); i++) {
        if (strcmp(modifiers[i], qcode) == 0) {
            k->modifiers = down ? k->modifiers | BIT(i) : k->modifiers & ~BIT(i);
        }
    }
}

/* Print comes with a shift key of its own, unless shift or control is held; with alternate it is SysRq. */
static void keyboard_put_print(Ps2Keyboard *k, const Ps2Key *print, bool down)
{
    static const Ps2Key shift = {.set2 = 0xe012}, sysrq = {.set2 = 0x84};
    if (k->set == 3 || (k->modifiers & (MOD_SHIFT | MOD_CTRL) && !(k->modifiers & MOD_ALT))) {
        keyboard_put_key(k, print, down);
    } else if (k->modifiers & MOD_ALT) {
        keyboard_put_key(k, &sysrq, down);
    } else {
        keyboard_put_key(k, down ? &shift : print, down);
        keyboard_put_key(k, down ? print : &shift, down);
    }
}

/* Pause sends make and break together when pressed, and nothing when released; with control it is Break. */
static void keyboard_put_pause(Ps2Keyboard *k)
{
    static const Ps2Key break_key = {.set2 = 0xe07e};
    if (k->modifiers & MOD_CTRL && k->set != 3) {
        keyboard_put_key(k, &break_key, true);
        keyboard_put_key(k, &break_key, false);
        return;
    }
    static const uint8_t set2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    static const uint8_t set1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    static const uint8_t set3[] = { 0x62, 0xf0, 0x62 };
    const uint8_t *p = k->set == 1 ? set1 : k->set == 2 ? set2 : set3;
    unsigned n = k->set == 1 ? sizeof(set1) : k->set == 2 ? sizeof(set2) : sizeof(set3);
    for (unsigned i = 0; i < n; i++) {
        queue_put(&k->out, p[i]);
    }
}

bool ps2_is_there(void)
{
    return host.keyboard != NULL;
}

static const Ps2Key *find_key(const char *qcode)
{
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(keys[i].qcode, qcode) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

bool ps2_has_key(const char *qcode)
{
    return find_key(qcode) || strcmp(qcode, "pause") == 0;
}

const char *ps2_key_of_number(unsigned number)
{
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        unsigned set1 = ps2_translate(keys[i].set2) | (keys[i].set2 >> 8 ? 0x80 : 0);
        if (set1 == number && number) {
            return keys[i].qcode;
        }
    }
    return number == 0xc6 ? "pause" : NULL;
}

bool ps2_key_event(const char *qcode, bool down)
{
    Ps2Keyboard *k = host.keyboard;
    const Ps2Key *key = find_key(qcode);
    bool pause = strcmp(qcode, "pause") == 0;
    if (!k || (!key && !pause)) {
        return false;
    }
    keyboard_note_modifier(k, qcode, down);
    if (!k->scanning || k->out.count > KEY_ROOM) {
        return true; /* lost, as on the real thing */
    }
    if (key && strcmp(qcode, "print") == 0) {
        keyboard_put_print(k, key, down);
    } else if (key) {
        keyboard_put_key(k, key, down);
    } else if (down) {
        keyboard_put_pause(k);
    }
    host.changed(host.opaque);
    return true;
}

unsigned ps2_leds(void)
{
    return host.keyboard ? host.keyboard->leds : 0;
}

/* ---- mouse ---- */
static void mouse_defaults(Ps2Mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->reporting = m->scaling = m->remote = m->wrap = false;
    m->dx = m->dy = m->dz = 0;
}

void ps2_mouse_power_on(Ps2Mouse *m)
{
    memset(m, 0, sizeof(*m));
    mouse_defaults(m);
}

/* One packet of the motion so far; what does not fit stays for the next. */
static void mouse_put_report(Ps2Mouse *m)
{
    int dx = CLAMP(m->dx, -255, 255), dy = CLAMP(m->dy, -255, 255);
    m->dx -= dx;
    m->dy -= dy;
    dy = -dy; /* up is positive here */
    queue_put(&m->out, (m->buttons & 7) | 8 | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0));
    queue_put(&m->out, dx);
    queue_put(&m->out, dy);
    if (m->id) {
        int dz = m->id == 3 ? CLAMP(m->dz, -127, 127) : CLAMP(m->dz, -7, 7);
        m->dz -= dz;
        dz = -dz; /* wheel up is negative */
        queue_put(&m->out, m->id == 3 ? dz : (dz & 0xf) | (m->buttons & 0x18) << 1);
    } else {
        m->dz = 0;
    }
    m->sent_buttons = m->buttons;
}

static void mouse_set_rate(Ps2Mouse *m, uint8_t v)
{
    /* 200, 100, 80 unlocks the wheel; 200, 200, 80 after that the side buttons */
    if (v == 200) {
        m->knock = m->knock == 1 ? 2 : 1;
    } else if (v == 100 && m->knock == 1) {
        m->knock = 3;
    } else if (v == 80 && m->knock == 3) {
        m->id = MAX(m->id, 3);
        m->knock = 0;
    } else if (v == 80 && m->knock == 2) {
        m->id = m->id >= 3 ? 4 : m->id;
        m->knock = 0;
    } else {
        m->knock = 0;
    }
    m->rate = v;
}

static void mouse_command(Ps2Mouse *m, uint8_t v)
{
    switch (v) {
    case AUX_SCALE11: case AUX_SCALE21:
        m->scaling = v == AUX_SCALE21;
        break;
    case AUX_RESOLUTION: case AUX_RATE:
        m->command = v;
        break;
    case AUX_STREAM:
        m->remote = false;
        break;
    case AUX_REMOTE:
        m->remote = true;
        break;
    case AUX_WRAP: case AUX_RESET_WRAP:
        m->wrap = v == AUX_WRAP;
        break;
    case AUX_ENABLE: case AUX_DISABLE:
        m->reporting = v == AUX_ENABLE;
        break;
    case AUX_DEFAULTS:
        mouse_defaults(m);
        break;
    case AUX_STATUS:
        REPLY(&m->out, PS2_ACK,
              (m->remote ? 0x40 : 0) | (m->reporting ? 0x20 : 0) | (m->scaling ? 0x10 : 0) |
                  (m->buttons & 1 ? 4 : 0) | (m->buttons & 4 ? 2 : 0) | (m->buttons & 2 ? 1 : 0),
              m->resolution, m->rate);
        return;
    case AUX_POLL:
        REPLY(&m->out, PS2_ACK);
        mouse_put_report(m);
        return;
    case AUX_ID:
        REPLY(&m->out, PS2_ACK, m->id);
        return;
    case AUX_RESEND:
        REPLY(&m->out, m->last);
        return;
    case AUX_RESET:
        ps2_mouse_power_on(m);
        REPLY(&m->out, PS2_ACK, PS2_BAT_OK, 0x00);
        return;
    default:
        REPLY(&m->out, PS2_RESEND);
        return;
    }
    REPLY(&m->out, PS2_ACK);
}

void ps2_mouse_write(Ps2Mouse *m, uint8_t v)
{
    if (m->wrap && v != AUX_RESET && v != AUX_RESET_WRAP) {
        REPLY(&m->out, v);
    } else if (m->command) {
        if (m->command == AUX_RATE) {
            mouse_set_rate(m, v);
        } else {
            m->resolution = v & 3;
        }
        m->command = 0;
        REPLY(&m->out, PS2_ACK);
    } else {
        mouse_command(m, v);
    }
}

int ps2_mouse_next(Ps2Mouse *m)
{
    if (!m->out.count && m->reporting && !m->remote &&
        (m->dx || m->dy || (m->dz && m->id) || m->buttons != m->sent_buttons)) {
        mouse_put_report(m);
    }
    int byte = queue_get(&m->out);
    if (byte >= 0) {
        m->last = byte;
    }
    return byte;
}

void ps2_mouse_event(int dx, int dy, int dz, unsigned buttons)
{
    Ps2Mouse *m = host.mouse;
    if (!m) {
        return;
    }
    m->buttons = buttons & 0x1f;
    if (m->reporting || m->remote) {
        m->dx = CLAMP(m->dx + CLAMP(dx, -4096, 4096), -65536, 65536);
        m->dy = CLAMP(m->dy + CLAMP(dy, -4096, 4096), -65536, 65536);
        m->dz = CLAMP(m->dz + CLAMP(dz, -64, 64), -1024, 1024);
        host.changed(host.opaque);
    }
}

/* ---- saved state ---- */
static bool queue_valid(const Ps2Queue *q)
{
    return q->head < PS2_QUEUE_SIZE && q->count <= PS2_QUEUE_SIZE;
}

bool ps2_keyboard_valid(const Ps2Keyboard *k)
{
    return queue_valid(&k->out) && k->set >= 1 && k->set <= 3 && k->leds <= 7;
}

bool ps2_mouse_valid(const Ps2Mouse *m)
{
    return queue_valid(&m->out) && (m->id == 0 || m->id == 3 || m->id == 4) && m->knock <= 3 &&
           ABS((int64_t)m->dx) <= 65536 && ABS((int64_t)m->dy) <= 65536 && ABS((int64_t)m->dz) <= 1024;
}

static const StateField queue_fields[] = {
    STATE_ARRAY(Ps2Queue, data), STATE_U8(Ps2Queue, head), STATE_U8(Ps2Queue, count),
};
static const StateDesc queue_state = { .name = "queue", .version = 1, .fields = queue_fields,
                                       .count = ARRAY_SIZE(queue_fields) };
static const StateField keyboard_fields[] = {
    STATE_STRUCT(Ps2Keyboard, out, queue_state), STATE_U8(Ps2Keyboard, command), STATE_U8(Ps2Keyboard, set),
    STATE_U8(Ps2Keyboard, leds), STATE_U8(Ps2Keyboard, rate), STATE_U8(Ps2Keyboard, last),
    STATE_BOOL(Ps2Keyboard, scanning), STATE_U8(Ps2Keyboard, modifiers),
};
const StateDesc ps2_keyboard_state = { .name = "keyboard", .version = 2, .min_version = 2, .fields = keyboard_fields,
                                       .count = ARRAY_SIZE(keyboard_fields) };
static const StateField mouse_fields[] = {
    STATE_STRUCT(Ps2Mouse, out, queue_state), STATE_U8(Ps2Mouse, command), STATE_U8(Ps2Mouse, id),
    STATE_U8(Ps2Mouse, rate), STATE_U8(Ps2Mouse, resolution), STATE_U8(Ps2Mouse, knock),
    STATE_U8(Ps2Mouse, buttons), STATE_U8(Ps2Mouse, sent_buttons), STATE_U8(Ps2Mouse, last),
    STATE_I32(Ps2Mouse, dx), STATE_I32(Ps2Mouse, dy), STATE_I32(Ps2Mouse, dz),
    STATE_BOOL(Ps2Mouse, reporting), STATE_BOOL(Ps2Mouse, scaling), STATE_BOOL(Ps2Mouse, remote),
    STATE_BOOL(Ps2Mouse, wrap),
};
const StateDesc ps2_mouse_state = { .name = "mouse", .version = 1, .fields = mouse_fields,
                                    .count = ARRAY_SIZE(mouse_fields) };
