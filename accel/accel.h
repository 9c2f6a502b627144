/*
 * accel/accel.h: what a machine sees of an accelerator, and the vCPU object.
 *
 * A Cpu is created by the machine with a CPU type ("qemu64-x86_64-cpu"); cpu_realize asks the
 * accelerator to set it up and starts its thread, stopped. The thread runs
 *     while (!quit) { wait until runnable; accel->cpu_exec(cpu); handle the exit; }
 * Machines and devices never ask which accelerator runs; they ask for capabilities.
 *
 * Locking: cpu_kick, cpu_interrupt_set and cpu_request are safe from any thread. A vCPU thread holds
 * the big lock except while executing guest code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"
#include <pthread.h>
#include "hw/core/device.h"
#include "hw/core/msi.h"

typedef struct Cpu Cpu;
typedef struct CpuClass CpuClass;
typedef struct Accel Accel;
typedef struct DebugPoint DebugPoint; /* accel/debug.h */

/* Bits of Cpu.interrupt_request. Targets define the rest from CPU_INTERRUPT_TARGET up. */
#define CPU_INTERRUPT_HARD   (1u << 0) /* an external interrupt is pending */
#define CPU_INTERRUPT_EXIT   (1u << 1) /* leave the execution loop (see exit_request) */
#define CPU_INTERRUPT_TARGET (1u << 8)

struct Cpu {
    Device dev;
    unsigned index;
    const CpuClass *cc;
    struct CpuArchState *env;      /* the target's state, inside the subclass instance */
    AddressSpace *as;

    /* thread and run control; guarded by the big lock unless atomic */
    GThread *thread;
    int thread_id;                 /* host tid */
    pthread_cond_t halt_cond;      /* with sleep_lock; see cpus.c */
    pthread_mutex_t sleep_lock;
    bool sleeping;                 /* atomic */
    bool woken;                    /* sleep_lock */
    bool running;                  /* atomic: between cpu_exec_start and cpu_exec_end */
    bool created, stop, stopped, unplug;
    bool halted;                   /* guest is in HLT/WFI: wait for an interrupt */
    uint32_t interrupt_request;    /* atomic */
    uint32_t saved_request;        /* in saved state: without what follows from the rest of it */
    uint32_t exit_request;         /* atomic; non-zero makes generated code return soon */
    GQueue *work;                  /* see cpu_run_on */
    struct {                       /* accel/debug.h; big lock */
        uint8_t step;              /* DEBUG_STEP_*: go on for one instruction */
        uint8_t reason;            /* DebugKind: why it stopped itself */
        bool held;                 /* stays stopped when the others go on */
        bool pass;                 /* the breakpoint at PC was reported: go past it */
        uint64_t va;               /* what was hit */
    } debug;
    void *accel_data;              /* the translator's own; NULL under another accelerator */
    struct KvmCpu *kvm;            /* accel/kvm's own */
};
#define CPU(o) ((Cpu *)(o))

/* A range of virtual addresses and where it is in physical memory. */
typedef void CpuCoreMapping(uint64_t va, hwaddr pa, uint64_t size, void *opaque);

/* A word of features: where it is (subleaf -1: none), its value, and what was asked for and not to be had. */
typedef void CpuWordFn(uint32_t leaf, int subleaf, const char *reg, uint32_t value, uint32_t filtered, void *opaque);
/* A property of a CPU that is a text, or (text is NULL) a number; type is the name that clients know for its kind. */
typedef void CpuValueFn(const char *name, const char *type, const char *text, int64_t number, void *opaque);

/* An error that hardware found, as mce injects it; the values are those of the architecture's registers. */
typedef struct MachineCheck {
    unsigned bank;
    uint64_t status, global_status, addr, misc;
} MachineCheck;

