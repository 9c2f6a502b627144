/*
 * monitor/cmd_input.c: keys and mice by command, for the PS/2 keyboard and mouse of the machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/clock.h"
#include "hw/input/ps2.h"
#include "qapi/qapi-commands.h"
#include "util/report.h"

#define HOLD_DEFAULT_MS 100
#define HOLD_MAX_MS 60000
#define PRESSES_MAX 1024
#define STEP_MAX 100000

/* ---- keys ---- */

/* The key's name; NULL with an error if the keyboard has no such key. */
static const char *key_name(const QapiKeyValue *key, GError **error)
{
    if (key->type == QAPI_KEY_VALUE_TYPE_NUMBER) {
        int64_t number = key->u.number.data;
        const char *name = number >= 0 && number <= UINT8_MAX ? ps2_key_of_number(number) : NULL;
        if (!name) {
            error_set(error, "parameter 'keys': the keyboard has no key of number %" PRId64, number);
        }
        return name;
    }
    const char *name = qapi_QKeyCode_str(key->u.qcode.data);
    if (!ps2_has_key(name)) {
        error_set(error, "parameter 'keys': the keyboard has no key '%s'", name);
        return NULL;
    }
    return name;
}

static bool check_keyboard(GError **error)
{
    return ps2_is_there() || error_set(error, "this machine has no keyboard and mouse");
}

/* Keys that are to be pressed, or are pressed now (the first of the queue). */
typedef struct {
    GPtrArray *keys; /* of const char* */
    int64_t hold_ns;
} Press;
static GQueue presses = G_QUEUE_INIT;
static Timer release_timer;

static void press_first(void)
{
    const Press *p = presses.head->data;
    for (unsigned i = 0; i < p->keys->len; i++) {
        ps2_key_event(p->keys->pdata[i], true);
    }
    timer_mod(&release_timer, clock_now(CLOCK_VIRTUAL_NS) + p->hold_ns);
}

static void press_free(Press *p)
{
    g_ptr_array_unref(p->keys);
    g_free(p);
}

static void release(void *opaque)
{
    Press *p = g_queue_pop_head(&presses);
    for (unsigned i = p->keys->len; i-- > 0;) {
        ps2_key_event(p->keys->pdata[i], false);
    }
    press_free(p);
    if (presses.length) {
        press_first();
    }
}

bool qmp_send_key(const QmpSendKeyArg *arg, GError **error)
{
    int64_t hold = arg->has_hold_time ? arg->hold_time : HOLD_DEFAULT_MS;
    if (!check_keyboard(error)) {
        return false;
    }
    if (hold < 0 || hold > HOLD_MAX_MS) {
        return error_set(error, "parameter 'hold-time': %" PRId64 " ms; valid: 0 to %d", hold, HOLD_MAX_MS);
    }
    if (presses.length == PRESSES_MAX) {
        return error_set(error, "%d send-key commands wait already; keys are pressed one after the other, in the guest's time", PRESSES_MAX);
    }
    Press *p = g_new0(Press, 1);
    *p = (Press){.keys = g_ptr_array_new(), .hold_ns = hold * 1000000};
    for (unsigned i = 0; i < arg->keys->len; i++) {
        const char *name = key_name(arg->keys->pdata[i], error);
        if (!name) {
            press_free(p);
            return false;
        }
        g_ptr_array_add(p->keys, (void *)name);
    }
    g_queue_push_tail(&presses, p);
    if (presses.length == 1) {
        timer_init(&release_timer, CLOCK_VIRTUAL_NS, release, NULL);
        press_first();
    }
    return true;
}

/* ---- any input ---- */

static unsigned buttons; /* held, PS2_BUTTON_* */

static bool check_event(const QapiInputEvent *e, GError **error)
{
    if (e->type == QAPI_INPUT_EVENT_TYPE_KEY) {
        return key_name(e->u.key.data->key, error) != NULL;
    }
    if (e->type == QAPI_INPUT_EVENT_TYPE_REL) {
        int64_t value = e->u.rel.data->value;
        return (value >= -STEP_MAX && value <= STEP_MAX) ||
               error_set(error, "parameter 'events': a motion by %" PRId64 "; valid: -%d to %d", value, STEP_MAX, STEP_MAX);
    }
    return true;
}

static void button_event(const QapiInputBtnEvent *e)
{
    static const unsigned bits[] = {
        [QAPI_INPUT_BUTTON_LEFT] = PS2_BUTTON_LEFT, [QAPI_INPUT_BUTTON_MIDDLE] = PS2_BUTTON_MIDDLE, [QAPI_INPUT_BUTTON_RIGHT] = PS2_BUTTON_RIGHT,
        [QAPI_INPUT_BUTTON_SIDE] = PS2_BUTTON_SIDE, [QAPI_INPUT_BUTTON_EXTRA] = PS2_BUTTON_EXTRA};
    if (e->button == QAPI_INPUT_BUTTON_WHEEL_UP || e->button == QAPI_INPUT_BUTTON_WHEEL_DOWN) {
        ps2_mouse_event(0, 0, !e->down ? 0 : e->button == QAPI_INPUT_BUTTON_WHEEL_UP ? 1 : -1, buttons);
        return;
    }
    buttons = e->down ? buttons | bits[e->button] : buttons & ~bits[e->button];
    ps2_mouse_event(0, 0, 0, buttons);
}

bool qmp_input_send_event(const QmpInputSendEventArg *arg, GError **error)
{
    if (!check_keyboard(error)) {
        return false;
    }
    for (unsigned i = 0; i < arg->events->len; i++) {
        if (!check_event(arg->events->pdata[i], error)) {
            return false;
        }
    }
    int dx = 0, dy = 0;
    for (unsigned i = 0; i < arg->events->len; i++) {
        const QapiInputEvent *e = arg->events->pdata[i];
        if (e->type == QAPI_INPUT_EVENT_TYPE_REL) {
            *(e->u.rel.data->axis == QAPI_INPUT_AXIS_X ? &dx : &dy) += e->u.rel.data->value;
            continue;
        }
        if (dx || dy) {
            ps2_mouse_event(dx, dy, 0, buttons);
            dx = dy = 0;
        }
        if (e->type == QAPI_INPUT_EVENT_TYPE_KEY) {
            ps2_key_event(key_name(e->u.key.data->key, NULL), e->u.key.data->down);
        } else {
            button_event(e->u.btn.data);
        }
    }
    if (dx || dy) {
        ps2_mouse_event(dx, dy, 0, buttons);
    }
    return true;
}
