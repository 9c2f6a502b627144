/*
 * accel/kvm/kvm.h: the in-kernel hypervisor as an accelerator: what its parts share, and what a target
 * provides for it. Documentation/virt/kvm/api.rst of the Linux kernel.
 *
 * Who owns a vCPU's state: while the VM runs, the kernel; from cpus_pause to cpus_resume, cpu->env
 * (kvm_sync_out fetched all of it, kvm_set_running puts all of it back). So reset, saved state, loaders and
 * monitors work on env as they do under the translator.
 *
 * Locking: the big lock unless said otherwise. A vCPU's ioctls are its thread's while it runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "accel/accel.h"
#include "memory/memory.h"
#include <linux/kvm.h>

/* Statistics of a vCPU or the VM; stats.c */
typedef struct {
    int fd;                        /* 0: not asked yet, -1: there are none */
    uint8_t *desc;                 /* descriptors, desc_size bytes each */
    unsigned count, desc_size;
    uint32_t data_offset, data_size;
} KvmStats;

typedef struct KvmCpu {
    Cpu *cpu;
    AddressSpace *as;             /* what its last exit saw */
    const struct KvmCpuOps *ops;
    int fd;
    struct kvm_run *run;
    size_t run_size;              /* of its mapping */
    struct kvm_dirty_gfn *ring;   /* dirty ring, NULL without */
    uint32_t ring_next;           /* first entry not looked at */
    pthread_t thread;             /* valid once `threaded` */
    bool threaded;
    bool in_run;                  /* atomic: between the last look at requests and the end of KVM_RUN */
    bool env_valid;               /* env holds the state; the kernel's is to be replaced before running */
    bool failed;                  /* the kernel refused to run it: report once */
    void *arch;                   /* the target's */
    uint64_t n_exits[64];         /* by exit reason, for statistics; the last counts all others */
    uint64_t n_interrupted;
    struct kvm_guest_debug debug; /* as the kernel has it; debug.c */
    bool over;                    /* steps over the points at over_pc */
    uint64_t over_pc;
    KvmStats stats;
} KvmCpu;

/* -accel kvm,… */
typedef enum { NOTIFY_RUN, NOTIFY_INTERNAL_ERROR, NOTIFY_DISABLE } NotifyVmexit;
typedef struct {
    int irqchip;                   /* IrqchipMode */
    uint32_t ring_entries;
    uint64_t shadow_mem;           /* bytes; 0: the kernel's choice */
    int notify_vmexit;             /* NotifyVmexit */
    uint32_t notify_window;
    char *device;                  /* NULL: /dev/kvm */
    bool pit;                      /* in the kernel where the other controllers are */
} KvmOptions;
extern KvmOptions kvm_options;

/* KVM_SET_USER_MEMORY_REGION2, KVM_CAP_GUEST_MEMFD and KVM_CREATE_GUEST_MEMFD of Linux 6.8, which older headers lack:
 * a slot whose pages are the guest's own where it asks for that (RamBlock.private_fd). */
struct kvm_private_memory_region {
    struct kvm_userspace_memory_region region;
    uint64_t guest_memfd_offset;
    uint32_t guest_memfd, pad1;
    uint64_t pad2[14];
};
struct kvm_private_memory {
    uint64_t size, flags, reserved[6];
};
#define KVM_SET_PRIVATE_MEMORY_REGION _IOW(KVMIO, 0x49, struct kvm_private_memory_region)
#define KVM_CREATE_PRIVATE_MEMORY _IOWR(KVMIO, 0xd4, struct kvm_private_memory)
#define KVM_CAP_PRIVATE_MEMORY 234
#define KVM_MEM_PRIVATE (1u << 2)

/* The target's answer to an exit. */
typedef enum { KVM_CONTINUE, KVM_LEAVE /* back to the thread's loop */, KVM_NOT_MINE } KvmExit;

