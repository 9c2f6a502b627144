/*
 * hw/intc/kvm_pit.c: the PC's interval timer in the kernel (KVM_CREATE_PIT2), with the gate and output of
 * channel 2 at port 0x61. While the machine stands still its state is the device's of hw/timer/i8254.c.
 *
 * The kernel's load times are of CLOCK_MONOTONIC, the device's of the virtual clock. The kernel does not know
 * of a mode that waits for its count: a count that was loaded before a new control word counts on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/intc/kvm_x86.h"
#include "hw/core/clock.h"
#include "hw/timer/i8254.h"
#include "accel/kvm/kvm.h"
#include "util/report.h"

enum { STATE_NONE, STATE_LSB, STATE_MSB, STATE_WORD0, STATE_WORD1 }; /* of the kernel's byte sequences */
#define RW_WORD 3
#define MODE_UNSET 0xff

static bool present;

static int64_t kernel_clock_offset(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NANOSECONDS_PER_SECOND + t.tv_nsec - clock_now(CLOCK_VIRTUAL_NS);
}

static uint8_t sequence(uint8_t rw, bool high)
{
    return rw == RW_WORD ? (high ? STATE_WORD1 : STATE_WORD0) : rw;
}

static void pit_get(void)
{
    struct kvm_pit_state2 k;
    int64_t offset = kernel_clock_offset();
    PitRegs r = {0};
    int e;

    if (!present) {
        return;
    }
    e = kvm_ioctl(kvm_vm_fd, KVM_GET_PIT2, &k);
    if (e < 0) {
        report_error("KVM_GET_PIT2: the interval timer's state is not known: %s", g_strerror(-e));
        return;
    }
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        const struct kvm_pit_channel_state *c = &k.channels[i];
        bool loaded = c->mode <= 5;

        r.channel[i] = (PitChannelRegs){
            .count = loaded ? MIN(c->count, 0x10000u) : 0, .load_time = c->count_load_time - offset, .mode = loaded ? c->mode : 3,
            .rw = c->rw_mode, .bcd = c->bcd, .gate = c->gate, .read_high = c->read_state == STATE_WORD1,
            .write_high = c->write_state == STATE_WORD1, .write_low = c->write_latch,
            .latch_bytes = c->count_latched == STATE_WORD0 ? 2 : c->count_latched != STATE_NONE, .latch = c->latched_count,
            .status_latched = c->status_latched, .status = c->status,
        };
    }
    r.legacy_off = k.flags & KVM_PIT_FLAGS_HPET_LEGACY;
    r.speaker = k.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
    pit_import(&r);
}

static void pit_put(void)
{
    struct kvm_pit_state2 k = {0};
    int64_t offset = kernel_clock_offset();
    PitRegs r;
    int e;

    if (!present || !pit_export(&r)) {
        return;
    }
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        const PitChannelRegs *c = &r.channel[i];

        k.channels[i] = (struct kvm_pit_channel_state){
            .count = c->count ?: 0x10000, .count_load_time = c->load_time + offset, .mode = c->count || c->rw ? c->mode : MODE_UNSET,
            .rw_mode = c->rw, .bcd = c->bcd, .gate = c->gate, .read_state = sequence(c->rw, c->read_high),
            .write_state = sequence(c->rw, c->write_high), .write_latch = c->write_low,
            .count_latched = !c->latch_bytes ? STATE_NONE : c->rw != RW_WORD ? c->rw : c->latch_bytes == 2 ? STATE_WORD0 : STATE_MSB,
            .latched_count = c->latch, .status_latched = c->status_latched, .status = c->status,
        };
    }
    k.flags = (r.legacy_off ? KVM_PIT_FLAGS_HPET_LEGACY : 0) | (r.speaker ? KVM_PIT_FLAGS_SPEAKER_DATA_ON : 0);
    e = kvm_ioctl(kvm_vm_fd, KVM_SET_PIT2, &k);
    if (e < 0) {
        report_error("KVM_SET_PIT2: the interval timer's state is not taken: %s", g_strerror(-e));
    }
    if (kvm_cap(KVM_CAP_REINJECT_CONTROL)) { /* its default is "delay": without, that is what there is */
        e = kvm_ioctl(kvm_vm_fd, KVM_REINJECT_CONTROL, &(struct kvm_reinject_control){.pit_reinject = pit_lost_ticks() == PIT_LOST_TICKS_DELAY});
        if (e < 0) {
            kvm_tell(KVM_REINJECT_CONTROL, e, "lost_tick_policy stays as it was");
        }
    }
}

void kvm_pit_sync(IrqChipPart part, bool to_kernel)
{
    (to_kernel ? pit_put : pit_get)();
}

bool kvm_pit_create(bool wanted, bool *created, GError **error)
{
    struct kvm_pit_config config = {.flags = KVM_PIT_SPEAKER_DUMMY};
    int r;

    *created = present = false;
    if (!wanted || !kvm_options.pit || !kvm_cap(KVM_CAP_PIT2) || !kvm_cap(KVM_CAP_PIT_STATE2)) {
        return true;
    }
    r = kvm_ioctl(kvm_vm_fd, KVM_CREATE_PIT2, &config);
    if (r < 0) {
        return kvm_error(error, KVM_CREATE_PIT2, r);
    }
    *created = present = true;
    return true;
}
