/*
 * hw/core/device.h: objects, properties, saved state, register tables, devices.
 *
 * A type is one static const record; DEVICE_TYPE() / OBJECT_TYPE() put its address in the linker
 * section `rhea_types`, so adding a device is one file and one meson line. Instances form the
 * composition tree (/machine/peripheral/net0, /machine/unattached/device[3], /chardevs/serial0).
 *
 *     struct Pl031 { Device dev; uint32_t match, mask, status; uint64_t tick_offset; char *note; };
 *     static const Reg pl031_regs[] = {
 *         REG_RD(0x00, "RTCDR",  4, .read = pl031_count),
 *         REG   (0x04, "RTCMR",  Pl031, match, .after = pl031_rearm),
 *         REG_WO(0x1c, "RTCICR", Pl031, status, .w1c = 1, .after = pl031_update),
 *     };
 *     static const Property pl031_props[] = { PROP_STRING("note", Pl031, note, NULL, "free text"), };
 *     static const StateField pl031_state[] = { STATE_U64(Pl031, tick_offset), };
 *     DEVICE_TYPE(pl031, Pl031, .summary = "ARM PL031 RTC", .regs = REGS(pl031_regs, 0x1000),
 *                 .irqs_out = 1, .props = PROPS(pl031_props), .state = STATE(1, pl031_state),
 *                 .realize = pl031_realize);
 *
 * Life cycle: device_new → property_set* → device_realize → reset (enter, hold, exit) … →
 * device_unrealize → object_unref. Realize succeeds or leaves nothing behind.
 * Locking: everything here needs the big lock unless said otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once
#include "util/osdep.h"
#include "util/keyval.h"
#include "util/parse.h"
#include "hw/core/irq.h"
#include "memory/memory.h"

typedef struct Object Object;
typedef struct ObjectType ObjectType;
typedef struct Device Device;
typedef struct Bus Bus;

/* ---- properties ---- */
typedef enum {
    PROPERTY_BOOL, PROPERTY_U8, PROPERTY_U16, PROPERTY_U32, PROPERTY_U64, PROPERTY_I32, PROPERTY_I64,
    PROPERTY_SIZE,    /* uint64_t; text with K/M/G/T suffix */
    PROPERTY_STRING,  /* char *, owned */
    PROPERTY_ENUM,    /* int; names in .names */
    PROPERTY_LINK,    /* Object *; text is a path or id; .names[0] is the required type */
    PROPERTY_CHARDEV, /* an embedded struct ChardevFrontend (chardev/chardev.h); text is a chardev id.
                       * Setting it fills .chr; the device connects in realize. */
    PROPERTY_CUSTOM,  /* .get/.set do it all */
    PROPERTY_JSON,    /* so do they here; the text is JSON, and names[0] the name of its type */
} PropertyKind;

typedef struct Property {
    const char *name;
    PropertyKind kind;
    size_t offset;                 /* of the field in the instance */
    union { int64_t num; const char *str; } def; /* default; bool as num */
    const char *help;
    const char *const *names;      /* ENUM: value names, NULL-terminated; LINK: {type} */
    bool late;                     /* may be changed after realize */
    /* CUSTOM, or an extra check after a standard set. Text form in and out. */
    bool (*set)(Object *obj, const struct Property *p, const char *text, GError **error);
    char *(*get)(Object *obj, const struct Property *p);
} Property;
typedef struct { const Property *p; unsigned n; } PropertyList;
#define PROPS(array) { array, ARRAY_SIZE(array) }
#define PROP_BOOL(nm, T, f, d, h)   { .name = nm, .kind = PROPERTY_BOOL,   .offset = offsetof(T, f), .def.num = d, .help = h }
#define PROP_U8(nm, T, f, d, h)     { .name = nm, .kind = PROPERTY_U8,     .offset = offsetof(T, f), .def.num = d, .help = h }
#define PROP_U16(nm, T, f, d, h)    { .name = nm, .kind = PROPERTY_U16,    .offset = offsetof(T, f), .def.num = d, .help = h }
#define PROP_U32(nm, T, f, d, h)    { .name = nm, .kind = PROPERTY_U32,    .offset = offsetof(T, f), .def.num = d, .help = h }
#define PROP_U64(nm, T, f, d, h)    { .name = nm, .kind = PROPERTY_U64,    .offset = offsetof(T, f), .def.num = d, .help = h }
#define PROP_I32(nm, T, f, d, h)    { .name = nm, .kind = PROPERTY_I32,    .offset = offsetof(T, f), .def.num = d, .help = h }
#define PROP_SIZE(nm, T, f, d, h)   { .name = nm, .kind = PROPERTY_SIZE,   .offset = offsetof(T, f), .def.num = d, .help = h }
#define PROP_STRING(nm, T, f, d, h) { .name = nm, .kind = PROPERTY_STRING, .offset = offsetof(T, f), .def.str = d, .help = h }
#define PROP_ENUM(nm, T, f, nms, d, h) \
    { .name = nm, .kind = PROPERTY_ENUM, .offset = offsetof(T, f), .names = nms, .def.num = d, \
    .help = h }