/* What a target provides. All targets live in one binary; nothing else is compiled per target. */
struct CpuClass {
    const char *arch;              /* "x86_64" */
    bool (*init)(Cpu *cpu, GError **error);         /* after properties, before the thread starts */
    void (*destroy)(Cpu *cpu);
    void (*reset)(Cpu *cpu);                        /* power-on state */
    bool (*has_work)(Cpu *cpu);                     /* a halted vCPU must wake */
    bool (*halted_for_good)(Cpu *cpu);              /* no interrupt can wake a halted vCPU. NULL: unknown */
    void (*set_pc)(Cpu *cpu, uint64_t pc);
    uint64_t (*get_pc)(Cpu *cpu);
    void (*dump)(Cpu *cpu, GString *out);           /* info registers */
    const StateDesc *state;                         /* of env */
    uint32_t derived_requests;                      /* target bits of interrupt_request that loading sets anew */
    /* guest virtual → physical for debuggers; false if unmapped */
    bool (*debug_translate)(Cpu *cpu, uint64_t va, hwaddr *pa);
    /* The page tables as text: each page, or ranges of equal rights. NULL: cannot. The vCPU stands still. */
    void (*show_pages)(Cpu *cpu, GString *out, bool ranges);
    /* Append the instruction at `bytes` as text; its length. NULL: cannot. */
    unsigned (*disassemble)(Cpu *cpu, uint64_t pc, const uint8_t *bytes, unsigned len, GString *out);
    void (*nmi)(Cpu *cpu);                          /* non-maskable interrupt; NULL: has none */
    /* Called in the vCPU's thread. NULL: the architecture has no such thing. */
    bool (*machine_check)(Cpu *cpu, const MachineCheck *mc, GError **error);
    /* CPU models, for monitors. NULL: there are none. */
    const char *(*model_nth)(unsigned i);           /* NULL past the last */
    char *(*model_alias_of)(const char *name);      /* the model that it is another name of, or NULL; caller frees */
    Cpu *(*model_new)(const char *text, GError **error); /* "-cpu" text to an unrealized CPU */
    void (*model_missing)(const char *model, void (*fn)(const char *feature, void *opaque), void *opaque);
    /* Features that this CPU should have had, and that are not to be had. */
    void (*filtered)(Cpu *cpu, void (*fn)(const char *feature, void *opaque), void *opaque);
    void (*words)(Cpu *cpu, CpuWordFn *fn, void *opaque);
    void (*features)(Cpu *cpu, void (*fn)(const char *name, bool on, void *opaque), void *opaque);
    /* What else -cpu takes as on or off: other names of features, switches. */
    void (*flags)(Cpu *cpu, void (*fn)(const char *name, bool on, void *opaque), void *opaque);
    /* What says which processor it is, so that this and all features make the same CPU of any model. */
    void (*identity)(Cpu *cpu, CpuValueFn *fn, void *opaque);
    /* What else -cpu takes as a text or a number. */
    void (*values)(Cpu *cpu, CpuValueFn *fn, void *opaque);
    const struct TcgCpuOps *tcg;                    /* accel/tcg/tcg.h; NULL: not under TCG */
    const struct KvmCpuOps *kvm;                    /* accel/kvm/kvm.h; NULL: not under KVM */
    const struct GdbTarget *gdb;                    /* accel/debug.h; NULL: not for debuggers */
    /* For memory dumps; the vCPU is stopped and its state fetched. */
    uint16_t core_machine;                          /* ELF's number of the architecture */
    void (*core_notes)(Cpu *cpu, GByteArray *out);  /* append ELF notes; NULL: no dumps */
    /* What the page tables map, in no order; *root names them, and the same root again needs no answer (UINT64_MAX:
     * paging is off). False: they have no end. */
    bool (*core_mappings)(Cpu *cpu, CpuCoreMapping *fn, void *opaque, uint64_t *root);
};

/* Interrupt controllers in the host kernel: all of them, none, or only the local ones. In the order of
 * the values of "kernel-irqchip". */
typedef enum { IRQCHIP_AUTO, IRQCHIP_ON, IRQCHIP_OFF, IRQCHIP_SPLIT } IrqchipMode;

/* System management mode; AUTO: where the accelerator has it. In the order of the values of "smm". */
typedef enum { SMM_AUTO, SMM_ON, SMM_OFF } SmmMode;

struct IrqTable;
struct AccelPlatform;
/* What a board does for an accelerator whose kernel can have some of its interrupt controllers. */
typedef struct IrqChipHost {
    /* Once per VM, for all modes; mode is not AUTO. Says by irqchip_use which parts are where. */
    bool (*create)(const struct AccelPlatform *platform, IrqchipMode mode, GError **error);
    void (*stopped)(void);           /* the kernel's state into the models */
    void (*resuming)(void);          /* and back */
    void (*ended)(uint8_t vector);   /* the kernel reports the end of an interrupt that came by a message */
} IrqChipHost;

