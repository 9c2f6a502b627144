/*
 * migration/dirty_rate.c: calc-dirty-rate: how much memory the guest writes, by the log of written pages or by samples of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/clock.h"
#include "memory/dirty.h"
#include "qapi/qapi-commands.h"
#include "util/crc32c.h"
#include "util/report.h"

#define PAGE_SIZE 4096u
#define SECONDS_MAX 60
#define SAMPLES_DEFAULT 512 /* pages of a GiB */
#define SAMPLES_MIN 128
#define SAMPLES_MAX 4096

typedef struct {
    const RamBlock *block;
    uint64_t page;
    uint32_t crc;
} Sample;

static struct {
    QapiDirtyRateStatus status;
    QapiDirtyRateMeasureMode mode;
    int64_t start_time, seconds, rate;
    int64_t begin_ns;
    uint64_t sample_pages;
    GArray *samples; /* of Sample */
} s;

static uint32_t page_crc(const Sample *p)
{
    return crc32c(0, p->block->host + p->page * PAGE_SIZE, PAGE_SIZE);
}

static uint64_t ram_size(void)
{
    uint64_t size = 0;
    for (const RamBlock *b = ram_block_first(); b; b = b->next) {
        size += b->size;
    }
    return size;
}

static void take_samples(void)
{
    g_clear_pointer(&s.samples, g_array_unref);
    s.samples = g_array_new(FALSE, FALSE, sizeof(Sample));
    for (const RamBlock *b = ram_block_first(); b; b = b->next) {
        uint64_t pages = b->size / PAGE_SIZE, n = MIN(MAX(b->size * s.sample_pages / GiB, 1), pages);
        for (uint64_t i = 0; i < n; i++) {
            Sample p = {b, ((uint64_t)g_random_int() << 32 | g_random_int()) % pages, 0};
            p.crc = page_crc(&p);
            g_array_append_val(s.samples, p);
        }
    }
}

static bool still_there(const RamBlock *block)
{
    const RamBlock *b = ram_block_first();
    while (b && b != block) {
        b = b->next;
    }
    return b;
}

/* Bytes that were written, as far as the samples tell. */
static uint64_t sampled_bytes(void)
{
    uint64_t changed = 0;
    for (unsigned i = 0; i < s.samples->len; i++) {
        const Sample *p = &g_array_index(s.samples, Sample, i);
        changed += still_there(p->block) && page_crc(p) != p->crc;
    }
    return s.samples->len ? (uint64_t)((double)ram_size() * changed / s.samples->len) : 0;
}

static gboolean measured(gpointer opaque)
{
    bool log = s.mode == QAPI_DIRTY_RATE_MEASURE_MODE_DIRTY_BITMAP;
    uint64_t bytes = log ? dirty_log_take(DIRTY_MIGRATION, NULL, NULL) * PAGE_SIZE : sampled_bytes();
    double seconds = (double)(clock_now(CLOCK_REALTIME_NS) - s.begin_ns) / NANOSECONDS_PER_SECOND;
    if (log) {
        dirty_log_stop(DIRTY_MIGRATION);
    }
    s.rate = bytes / seconds / MiB;
    s.status = QAPI_DIRTY_RATE_STATUS_MEASURED;
    return G_SOURCE_REMOVE;
}

bool qmp_calc_dirty_rate(const QmpCalcDirtyRateArg *arg, GError **error)
{
    QapiDirtyRateMeasureMode mode = arg->has_mode ? arg->mode : QAPI_DIRTY_RATE_MEASURE_MODE_PAGE_SAMPLING;
    int64_t samples = arg->has_sample_pages ? arg->sample_pages : SAMPLES_DEFAULT;
    if (arg->calc_time < 1 || arg->calc_time > SECONDS_MAX) {
        return error_set(error, "parameter 'calc-time': %" PRId64 " is not from 1 to %d seconds", arg->calc_time, SECONDS_MAX);
    }
    if (samples < SAMPLES_MIN || samples > SAMPLES_MAX) {
        return error_set(error, "parameter 'sample-pages': %" PRId64 " is not from %d to %d pages of a GiB", samples, SAMPLES_MIN, SAMPLES_MAX);
    }
    if (s.status == QAPI_DIRTY_RATE_STATUS_MEASURING) {
        return error_set(error, "calc-dirty-rate: a measurement of %" PRId64 " s goes on already; query-dirty-rate tells when it is over", s.seconds);
    }
    if (mode == QAPI_DIRTY_RATE_MEASURE_MODE_DIRTY_RING) {
        return error_set(error, "parameter 'mode': dirty-ring is not supported yet; use dirty-bitmap, which uses KVM's ring if there is one");
    }
    if (mode == QAPI_DIRTY_RATE_MEASURE_MODE_DIRTY_BITMAP && !dirty_log_start(DIRTY_MIGRATION, error)) {
        return false;
    }
    s.mode = mode;
    s.sample_pages = samples;
    s.seconds = arg->calc_time;
    s.start_time = g_get_monotonic_time() / G_USEC_PER_SEC;
    s.status = QAPI_DIRTY_RATE_STATUS_MEASURING;
    if (mode == QAPI_DIRTY_RATE_MEASURE_MODE_PAGE_SAMPLING) {
        take_samples();
    }
    s.begin_ns = clock_now(CLOCK_REALTIME_NS);
    g_timeout_add(s.seconds * 1000, measured, NULL);
    return true;
}

QapiDirtyRateInfo *qmp_query_dirty_rate(GError **error)
{
    QapiDirtyRateInfo *info = g_new0(QapiDirtyRateInfo, 1);
    info->status = s.status;
    info->has_dirty_rate = s.status == QAPI_DIRTY_RATE_STATUS_MEASURED;
    info->dirty_rate = s.rate;
    info->start_time = s.start_time;
    info->calc_time = s.seconds;
    info->sample_pages = s.sample_pages;
    info->mode = s.mode;
    return info;
}