#define PROP_LINK(nm, T, f, tp, h) \
    { .name = nm, .kind = PROPERTY_LINK, .offset = offsetof(T, f), \
    .names = (const char *const[]){tp, NULL}, .help = h }
#define PROP_CUSTOM(nm, setter, getter, h) { .name = nm, .kind = PROPERTY_CUSTOM, .set = setter, .get = getter, .help = h }
#define PROP_CHARDEV(nm, T, f, h)   { .name = nm, .kind = PROPERTY_CHARDEV, .offset = offsetof(T, f), .help = h }

/* ---- saved state ---- */
typedef enum {
    STATE_KIND_INT,    /* size 1, 2, 4 or 8, or bool */
    STATE_KIND_ARRAY,  /* num ints of `size` bytes */
    STATE_KIND_BUFFER, /* size raw bytes */
    STATE_KIND_STRUCT, /* sub-struct described by .sub, num of them, stride size */
    STATE_KIND_TIMER,  /* struct Timer: its deadline */
} StateKind;
typedef struct StateField {
    const char *name;
    StateKind kind;
    size_t offset;
    uint32_t size, num;
    uint16_t since;                 /* present from this version of the section on; 0 = always */
    bool boolean;                   /* ints that may be 0 and 1 only */
    const struct StateDesc *sub;
} StateField;
typedef struct StateDesc {
    const char *name;               /* section name; NULL: the type's name */
    uint16_t version, min_version;
    const StateField *fields;
    unsigned count;
    bool (*needed)(void *obj);      /* optional section: written only if true; NULL = always */
    void (*pre_save)(void *obj);
    bool (*post_load)(void *obj, unsigned version, GError **error); /* validates what was loaded */
    const struct StateDesc *const *subsections; /* NULL-terminated */
} StateDesc;
#define STATE_INT_(T, f) \
    { .name = #f, .kind = STATE_KIND_INT, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), \
    .num = 1, .boolean = STATE_IS_BOOL_(((T *)0)->f) }
#define STATE_IS_BOOL_(x)       __builtin_types_compatible_p(__typeof__(x), bool)
#define STATE_U8(T, f)   STATE_INT_(T, f)
#define STATE_U16(T, f)  STATE_INT_(T, f)
#define STATE_U32(T, f)  STATE_INT_(T, f)
#define STATE_U64(T, f)  STATE_INT_(T, f)
#define STATE_I32(T, f)  STATE_INT_(T, f)
#define STATE_I64(T, f)  STATE_INT_(T, f)
#define STATE_BOOL(T, f) STATE_INT_(T, f)
#define STATE_ARRAY(T, f) \
    { .name = #f, .kind = STATE_KIND_ARRAY, .offset = offsetof(T, f), \
    .size = sizeof(((T *)0)->f[0]), .num = ARRAY_SIZE(((T *)0)->f), \
    .boolean = STATE_IS_BOOL_(((T *)0)->f[0]) }
#define STATE_BUFFER(T, f) { .name = #f, .kind = STATE_KIND_BUFFER, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), .num = 1 }
#define STATE_STRUCT(T, f, d) \
    { .name = #f, .kind = STATE_KIND_STRUCT, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), \
    .num = 1, .sub = &(d) }
#define STATE_STRUCT_ARRAY(T, f, d) \
    { .name = #f, .kind = STATE_KIND_STRUCT, .offset = offsetof(T, f), \
    .size = sizeof(((T *)0)->f[0]), .num = ARRAY_SIZE(((T *)0)->f), .sub = &(d) }
#define STATE_TIMER(T, f)  { .name = #f, .kind = STATE_KIND_TIMER, .offset = offsetof(T, f), .size = sizeof(((T *)0)->f), .num = 1 }
/* In a DEVICE_TYPE: .state = STATE(version, fields, .post_load = …) */
#define STATE(ver, arr, ...) { .version = ver, .fields = arr, .count = ARRAY_SIZE(arr), ##__VA_ARGS__ }

