/*
 * util/osdep.h: the standard headers and small macros every source file may rely on.
 * Include it first. Nothing here has state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <glib.h>

#define KiB (UINT64_C(1) << 10)
#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)
#define TiB (UINT64_C(1) << 40)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (UINT32_C(1) << (n))
#define BIT_ULL(n) (UINT64_C(1) << (n))
/* Mask with bits lo..hi set, inclusive. */
#define MASK_ULL(hi, lo) ((~UINT64_C(0) >> (63 - (hi))) & (~UINT64_C(0) << (lo)))
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_POW2(x) ((x) && !((x) & ((x)-1)))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define WARN_UNUSED __attribute__((warn_unused_result))
/* An element of a linker section that is walked as an array: no sanitizer may pad it. */
#ifdef __clang__
#define SECTION_ENTRY(name) __attribute__((section(name), used, retain, no_sanitize("address")))
#else
#define SECTION_ENTRY(name) __attribute__((section(name), used, retain))
#endif
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* clang tells of sanitizers in its own way. */
#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

/* ThreadSanitizer does not see into GLib's locks nor liburcu: say what they order. */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define TSAN_ACQUIRE(p) __tsan_acquire((void *)(p))
#define TSAN_RELEASE(p) __tsan_release((void *)(p))
#else
#define TSAN_ACQUIRE(p) ((void)0)
#define TSAN_RELEASE(p) ((void)0)
#endif

/* LeakSanitizer does not see pointers in memory that mmap gave: these are followed. */
#ifdef __SANITIZE_ADDRESS__
void __lsan_register_root_region(const void *p, size_t size);
#define LEAK_ROOT(p, size) __lsan_register_root_region((p), (size))
#else
#define LEAK_ROOT(p, size) ((void)0)
#endif

/* Bits [lo, lo+len) of x. */
static inline uint64_t extract64(uint64_t x, unsigned lo, unsigned len)
{
    return (x >> lo) & (~UINT64_C(0) >> (64 - len));
}
static inline int64_t sextract64(uint64_t x, unsigned lo, unsigned len)
{
    return (int64_t)(x << (64 - lo - len)) >> (64 - len);
}
static inline uint64_t deposit64(uint64_t x, unsigned lo, unsigned len, uint64_t field)
{
    uint64_t mask = (~UINT64_C(0) >> (64 - len)) << lo;
    return (x & ~mask) | ((field << lo) & mask);
}

/* Unaligned little-endian accessors (hosts are little-endian; these stay correct anywhere). */
static inline uint16_t ldw_le(const void *p) { uint16_t v; memcpy(&v, p, 2); return GUINT16_FROM_LE(v); }
static inline uint32_t ldl_le(const void *p) { uint32_t v; memcpy(&v, p, 4); return GUINT32_FROM_LE(v); }
static inline uint64_t ldq_le(const void *p) { uint64_t v; memcpy(&v, p, 8); return GUINT64_FROM_LE(v); }
static inline void stw_le(void *p, uint16_t v) { v = GUINT16_TO_LE(v); memcpy(p, &v, 2); }
static inline void stl_le(void *p, uint32_t v) { v = GUINT32_TO_LE(v); memcpy(p, &v, 4); }
static inline void stq_le(void *p, uint64_t v) { v = GUINT64_TO_LE(v); memcpy(p, &v, 8); }