typedef struct KvmCpuOps {
    /* Once per VM, before the first vCPU: interrupt controllers and what else must come first. */
    bool (*vm_init)(const AccelPlatform *platform, GError **error);
    /* Before KVM_CREATE_VCPU: what the CPU's properties ask of the VM. */
    bool (*before_vcpu)(Cpu *cpu, GError **error);
    unsigned (*vcpu_id)(Cpu *cpu);
    bool (*cpu_init)(KvmCpu *v, GError **error);
    void (*cpu_destroy)(KvmCpu *v);
    bool (*get)(KvmCpu *v, GError **error);       /* kernel → env */
    bool (*put)(KvmCpu *v, GError **error);       /* env → kernel */
    /* VM-wide state (clock, interrupt controllers), when all vCPUs have stopped or are about to run. */
    void (*vm_stopped)(void);
    void (*vm_resuming)(void);
    /* Big lock held, before running: what is pending for the vCPU as such. False: do not run. */
    bool (*prepare)(KvmCpu *v);
    /* No big lock, directly before and after KVM_RUN. pre_run false: leave the loop first. */
    bool (*pre_run)(KvmCpu *v);
    void (*post_run)(KvmCpu *v);
    KvmExit (*handle_exit)(KvmCpu *v);
    bool (*in_kernel_halt)(void);                 /* the kernel handles halts and start-up */
    /* Hardware breakpoints and watchpoints of the set into *dbg; v NULL: only asked whether they fit. False:
     * they do not. NULL: no debugging. */
    bool (*debug)(KvmCpu *v, struct kvm_guest_debug *dbg);
    const uint8_t *break_insn;                    /* software breakpoint */
    unsigned break_len;
} KvmCpuOps;

static inline KvmCpu *kvm_cpu(Cpu *cpu) { return cpu->kvm; }

/* ---- ioctl.c: every call to the kernel goes through here ---- */
/* 0 or a positive result, or -errno. */
#define kvm_ioctl(fd, request, arg) kvm_ioctl_fn((fd), (request), (uintptr_t)(arg))
/* Replaceable for tests. */
extern int (*kvm_ioctl_fn)(int fd, unsigned long request, uintptr_t arg);
extern int (*kvm_open_fn)(const char *device);    /* fd or -errno */
extern void *(*kvm_mmap_fn)(int fd, size_t size, off_t offset); /* MAP_FAILED and errno */
typedef struct { unsigned long request; const char *name; } KvmIoctl;
extern const KvmIoctl kvm_ioctls[];               /* all that are used */
extern const unsigned kvm_n_ioctls;
const char *kvm_ioctl_name(unsigned long request);
/* "KVM_CREATE_VCPU: Cannot allocate memory (remedy)"; false. `result` is -errno. */
bool kvm_error(GError **error, unsigned long request, int result);
/* Where nobody takes an error: "KVM_NMI: the interrupt is lost: …", once for each request in a VM's life. Any thread. */
void kvm_tell(unsigned long request, int result, const char *what);
void kvm_tell_again(void);

/* ---- kvm.c ---- */
extern int kvm_fd, kvm_vm_fd;
int kvm_cap(unsigned cap);                        /* KVM_CHECK_EXTENSION of the VM; 0: not there */
bool kvm_active(void);                            /* a VM exists */
bool kvm_vm_create(GError **error) WARN_UNUSED;
/* Everything given back; the vCPUs are gone before. For tests and exit. */
void kvm_vm_destroy(void);
bool kvm_vcpu_create(Cpu *cpu, GError **error) WARN_UNUSED;
void kvm_vcpu_destroy(Cpu *cpu);
void kvm_sync_out(Cpu *cpu);
/* No vCPU is in the guest between the two. Any thread, with or without the big lock, but not two nested. */
void kvm_inhibit_begin(void);
void kvm_inhibit_end(void);

const KvmCpuOps *kvm_target(void);                /* of the VM's vCPUs; NULL before the first */
/* Enter the guest until there is a reason to leave. No big lock; v's thread. */
void kvm_run_loop(KvmCpu *v);

/* The vCPU stands still from here on; its registers are shown, the machine goes to "internal-error". Big lock. */
void kvm_give_up(KvmCpu *v);