/* Serialise or load one object's state. The encoding is self-describing (field names and sizes), and
 * loading checks everything; a mismatch is an error that names section and field. */
void state_save(const StateDesc *desc, const char *section, void *obj, GByteArray *out);
bool state_load(const StateDesc *desc, const char *section, void *obj, const uint8_t *data, size_t len, GError **error) WARN_UNUSED;
/* Whole machine: the virtual clock, registered state, every realized device in tree order. The machine
 * stands still; whoever calls has the accelerator's registers synchronized (migration/machine_file.h does
 * all that, and RAM). After a failed load the machine's state is anything: it must not run. */
void machine_state_save(GByteArray *out);
bool machine_state_load(const uint8_t *data, size_t len, GError **error) WARN_UNUSED;
/* One device: its register files and the state of each type in its chain. Load errors name the device. */
void device_state_save(Device *dev, GByteArray *out);
bool device_state_load(Device *dev, const uint8_t *data, size_t len, GError **error) WARN_UNUSED;
/* State that is not a device's (CPUs register here). */
void state_register(const char *section, unsigned instance, const StateDesc *desc, void *obj);
void state_unregister(void *obj);

/* ---- register tables ---- */
typedef struct Reg {
    uint32_t offset;
    const char *name;       /* specification name */
    int32_t field;          /* offset of the struct member, -1 if none */
    uint8_t size;           /* bytes, 1..8 */
    uint8_t count;          /* array of registers `size` apart (member is an array); 0 = 1 */
    bool no_read, no_write; /* write-only reads as zero; writes to read-only are guest errors */
    uint64_t ro;            /* bits that writes do not change */
    uint64_t w1c;           /* bits that are cleared by writing 1 (and not otherwise changed) */
    uint64_t reset;         /* value at reset */
    uint64_t (*read)(void *dev, const struct Reg *r, unsigned index);          /* instead of the member */
    void (*write)(void *dev, const struct Reg *r, unsigned index, uint64_t v); /* instead of the member */
    void (*after)(void *dev);                                                  /* after the member was written */
} Reg;
typedef struct { const Reg *rows; unsigned n; uint64_t size; MemoryRegionOps access; } RegTable;
#define REGS(array, sz, ...) { .rows = array, .n = ARRAY_SIZE(array), .size = sz, ##__VA_ARGS__ }
#define REG(off, nm, T, f, ...) { .offset = off, .name = nm, .field = offsetof(T, f), .size = sizeof(((T *)0)->f), ##__VA_ARGS__ }
/* An array member: one register per element. */
#define REG_ARRAY(off, nm, T, f, ...) \
    { .offset = off, .name = nm, .field = offsetof(T, f), .size = sizeof(((T *)0)->f[0]), \
    .count = ARRAY_SIZE(((T *)0)->f), ##__VA_ARGS__ }
#define REG_RO(off, nm, T, f, ...) \
    { .offset = off, .name = nm, .field = offsetof(T, f), .size = sizeof(((T *)0)->f), \
    .no_write = true, ##__VA_ARGS__ }
#define REG_WO(off, nm, T, f, ...) \
    { .offset = off, .name = nm, .field = offsetof(T, f), .size = sizeof(((T *)0)->f), \
    .no_read = true, ##__VA_ARGS__ }
#define REG_RD(off, nm, sz, ...) { .offset = off, .name = nm, .field = -1, .size = sz, .no_write = true, ##__VA_ARGS__ }
#define REG_FN(off, nm, sz, ...) { .offset = off, .name = nm, .field = -1, .size = sz, ##__VA_ARGS__ }
/* An MMIO (or PIO) region of dev that dispatches by the table. The table's members are reset and saved
 * with the device. device_realize does this for the type's own .regs before .realize is called. */
void device_init_regs(Device *dev, MemoryRegion *mr, const RegTable *table, const char *name);

/* ---- types ---- */
struct ObjectType {
    const char *name;     /* "isa-serial", as -device and qom-list-types know it */
    const char *alias;    /* second name, or NULL */
    const char *parent;   /* "device" for devices unless said; NULL for roots */
    const char *summary;
    size_t size;          /* sizeof the instance */
    const char *category; /* heading in "-device help" ("Input", "Storage"); NULL: Misc */
    bool abstract;
    PropertyList props;   /* own ones; the parents' are inherited */
    void (*init)(Object *obj);     /* after defaults are set */
    void (*finalize)(Object *obj);
    const void *ops;      /* class record of the family (CpuClass, MachineType…); NULL: the parent's */
    bool (*complete)(Object *obj, GError **error); /* -object: after all properties are set */

    /* Devices: */
    bool user_creatable;  /* -device accepts it */
    const char *bus;      /* kind of bus it plugs into ("isa"), NULL: wired by the machine */
    RegTable regs;        /* its register file: dev->mmio[0] */
    unsigned irqs_out;    /* output lines, dev->irq_out[] */
    unsigned irqs_in;     /* input lines; irq_in is called. Types whose properties say how many: device_size_irqs */
    void (*irq_in)(Device *dev, unsigned line, bool level);
    StateDesc state;
    bool (*realize)(Device *dev, GError **error);
    void (*unrealize)(Device *dev);
    void (*reset_enter)(Device *dev); /* own state back to power-on; touch nobody else */
    void (*reset_hold)(Device *dev);  /* drive outputs */
    void (*reset_exit)(Device *dev);  /* start acting */
    void (*fdt)(Device *dev, void *fdt);
    void (*acpi)(Device *dev, void *aml); /* adds its Device() to the DSDT; see hw/acpi/aml.h */
};
#define TYPE_SECTION_(ident, record) \
    static const ObjectType *const ident##_type_entry_ SECTION_ENTRY("rhea_types") = &(record)
#define OBJECT_TYPE(ident, T, ...) \
    static const ObjectType ident##_type = { .size = sizeof(T), __VA_ARGS__ }; TYPE_SECTION_(ident, ident##_type)
/* DEVICE_TYPE(pl031, Pl031, …): name is the identifier unless .name is given; parent is "device". */
#define DEVICE_TYPE(ident, T, ...) \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"") \
    static const ObjectType ident##_type = { .name = #ident, .parent = "device", .size = sizeof(T), __VA_ARGS__ }; \
    _Pragma("GCC diagnostic pop") TYPE_SECTION_(ident, ident##_type)

const ObjectType *object_type_find(const char *name);           /* by name or alias; NULL */
bool object_type_is(const ObjectType *type, const char *ancestor);
/* All types that descend from `ancestor` (NULL: all), sorted by name. Free the container. */
GPtrArray *object_types(const char *ancestor);
/* class record: nearest .ops up the chain */
const void *object_type_ops(const ObjectType *type);

/* ---- objects ---- */
struct Object {
    const ObjectType *type;
    unsigned refs;
    Object *parent;
    char *name;           /* in the parent */
    GHashTable *children; /* name → Object*, insertion order in child_order */
    GPtrArray *child_order;
    GHashTable *set_by_user; /* names of properties set explicitly */
    bool completed;       /* a user's object: from here on only late properties may change */
};
Object *object_new(const ObjectType *type);
Object *object_ref(Object *obj);
void object_unref(Object *obj);
Object *object_root(void);
/* Takes a reference. name must be unique in parent; "foo[*]" picks the next free index. */
void object_add_child(Object *parent, const char *name, Object *child);
void object_unparent(Object *obj);
Object *object_container(const char *path); /* finds or makes plain containers: "/machine/peripheral" */
Object *object_find(const char *path);      /* absolute path, or a unique last component/id; NULL */
char *object_path(const Object *obj);       /* caller frees */

const Property *object_property_find(const ObjectType *type, const char *name);
/* Text in, text out. Errors name type, property, value and what is valid. */
bool property_set(Object *obj, const char *name, const char *text, GError **error) WARN_UNUSED;
char *property_get(Object *obj, const char *name, GError **error) WARN_UNUSED;
/* Names of all properties of a type, sorted (const char *); free the container. */
GPtrArray *object_property_names(const ObjectType *type);
char *property_type_text(const Property *p);     /* "uint32", "str", "link<…>" */
char *property_default_value(const Property *p); /* as text; NULL: none */
/* For machine code that knows the property exists: failure is a bug. */
void property_set_checked(Object *obj, const char *name, const char *text);
bool property_is_set(Object *obj, const char *name); /* explicitly */
/* -global driver.prop=value: applied by object_new to that type and its descendants. */
void property_add_global(const char *driver, const char *prop, const char *value);
/* All globals of known types name a property and have a valid value; call before creating devices.
 * Unknown types are warned of. */
bool property_check_globals(GError **error) WARN_UNUSED;
/* Properties that do not belong to an Object (accelerators): `base` is what their offsets refer to, and
 * what .set/.get receive; `owner` is for messages. */
bool property_list_set(PropertyList list, void *base, const char *owner, const char *name, const char *text, GError **error) WARN_UNUSED;
void property_list_defaults(PropertyList list, void *base);
void property_list_help(PropertyList list, FILE *out);
/* "a=1,b=2" onto obj, in order; ",," stands for a comma. NULL or "": nothing. */
bool property_set_list(Object *obj, const char *text, GError **error) WARN_UNUSED;
/* Cut "driver,a=1,b=x,,y" at single commas. Free with g_strfreev. */
char **split_options(const char *text);
/* "-device X,help" and "-device help". */
void object_type_help(const ObjectType *type, FILE *out);
void device_list_help(FILE *out);

/* ---- devices ---- */
#define DEVICE_MAX_MMIO 8
struct Device {
    Object obj;
    char *id;             /* user's id or NULL */
    Bus *bus;             /* that it is on; NULL: the machine wires it */
    uint32_t bus_addr;    /* its slot there; BUS_NO_ADDR: it has none */
    GPtrArray *child_buses; /* Bus *: those behind it; NULL: none */
    bool realized, realizing;
    bool hotplugged;      /* added while the machine was there */
    bool unplug_pending;  /* the guest was asked to let go */
    GPtrArray *reg_tables; /* what device_init_regs was given, see reg.c */
    Irq **irq_out;        /* [num_irq_out], each NULL until connected */
    Irq *irq_in;          /* [num_irq_in] */
    unsigned num_irq_out, num_irq_in;
    void (*irq_in_fn)(Device *dev, unsigned line, bool level); /* the type's, resolved */
    MemoryGuard guard;    /* of all mmio that take the big lock */
    MemoryRegion mmio[DEVICE_MAX_MMIO]; /* regs region is 0; others are the device's to init */
    MemoryRegion *regions[DEVICE_MAX_MMIO]; /* what device_map maps: &mmio[i] unless replaced */
};
#define DEVICE(o) ((Device *)(o))
/* All of these are inherited: realize, unrealize, reset_*, irqs, irq_in, regs and bus come from the
 * nearest type in the chain that has them; a type that overrides one calls the parent's if it needs it. */
Device *device_new(const char *type_name); /* unknown type is a bug; user input goes through object_type_find */
bool device_realize(Device *dev, GError **error) WARN_UNUSED; /* parent set first, else /machine/unattached */
/* First what is on the buses behind it, then itself, then its parts. */
void device_unrealize(Device *dev);
/* driver=, id=, bus= and properties: create, set, plug and realize a user_creatable device. hotplug: the
 * machine is there already, and the bus must allow it. */
Device *device_add(KeyValues *kv, bool hotplug, GError **error) WARN_UNUSED;
/* By id or path. The device may still be there afterwards: some buses ask the guest first. */
bool device_del(const char *id, GError **error) WARN_UNUSED;
/* The guest has let go: unrealize, free, DEVICE_DELETED, for those on buses behind it, too. */
void device_remove(Device *dev);
/* The guest keeps it: it may be asked again, DEVICE_UNPLUG_GUEST_ERROR. */
void device_unplug_refused(Device *dev);
/* The type, if users may add such devices; errors suggest. */
const ObjectType *device_type_for_users(const char *name, GError **error) WARN_UNUSED;
/* So many lines, for types with a number that properties say: in realize, before anybody connects one. There may be
 * thousands. */
void device_size_irqs(Device *dev, unsigned in, unsigned out);
/* Wire output n to a line; input n's line. */
void device_connect_irq(Device *dev, unsigned n, Irq *irq);
Irq *device_irq_in(Device *dev, unsigned n);
static inline void device_set_irq(Device *dev, unsigned n, bool level) { irq_set(dev->irq_out[n], level); }
/* Map region n into system memory / the port space. */
void device_map(Device *dev, unsigned n, hwaddr addr);
void device_map_io(Device *dev, unsigned n, uint16_t port);
const char *device_name(const Device *dev); /* id, else path; for messages */

/* ---- the tree, and reset: three phases over it ----
 * Below a device are its parts (its children in the composition tree), and what is on the buses behind it (hw/core/bus.h),
 * wherever that is in the composition tree. */
/* Every realized device at or below obj, parents first. */
void devices_foreach(Object *obj, void (*fn)(Device *dev, void *opaque), void *opaque);
/* The first realized device of that type, or of one below it, in the machine; NULL: there is none. For what happens seldom. */
Device *device_of_type(const char *type);
/* The device and what is below it. */
void device_reset(Device *dev);
void machine_reset_devices(void);
/* Three phases over obj and what is below it. */
void object_reset_tree(Object *obj);
/* For state that is not a device's. Called in the hold phase. */
void reset_register(void (*fn)(void *opaque), void *opaque);
void reset_unregister(void (*fn)(void *opaque), void *opaque);