/* What the machine has that an accelerator may put into the host kernel, and what it asks of it. */
typedef struct AccelPlatform {
    const struct IrqTable *irqs;   /* hw/core/irq_table.h; not needed where all controllers are the machine's own */
    const IrqChipHost *controllers; /* NULL: none of them can be the kernel's */
    IrqchipMode irqchip;           /* AUTO: as the accelerator likes */
    SmmMode smm;
    bool pic, pit;
    uint32_t bus_lock_ratelimit;   /* bus locks of the guest in a second; 0: no limit */
} AccelPlatform;

/* Interrupts from file descriptors without a way through user space; accel/irqfd.h is how devices use it. A route is
 * where a message goes. */
typedef struct {
    bool (*available)(void);       /* now that the platform is known */
    int (*route_add)(const MsiMessage *m); /* -1: there are no more */
    void (*route_set)(int route, const MsiMessage *m);
    void (*route_del)(int route);
    void (*begin)(void);           /* changes of routes from begin to commit are one; nest */
    bool (*commit)(GError **error);
    bool (*fd_add)(int route, int fd, int resample, GError **error);
    void (*fd_del)(int route, int fd);
} AccelIrqfdOps;

/* One statistic of a vCPU or the VM. The numbers of type and unit are those of qapi/stats.json. */
typedef struct {
    const char *name;
    uint8_t type;                  /* cumulative, instant, peak, linear and log2 histogram */
    uint8_t unit;                  /* 0: plain number; else 1 + bytes, seconds, cycles, boolean */
    uint8_t base;                  /* the value counts base ^ exponent units */
    int16_t exponent;
    uint32_t bucket_size;          /* of linear histograms */
    unsigned count;                /* values; 1 unless it is a histogram */
    const uint64_t *values;
} AccelStat;

struct Accel {
    const char *name, *summary;
    bool (*available)(GError **error);              /* can it run here? the reason if not */
    bool (*init)(GError **error);                   /* once per VM; properties were set */
    bool (*cpu_init)(Cpu *cpu, GError **error);
    void (*cpu_destroy)(Cpu *cpu);
    /* Run guest code until there is a reason to come back. Called and returns with the big lock
     * held; releases it inside. */
    void (*cpu_exec)(Cpu *cpu);
    void (*cpu_kick)(Cpu *cpu);                     /* make cpu_exec return soon; any thread */
    void (*cpu_sync_out)(Cpu *cpu);                 /* make cpu->env current (vCPU stopped) */
    void (*cpu_sync_in)(Cpu *cpu);                  /* env was changed */
    void (*set_running)(bool running);
    /* This debug point was added to the set or (add false) taken away; all vCPUs are outside guest code.
     * False: it cannot be added. NULL: no debugging. */
    bool (*debug_changed)(const DebugPoint *point, bool add);
    void (*all_stopped)(void);                      /* cpus_pause is done: fetch all state. May be NULL */
    /* The machine has CPUs of this class and such a platform; called before the first CPU is made. May be
     * NULL: then everything is the machine's own. */
    bool (*platform_init)(const CpuClass *cc, const AccelPlatform *platform, GError **error);
    bool kernel_irqchip;                            /* the local ones (and so halting) are the kernel's */
    /* Call fn for each statistic of cpu (NULL: of the VM). Big lock. NULL: there are none. */
    bool (*stats)(Cpu *cpu, void (*fn)(const AccelStat *stat, void *opaque), void *opaque, GError **error);
    const AccelIrqfdOps *irqfd;                     /* NULL: none */
    void (*set_one_insn_per_tb)(bool on);           /* instructions one by one, to be seen by -d. NULL: cannot */
    PropertyList props;
    void *props_base;                               /* what the properties' offsets refer to */
};
#define ACCEL_TYPE(ident, ...) \
    static const Accel ident##_accel = { __VA_ARGS__ }; \
    static const Accel *const ident##_accel_entry_ SECTION_ENTRY("rhea_accels") = &ident##_accel
