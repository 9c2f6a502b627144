/*
 * hw/core/machine.h: machine types and the configuration a machine is built from.
 *
 * A machine is a type under "machine" (OBJECT_TYPE with .parent = "machine") whose .ops is a
 * MachineOps. The command line fills MachineConfig and the machine object's properties, then calls
 * machine_start: create → build (devices from the machine's table) → load the kernel → first reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "hw/core/device.h"
#include "accel/accel.h"
#include "chardev/chardev.h"
#include "hw/core/clock.h"

#define MAX_SERIAL_PORTS 4

#define MAX_NUMA_NODES 128
/* Memory and CPUs by NUMA node. */
typedef struct NumaConfig {
    unsigned count;                    /* of nodes; 0: the machine has none */
    uint64_t mem[MAX_NUMA_NODES];      /* bytes; together ram_size */
    char *memdev[MAX_NUMA_NODES];      /* ids of the memory backends: of all nodes, or NULL for all */
    uint8_t *cpu_node;                 /* of each of max_cpus CPUs */
    bool has_distances;
    uint8_t distance[MAX_NUMA_NODES][MAX_NUMA_NODES]; /* from, to; 10: itself */
} NumaConfig;

/* What the command line asked for; owned by system/, read by machines. */
typedef struct MachineConfig {
    const char *arch;                  /* the guest's, by argv[0] */
    uint64_t ram_size;                 /* bytes; -m */
    bool ram_size_given;
    unsigned cpus, max_cpus;           /* -smp */
    unsigned sockets, dies, cores, threads;
    NumaConfig numa;
    const char *cpu_model;             /* "-cpu" text: "max,+avx2,-pku"; NULL: the machine's default */
    const char *kernel, *initrd, *append, *dtb, *bios; /* NULL if not given */
    bool may_idle;                     /* somebody drives it: with nothing to boot, its CPUs stay halted */
    Chardev *serial[MAX_SERIAL_PORTS]; /* NULL: port not present */
    bool no_defaults;
    const char *name;                  /* -name */
    uint8_t uuid[16];
    bool uuid_set;
    int64_t rtc_offset_s;              /* guest RTC minus host UTC at start */
    bool rtc_localtime;
    ClockKind rtc_clock;
    bool no_acpi, no_hpet;
    bool no_graphics;                  /* -nographic / -display none */
} MachineConfig;
extern MachineConfig machine_config;

typedef struct Machine Machine;
typedef struct BoardWires BoardWires;
typedef struct MachineOps {
    const char *arch;                  /* NULL: any. "x86_64"; CpuClass arch; argv0 qemu-system-ARCH selects */
    const char *default_cpu;           /* "qemu64" */
    const char *default_ram_id;        /* "pc.ram" */
    uint64_t default_ram_size;
    unsigned max_cpus;
    bool numa;                         /* shows its guest the nodes of MachineConfig.numa */
    bool bare;                         /* boots nothing, and has memory only if -m or memory-backend= says so */
    bool is_default;                   /* of its arch */
    const char *deprecated;
    /* Build the board: RAM, CPUs, devices. */
    bool (*build)(Machine *m, GError **error);
    /* Once all of -device is there: firmware tables, kernel. May be NULL. */
    bool (*finish)(Machine *m, GError **error);
    /* After machine_reset_devices: e.g. put the boot CPU at the kernel's entry. */
    void (*reset)(Machine *m);
    /* Resolve "-cpu" text into a new, unrealized Cpu. */
    Cpu *(*cpu_new)(const char *model, GError **error);
    void (*cpu_help)(FILE *out);       /* "-cpu help" */
    /* Who takes part when a device that is on no bus comes and goes (hw/core/bus.h). NULL, or NULL for this device: nobody. */
    const struct HotplugHandler *(*hotplug)(Machine *m, Device *dev);
} MachineOps;

struct Machine {
    Object obj;
    const MachineOps *ops;
    MachineConfig *config;
    MemoryRegion system_memory, system_io; /* roots of address_space_memory / _io */
    MemoryRegion ram;                      /* all of -m, mapped by the machine through aliases */
    MemoryRegion *node_ram;                /* its parts in order, if NUMA nodes have their own backends */
    char *accel;                           /* "kvm:tcg"; NULL: not said */
    char *memory_backend;                  /* id; NULL: the machine makes its own */
    bool dump_guest_core, mem_merge;
    BoardWires *wires;                     /* lines by name (hw/core/board.h); NULL: it has none */
};
#define MACHINE(o) ((Machine *)(o))

/* The machine's type is found by its name with or without "-machine", or its alias. machine_build
 * selects the accelerator unless that was done, makes the address spaces and `ram`, and then calls
 * ops->build; it does not reset: the caller does, with machine_reset. */
/* `options` is the -machine text: "pc,accel=tcg,hpet=off". Unknown machine or property: error that
 * lists what is valid. */
Machine *machine_new(const char *type_name, GError **error) WARN_UNUSED;
bool machine_build(Machine *m, GError **error) WARN_UNUSED;
bool machine_finish(Machine *m, GError **error) WARN_UNUSED; /* after -device, before the first reset */
void machine_reset(Machine *m); /* devices, CPUs, then ops->reset; caller: big lock, vCPUs stopped */
Machine *machine_current(void); /* from machine_new on */
/* The power button: devices that hear of it, and pressing it. */
void powerdown_notifier_add(void (*fn)(void *opaque), void *opaque);
void powerdown_notifier_remove(void (*fn)(void *opaque), void *opaque);
void machine_powerdown(void);
void machine_list_help(const char *arch, FILE *out);
/* "-machine pc,help" */
bool machine_type_help(const char *name, FILE *out, GError **error) WARN_UNUSED;

/* ---- file loading (hw/core/loader.c) ---- */
/* Whole file into memory; NULL + error naming path. limit 0: none. */
uint8_t *load_file(const char *path, uint64_t limit, size_t *size, GError **error) WARN_UNUSED;
/* Bytes that are placed in guest memory at every reset. Takes a copy. Refuses overlaps. */
bool rom_add_blob(const char *name, const void *data, size_t size, hwaddr addr, GError **error) WARN_UNUSED;
void rom_reset_all(void);
void rom_foreach(void (*fn)(const char *name, uint64_t addr, uint64_t size, void *opaque), void *opaque);