/* ---- debug.c ---- */
bool kvm_debug_changed(const DebugPoint *point, bool add);
void kvm_debug_running(bool running);             /* software breakpoints go into guest memory, and out of it */
bool kvm_debug_prepare(KvmCpu *v) WARN_UNUSED;    /* tell the kernel what to stop at; v's thread, outside the guest */
/* KVM_GUESTDBG_INJECT_*: what was caught is the guest's own. */
void kvm_debug_inject(KvmCpu *v, uint32_t what);
/* Past the breakpoints at pc. No big lock. False: back to the thread's loop. */
bool kvm_debug_step_over(KvmCpu *v, uint64_t pc) WARN_UNUSED;

/* ---- memory.c ---- */
#define KVM_SPACES 2
bool kvm_memory_init(GError **error) WARN_UNUSED;
/* What vCPUs see in a special mode, as the kernel's address space `number`; x86: 1, system management mode. */
bool kvm_memory_add_space(AddressSpace *as, unsigned number, GError **error) WARN_UNUSED;
void kvm_memory_destroy(void);
unsigned kvm_memory_slots_used(void);
/* Record the vCPUs' writes in the RAM blocks' bitmaps from now on; sync fetches them. */
bool kvm_dirty_log_start(GError **error) WARN_UNUSED;
/* The same for who takes all pages as written at first: no page needs to be protected before it was taken. */
bool kvm_dirty_log_start_all(GError **error) WARN_UNUSED;
void kvm_dirty_log_stop(void);
void kvm_dirty_log_sync(void);
void kvm_dirty_ring_reap(KvmCpu *v);              /* v's thread or v stopped */
/* For RamBlock.private_fd of this VM's RAM, before it is mapped; -errno. */
int kvm_private_memory_create(uint64_t size, GError **error) WARN_UNUSED;
extern uint32_t kvm_dirty_ring_entries;           /* 0: bitmap */
extern uint64_t kvm_slot_max;                     /* bytes in a slot; larger ranges take several */
/* ---- coalesced.c: regions whose writes the kernel gathers (memory_region_set_coalesced) ---- */
bool kvm_coalesced_init(GError **error) WARN_UNUSED;
void kvm_coalesced_destroy(void);
void kvm_coalesced_map(KvmCpu *v);                /* v's state page has the ring */
void kvm_coalesced_unmap(KvmCpu *v);              /* it goes */
/* Carry out what was gathered; any thread, with or without the big lock. */
void kvm_coalesced_flush(void);

/* ---- stats.c: the kernel's binary statistics (KVM_GET_STATS_FD) ---- */
/* Of vCPU cpu, or NULL: of the VM. */
bool kvm_stats(Cpu *cpu, void (*fn)(const AccelStat *stat, void *opaque), void *opaque, GError **error) WARN_UNUSED;
void kvm_stats_free(KvmStats *s);
extern KvmStats kvm_vm_stats;

/* ---- irq.c: GSI routes, MSI, irqfd, ioeventfd ---- */
void kvm_routes_init(unsigned gsis);              /* gsis below this are lines, MSI routes come after */
void kvm_routes_destroy(void);
void kvm_route_irqchip(unsigned gsi, unsigned chip, unsigned pin); /* adds */
void kvm_route_msi_set(unsigned gsi, const MsiMessage *m); /* replaces */
/* A route for one message vector: its gsi, or -1 when the kernel's table is full. */
int kvm_route_msi_add(const MsiMessage *m);
void kvm_route_release(unsigned gsi);
/* Changes between begin and commit reach the kernel at once. */
void kvm_routes_begin(void);
bool kvm_routes_commit(GError **error) WARN_UNUSED;
int kvm_irq_line(unsigned gsi, bool level);
int kvm_signal_msi(const MsiMessage *m); /* > 0: delivered, 0: blocked by the guest */
/* Eventfd `fd` raises gsi; `resample` (or -1) is signalled at the end of a level interrupt. */
bool kvm_irqfd_add(unsigned gsi, int fd, int resample, GError **error) WARN_UNUSED;
void kvm_irqfd_del(unsigned gsi, int fd);
extern const AccelIrqfdOps kvm_irqfd_ops;
bool kvm_eventfd_init(GError **error) WARN_UNUSED; /* listens for memory_region_add_eventfd */
void kvm_eventfd_destroy(void);