/* Choices in the order of preference: texts as after -accel, "kvm,dirty-ring-size=4096" or "kvm:tcg". Free the array. */
GPtrArray *accel_choices_new(void);
bool accel_choices_add(GPtrArray *choices, const char *text, GError **error) WARN_UNUSED;
/* The first of them that can run here, with one line that says why those before it cannot. Properties of all are checked
 * first. option: what the user typed, for errors. */
bool accel_choose(const char *option, GPtrArray *choices, GError **error) WARN_UNUSED;
/* As "-accel text" does. */
bool accel_select(const char *text, GError **error) WARN_UNUSED;
const Accel *accel_current(void);
/* Initialise the chosen one (tcg if none was) after its properties were set. machine_build does it. */
bool accel_start(GError **error) WARN_UNUSED;
/* Of the selected accelerator. */
bool accel_property_set(const char *name, const char *value, GError **error) WARN_UNUSED;
void accel_list_help(FILE *out);
void accel_foreach(void (*fn)(const Accel *accel, void *opaque), void *opaque);
void accel_help(const char *name, FILE *out);       /* "-accel tcg,help" */

/* ---- vCPUs ---- */
const CpuClass *cpu_class_of_arch(const char *arch); /* NULL: no such CPUs here */
extern GPtrArray *cpus;                 /* of Cpu*, by index; changed under the big lock */
extern __thread Cpu *current_cpu;
/* cpu types descend from "cpu" and give their CpuClass as .ops. Its realize (inherited) makes the
 * thread; a type with a .realize of its own may leave that to cpu_realize. Big lock held. */
bool cpu_realize(Cpu *cpu, GError **error) WARN_UNUSED;
/* Make the vCPU look at interrupt_request and exit_request soon. */
void cpu_kick(Cpu *cpu);
void cpu_interrupt_set(Cpu *cpu, uint32_t bits);   /* set bits, then kick */
void cpu_interrupt_clear(Cpu *cpu, uint32_t bits);
static inline uint32_t cpu_interrupt_pending(const Cpu *cpu) { return __atomic_load_n(&cpu->interrupt_request, __ATOMIC_ACQUIRE); }
/* Run fn in the vCPU's thread, outside guest code; wait = until done. Caller holds the big lock. */
void cpu_run_on(Cpu *cpu, void (*fn)(Cpu *cpu, void *data), void *data, bool wait);
/* Run fn while no vCPU executes guest code; from a vCPU thread (also amid guest code, from a helper) or
 * any other. The big lock, if the caller holds it, is dropped while waiting and held again for fn. */
void cpu_run_exclusive(void (*fn)(void *data), void *data);
/* The same for a stretch of code of the vCPU's own thread, between cpu_exec_start and cpu_exec_end, without the big lock. */
void cpu_exclusive_begin(Cpu *cpu);
void cpu_exclusive_end(Cpu *cpu);
void cpus_pause(void);   /* returns when all stopped */
void cpus_resume(void);
bool cpus_nmi(void);     /* a non-maskable interrupt to all; false: none can take it */
/* Called around guest code by the accelerator, for cpu_run_exclusive. */
void cpu_exec_start(Cpu *cpu);
void cpu_exec_end(Cpu *cpu);

/* ---- requests from guests to the machine; the main loop acts. Any thread. ---- */
typedef enum { SHUTDOWN_NONE, SHUTDOWN_GUEST_SHUTDOWN, SHUTDOWN_GUEST_RESET, SHUTDOWN_GUEST_PANIC,
               SHUTDOWN_HOST_SIGNAL, SHUTDOWN_HOST_QMP_QUIT, SHUTDOWN_HOST_QMP_RESET, SHUTDOWN_HOST_ERROR,
               SHUTDOWN_HOST_UI, SHUTDOWN_SUBSYSTEM_RESET } ShutdownCause;
void system_reset_request(ShutdownCause cause);
void system_shutdown_request(ShutdownCause cause);
void system_shutdown_with_code(ShutdownCause cause, int exit_code); /* isa-debug-exit */
void system_powerdown_request(void);                                /* press the power button */
void system_internal_error_request(Cpu *cpu);                       /* it cannot go on: run state internal-error */
void system_watchdog_request(void);                                 /* it expired: the user's choice follows */
void system_debug_request(Cpu *cpu);                                /* breakpoint hit */
