/*
 * backends/throttle_group.h: "throttle-group" objects: limits on bytes and operations per second that several disks
 * share. Nothing uses them yet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"

typedef enum { THROTTLE_IOPS_TOTAL, THROTTLE_IOPS_READ, THROTTLE_IOPS_WRITE, THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ, THROTTLE_BPS_WRITE,
               THROTTLE_BUCKETS } ThrottleBucket;
typedef struct {
    int64_t avg;        /* per second; 0: no limit */
    int64_t max;        /* per second, for as long as length_s; 0: none */
    int64_t length_s;
} ThrottleLimit;
typedef struct {
    ThrottleLimit bucket[THROTTLE_BUCKETS];
    int64_t iops_size;  /* an operation of more bytes counts as several; 0: never */
} ThrottleLimits;

typedef struct {
    Object obj;
    ThrottleLimits limits;
    bool ready;         /* completed: changes are checked as a whole */
} ThrottleGroup;
