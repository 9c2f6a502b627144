/*
 * target/x86/cpu_models.c: the CPU models and "-cpu MODEL,+feature,-feature,key=value".
 *
 * A model is a row that may inherit from another: generations read as what they added. Versions and
 * variants ("Haswell-noTSX", "EPYC-v2") are rows too. Features the translator can't offer are dropped
 * with one warning each (or refuse to start with enforce=on).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/x86/cpu_models.h"
#include "target/x86/system.h"
#include "util/report.h"

#define INTEL "GenuineIntel"
#define AMD "AuthenticAMD"

/* the sets of bits that grew together */
#define F_PPRO "fpu de pse tsc msr mce cx8 pge cmov pat fxsr mmx sse sse2 pae sep apic"
#define F_CORE F_PPRO " vme clflush pse36 mca mtrr"
#define F_V2 "cx16 lahf-lm popcnt sse3 sse4.1 sse4.2 ssse3"
#define F_V3 "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
#define F_AVX512 "avx512f avx512dq avx512bw avx512cd avx512vl"

#define M(nm, bs, vd, fm, md, st, lv, xl, ft, id) { nm, bs, vd, fm, md, st, lv, xl, ft, id },
#define V(nm, bs, ft, id) M(nm, bs, NULL, -1, -1, -1, 0, 0, ft, id)
#define A(nm, bs) V(nm, bs, "", NULL)

const X86CpuModel x86_cpu_models[] = {
#include "target/x86/cpu_models.def"
};
const unsigned x86_cpu_model_count = ARRAY_SIZE(x86_cpu_models);

static const X86CpuModel *find_model(const char *name, size_t len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(x86_cpu_models); i++) {
        const X86CpuModel *m = &x86_cpu_models[i];
        if (strlen(m->name) == len && g_ascii_strncasecmp(m->name, name, len) == 0) {
            return m;
        }
    }
    return NULL;
}

/* ---- from a row to a CPU ---- */

static void set_vendor(X86State *env, const char *text)
{
    memcpy(&env->cpuid_vendor[0], text, 4);
    memcpy(&env->cpuid_vendor[1], text + 4, 4);
    memcpy(&env->cpuid_vendor[2], text + 8, 4);
}

static void set_model_id(X86State *env, const char *text)
{
    memset(env->cpuid_model, 0, sizeof(env->cpuid_model));
    memcpy(env->cpuid_model, text, MIN(strlen(text), sizeof(env->cpuid_model)));
}

static void set_family(X86State *env, unsigned family)
{
    env->cpuid_version &= ~0x0ff00f00u;
    env->cpuid_version |= family > 15 ? 0xf00 | (family - 15) << 20 : family << 8;
}

static void set_model_number(X86State *env, unsigned model)
{
    env->cpuid_version &= ~0x000f00f0u;
    env->cpuid_version |= (model & 15) << 4 | (model >> 4 & 15) << 16;
}

static unsigned family_of(const X86State *env)
{
    unsigned family = env->cpuid_version >> 8 & 15;
    return family == 15 ? family + (env->cpuid_version >> 20 & 0xff) : family;
}

static unsigned model_number_of(const X86State *env)
{
    return (env->cpuid_version >> 4 & 15) | (env->cpuid_version >> 12 & 0xf0);
}

static void set_stepping(X86State *env, unsigned stepping)
{
    env->cpuid_version = (env->cpuid_version & ~15u) | (stepping & 15);
}

static void apply_feature_text(uint32_t *features, const char *text)
{
    for (; *text; text += strspn(text, " ")) {
        bool remove = *text == '-';
        const char *name = text + remove;
        size_t n = strcspn(name, " ");
        X86FeatureWord w;
        unsigned bit;
        bool known = x86_feature_find(name, n, &w, &bit);
        assert(known); /* a typing error in the table; the unit test walks all rows */
        features[w] = remove ? features[w] & ~BIT(bit) : features[w] | BIT(bit);
        text = name + n;
    }
}

static void apply_model(X86Cpu *x, const X86CpuModel *m)
{
    X86State *env = &x->env;
    if (m->base) {
        apply_model(x, find_model(m->base, strlen(m->base)));
    }
    if (m->vendor) {
        set_vendor(env, m->vendor);
    }
    if (m->family >= 0) {
        set_family(env, m->family);
        set_model_number(env, m->model);
        set_stepping(env, m->stepping);
    }
    if (m->level) {
        env->cpuid_level = m->level;
        env->cpuid_xlevel = m->xlevel;
    }
    apply_feature_text(x->features, m->features);
    if (m->model_id) {
        set_model_id(env, m->model_id);
    }
}

bool x86_under_kvm(void)
{
#ifdef CONFIG_KVM
    const Accel *accel = accel_current();
    return accel && g_str_equal(accel->name, "kvm");
#else
    return false;
#endif
}

/* What this accelerator and host can offer. */
static void supported_features(uint32_t words[FEAT_WORDS])
{
#ifdef CONFIG_KVM
    if (x86_under_kvm()) {
        x86_kvm_supported(words);
        return;
    }
#endif
    x86_tcg_supported(words);
}

/* Everything but what hurts: MWAIT makes idle guests spin, and there is nothing for the rest to do. */
static void apply_max(X86Cpu *x)
{
    supported_features(x->features);
    apply_feature_text(x->features, "-monitor -ht -cmp-legacy -ss -acpi");
    x->features[FEAT_KVM] = 0; /* apply_paravirt */
#ifdef CONFIG_KVM
    if (x86_under_kvm()) {
        x86_kvm_host_model(x);
    }
#endif
}

static void apply_paravirt(X86Cpu *x)
{
#ifdef CONFIG_KVM
    if (x86_under_kvm()) {
        x->features[FEAT_KVM] |= x86_kvm_default_paravirt();
        x->features[FEAT_1_ECX] |= x86_under_kvm() && accel_current()->kernel_irqchip ? BIT(21) : 0;
    }
#endif
}

static void x86_cpu_object_init(Object *obj)
{
    X86Cpu *x = X86_CPU(obj);
    size_t len = strlen(obj->type->name) - strlen("-x86_64-cpu");
    const X86CpuModel *m = find_model(obj->type->name, len);
    assert(m); /* types are made from the table */
    x->model = m;
    x->cpu.cc = &x86_cpu_class;
    x->cpu.env = (struct CpuArchState *)&x->env;
    x->env.phys_bits = 0;
    x->env.exception = x->env.old_exception = -1;
    x->env.cc_op = CC_OP_EFLAGS;
    x->env.df = 1;
    x86_hyperv_init(&x->hv);
    apply_model(x, m);
    x->features[FEAT_1_ECX] |= BIT(31); /* hypervisor: every model says so unless told otherwise */
    if (!strcmp(m->name, "max") || !strcmp(m->name, "host")) {
        apply_max(x);
    }
    apply_paravirt(x);
}

/* ---- "-cpu" properties ---- */

typedef struct {
    bool enforce, check, user_xlevel, user_level;
    uint32_t plus[FEAT_WORDS], minus[FEAT_WORDS];
} Options;

static bool parse_number(const char *key, const char *value, uint64_t min, uint64_t max, uint64_t *out, GError **error)
{
    char *end;
    errno = 0;
    *out = g_ascii_strtoull(value, &end, 0);
    if (!*value || *end || errno || *out < min || *out > max) {
        return error_set(error, "-cpu: %s=%s is not a number from %" PRIu64 " to %" PRIu64, key, value, min, max);
    }
    return true;
}

#define TSC_MIN 1000000u
#define TSC_MAX UINT64_C(100000000000)

/* "2.5G", as other frequencies of old. */
static bool set_tsc_freq(X86Cpu *x, const char *value, GError **error)
{
    char *end;
    double n = g_ascii_strtod(value, &end);
    static const struct { char suffix; double factor; } units[] = {{'K', 1e3}, {'M', 1e6}, {'G', 1e9}};
    for (unsigned i = 0; i < ARRAY_SIZE(units) && end > value; i++) {
        if (g_ascii_toupper(*end) == units[i].suffix && !end[1]) {
            n *= units[i].factor;
            end++;
        }
    }
    if (end == value || *end || !(n >= TSC_MIN && n <= TSC_MAX)) {
        return error_set(error, "-cpu: tsc-freq=%s is not a frequency from 1M to 100G", value);
    }
    x->tsc_khz = n / 1000;
    return true;
}

/* A feature that virtual CPUs never have, or one of IA32_ARCH_CAPABILITIES, which can be taken away. */
static void set_fixed(X86Cpu *x, const char *name, bool on)
{
    int bit = x86_arch_capability(name, strlen(name));
    if (bit >= 0 && (X86_ARCH_CAPABILITIES >> bit & 1)) {
        x->arch_capabilities_off = on ? x->arch_capabilities_off & ~BIT_ULL(bit) : x->arch_capabilities_off | BIT_ULL(bit);
        return;
    }
    int absent = x86_feature_absent(name);
    uint64_t *asked = absent >= 0 ? &x->absent_asked[absent / 64] : &x->arch_capabilities_asked;
    unsigned place = absent >= 0 ? absent % 64 : bit;
    *asked = on ? *asked | BIT_ULL(place) : *asked & ~BIT_ULL(place);
}

/* Once all options were read. */
static void warn_of_fixed(const char *feature, void *model)
{
    report_warn("-cpu %s: the feature '%s' is not supported yet; it stays off", (const char *)model, feature);
}

static void each_fixed(const X86Cpu *x, void (*fn)(const char *feature, void *opaque), void *opaque);


/* Of no feature. Those that set_key() does nothing about say what is so anyway, or concern migration. */
static const char *const switches[] = {"enforce", "check", "migratable", "pmu", "l3-cache", "host-cache-info", "host-phys-bits", "legacy-cache",
                                       "kvm", "kvm-pv-enforce-cpuid", NULL};

/* What is so, whatever is asked for. */
static const struct { const char *name; bool on; } constants[] = {
    {"cpuid-0xb", true}, {"full-cpuid-auto-level", true}, {"kvm-no-smi-migration", false}, {"tcg-cpuid", true}, {"vmware-cpuid-freq", true},
};

static int constant_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(constants); i++) {
        if (g_str_equal(constants[i].name, name)) {
            return i;
        }
    }
    return -1;
}

static bool switch_is_on(const X86Cpu *x, const char *name)
{
    return g_str_equal(name, "kvm")                    ? !x->hide_kvm
           : g_str_equal(name, "kvm-pv-enforce-cpuid") ? x->enforce_paravirt
           : g_str_equal(name, "pmu")                  ? x->pmu
                                                       : !g_str_equal(name, "enforce") && !g_str_has_prefix(name, "host-");
}

static bool set_key(X86Cpu *x, Options *o, const char *key, const char *value, GError **error)
{
    X86State *env = &x->env;
    static const struct { const char *key; uint64_t min, max; bool zero; } numbers[] = { /* zero: also 0, which means none or any */
        {"family", 0, 255 + 15}, {"model", 0, 255}, {"stepping", 0, 15}, {"level", 0, 0x20}, {"xlevel", 0x80000000, 0x80000022, true},
        {"phys-bits", 32, 52, true}, {"tsc-frequency", TSC_MIN, TSC_MAX, true}, {"min-level", 0, 0x20},
        {"min-xlevel", 0x80000000, 0x80000022, true},
    };
    uint64_t n;
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (strcmp(key, numbers[i].key)) {
            continue;
        }
        if (numbers[i].zero && g_str_equal(value, "0")) {
            n = 0;
        } else if (!parse_number(key, value, numbers[i].min, numbers[i].max, &n, error)) {
            return false;
        }
        switch (i) {
        case 0: set_family(env, n); break;
        case 1: set_model_number(env, n); break;
        case 2: set_stepping(env, n); break;
        case 3: env->cpuid_level = n, o->user_level = true; break;
        case 4: env->cpuid_xlevel = n, o->user_xlevel = true; break;
        case 5: env->phys_bits = n; break;
        case 6: x->tsc_khz = n / 1000; break;
        case 7: env->cpuid_level = MAX(env->cpuid_level, n); break;
        case 8: env->cpuid_xlevel = MAX(env->cpuid_xlevel, n); break;
        }
        return true;
    }
    if (!strcmp(key, "vendor")) {
        if (strlen(value) != 12) {
            return error_set(error, "-cpu: vendor=%s must have 12 characters, as in AuthenticAMD", value);
        }
        set_vendor(env, value);
        return true;
    }
    if (!strcmp(key, "model-id")) {
        if (strlen(value) > 48) {
            return error_set(error, "-cpu: model-id=%s is longer than 48 characters", value);
        }
        set_model_id(env, value);
        x->brand_set = true;
        return true;
    }
    if (g_str_has_prefix(key, "hv-")) {
        return x86_hyperv_set(&x->hv, key, value, error);
    }
    if (!strcmp(key, "tsc-freq")) {
        return set_tsc_freq(x, value, error);
    }
    bool on;
    size_t len = strlen(key);
    X86FeatureWord w;
    unsigned bit;
    bool known_bool = g_strv_contains(switches, key);
    bool feature = !known_bool && x86_feature_find(key, len, &w, &bit);
    bool fixed = !known_bool && !feature && x86_feature_fixed(key);
    int constant = constant_find(key);
    if (!known_bool && !feature && !fixed && constant < 0) {
        return error_set(error, "-cpu %s: no feature or property \"%s\"; -cpu help lists the features", x->model->name, key);
    }
    if (!parse_bool(value, &on, error)) {
        g_prefix_error(error, "-cpu: %s: ", key);
        return false;
    }
    if (fixed) {
        set_fixed(x, key, on);
    } else if (constant >= 0) {
        if (on != constants[constant].on) {
            report_warn("-cpu %s: '%s' cannot be switched %s here", x->model->name, key, on ? "on" : "off");
        }
    } else if (feature) {
        (on ? o->plus : o->minus)[w] |= BIT(bit);
        (on ? o->minus : o->plus)[w] &= ~BIT(bit);
    } else if (!strcmp(key, "enforce")) {
        o->enforce = on;
    } else if (!strcmp(key, "check")) {
        o->check = on;
    } else if (!strcmp(key, "kvm")) {
        x->hide_kvm = !on;
    } else if (!strcmp(key, "kvm-pv-enforce-cpuid")) {
        x->enforce_paravirt = on;
    } else if (!strcmp(key, "pmu")) {
        x->pmu = on && x86_under_kvm();
        if (on && !x->pmu) {
            report_warn("-cpu: pmu=on: the virtual CPU has no performance counters; they are KVM's");
        }
    }
    return true;
}

static bool parse_option(X86Cpu *x, Options *o, char *text, GError **error)
{
    X86FeatureWord w;
    unsigned bit;
    if ((*text == '+' || *text == '-') && x86_feature_fixed(text + 1)) {
        set_fixed(x, text + 1, *text == '+');
        return true;
    }
    if (*text == '+' || *text == '-') {
        if (!x86_feature_find(text + 1, strlen(text + 1), &w, &bit)) {
            return error_set(error, "-cpu %s: no feature \"%s\"; -cpu help lists the features", x->model->name, text + 1);
        }
        uint32_t *to = *text == '+' ? o->plus : o->minus, *other = *text == '+' ? o->minus : o->plus;
        to[w] |= BIT(bit);
        other[w] &= ~BIT(bit);
        return true;
    }
    char *eq = strchr(text, '=');
    if (eq) {
        *eq = 0;
    }
    for (char *c = text; *c; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    return set_key(x, o, text, eq ? eq + 1 : "on", error);
}

/* ---- filtering ---- */

/* AMD's leaf 0x80000001 repeats leaf 1; a model never means them differently. */
static void warn_missing(X86FeatureWord w, unsigned bit)
{
    const X86FeatureWordInfo *i = &x86_feature_words[w];
    g_autofree char *name = i->names[bit] ? g_strndup(i->names[bit], strcspn(i->names[bit], "|")) : g_strdup("?");
    report_warn("%s doesn't support requested feature: CPUID.%02XH:%s.%s [bit %u]", x86_under_kvm() ? "host" : "TCG", i->leaf,
                i->reg, name, bit);
}

static bool filter_features(X86Cpu *x, const Options *o, GError **error)
{
    static GHashTable *told; /* models: SMP machines make many CPUs */
    uint32_t supported[FEAT_WORDS];
    bool quiet = false, missing = false;
    supported_features(supported);
    if (!told) {
        told = g_hash_table_new(g_str_hash, g_str_equal);
    }
    quiet = !g_hash_table_add(told, (char *)x->model->name) || !o->check;
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        uint32_t lack = x->filtered[w] = x->features[w] & ~supported[w];
        x->features[w] &= supported[w];
        for (unsigned b = 0; b < 32; b++) {
            if (lack & BIT(b)) {
                missing = true;
                if (!quiet) {
                    warn_missing(w, b);
                }
            }
        }
    }
    missing |= x->arch_capabilities_asked != 0;
    for (unsigned i = 0; i < ARRAY_SIZE(x->absent_asked); i++) {
        missing |= x->absent_asked[i] != 0;
    }
    if (!quiet) {
        each_fixed(x, warn_of_fixed, (char *)x->model->name);
    }
    return !missing || !o->enforce || error_set(error, "-cpu %s: enforce=on and %s can't offer all requested features", x->model->name,
                                                         x86_under_kvm() ? "the host" : "TCG");
}

/* A feature without what it builds on confuses guests: drop it. */
static void drop_dependents(uint32_t *f)
{
    static const struct { const char *need, *drop; } rows[] = {
        {"fxsr", "-sse"}, {"sse", "-sse2"}, {"sse2", "-sse3 -ssse3 -sse4.1 -sse4.2 -aes -pclmulqdq -sha-ni -gfni"},
        {"xsave", "-avx -xsaveopt -xsavec -xgetbv1 -xsaves -pku -amx-tile"}, {"avx", "-avx2 -fma -f16c -vaes -vpclmulqdq -avx512f"},
        {"avx512f", "-avx512dq -avx512ifma -avx512pf -avx512er -avx512cd -avx512bw -avx512vl -avx512vbmi -avx512vbmi2 -avx512vnni"
                    " -avx512bitalg -avx512-vpopcntdq -avx512-4vnniw -avx512-4fmaps -avx512-vp2intersect -avx512-fp16 -avx512-bf16"},
        {"amx-tile", "-amx-bf16 -amx-int8 -amx-fp16 -xfd"},
        {"lm", "-lahf-lm -la57 -pku -pks -pcid -fsgsbase"}, {"xsavec", "-xsaves"}, {"apic", "-x2apic -tsc-deadline"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        X86FeatureWord w;
        unsigned bit;
        if (x86_feature_find(rows[i].need, strlen(rows[i].need), &w, &bit) && !(f[w] & BIT(bit))) {
            apply_feature_text(f, rows[i].drop);
        }
    }
}

static void derive(X86Cpu *x, const Options *o)
{
    X86State *env = &x->env;
    uint32_t *f = x->features;
    drop_dependents(f);
    bool lm = f[FEAT_8000_0001_EDX] & BIT(29);
    if (!env->phys_bits) {
        env->phys_bits = lm ? 40 : f[FEAT_1_EDX] & (BIT(17) | BIT(6)) ? 36 : 32;
    }
    env->linear_bits = f[FEAT_7_0_ECX] & BIT(16) ? 57 : lm ? 48 : 32;
    if (!o->user_level) { /* leaves that hold features have to be reachable */
        if (f[FEAT_7_0_EBX] | f[FEAT_7_0_ECX] | f[FEAT_7_0_EDX]) {
            env->cpuid_level = MAX(env->cpuid_level, 7);
        }
        if (f[FEAT_1_ECX] & BIT(26)) {
            env->cpuid_level = MAX(env->cpuid_level, 0xd);
        }
        if (f[FEAT_7_0_EDX] & BIT(24)) { /* tiles */
            env->cpuid_level = MAX(env->cpuid_level, 0x1e);
        }
        if ((f[FEAT_1_ECX] & BIT(21)) || MAX(x->dies, 1) > 1) {
            env->cpuid_level = MAX(env->cpuid_level, MAX(x->dies, 1) > 1 ? 0x1f : 0xb);
        }
    }
    if (!o->user_xlevel) {
        if (f[FEAT_8000_0001_EDX] | f[FEAT_8000_0001_ECX]) {
            env->cpuid_xlevel = MAX(env->cpuid_xlevel, 0x80000001);
        }
        if (f[FEAT_8000_0008_EBX] || lm) {
            env->cpuid_xlevel = MAX(env->cpuid_xlevel, 0x80000008);
        }
        if (f[FEAT_8000_0001_ECX] & BIT(22)) {
            env->cpuid_xlevel = MAX(env->cpuid_xlevel, 0x8000001e);
        }
    }
}

bool x86_cpu_class_init(Cpu *cpu, GError **error)
{
    X86Cpu *x = X86_CPU(cpu);
    Options o = {.user_level = true, .user_xlevel = true};
    derive(x, &o); /* topology is known only now */
    if (x->dies > 1) {
        x->env.cpuid_level = MAX(x->env.cpuid_level, 0x1f);
    }
    x86_state_register(x);
    return true;
}

void x86_cpu_class_destroy(Cpu *cpu)
{
    x86_state_unregister(X86_CPU(cpu));
}

/* ---- types ---- */

OBJECT_TYPE(x86_64_cpu, X86Cpu, .name = "x86_64-cpu", .parent = "cpu", .summary = "x86 CPU", .abstract = true,
            .ops = &x86_cpu_class);

/* One device type per model, in the order of the table: the names monitors and -global know. */
#undef M
#define M(nm, bs, vd, fm, md, st, lv, xl, ft, id) \
    {.name = nm "-x86_64-cpu", .parent = "x86_64-cpu", .summary = id, .size = sizeof(X86Cpu), .init = x86_cpu_object_init, \
     .ops = &x86_cpu_class},
static const ObjectType model_types[] = {
#include "target/x86/cpu_models.def"
};
G_STATIC_ASSERT(ARRAY_SIZE(model_types) == ARRAY_SIZE(x86_cpu_models));
#undef M
#define M(...) &model_types[__COUNTER__ - FIRST_MODEL - 1],
enum { FIRST_MODEL = __COUNTER__ };
/* aligned: the compiler must not pad the section before a large array */
static const ObjectType *const model_type_entries[] SECTION_ENTRY("rhea_types") __attribute__((aligned(sizeof(void *)))) = {
#include "target/x86/cpu_models.def"
};

static bool needs_kvm(const X86CpuModel *m)
{
    return !strcmp(m->name, "host") && !x86_under_kvm();
}

static const char *near_model(const char *name)
{
    const char *names[ARRAY_SIZE(x86_cpu_models) + 1] = {NULL};
    for (unsigned i = 0; i < ARRAY_SIZE(x86_cpu_models); i++) {
        names[i] = x86_cpu_models[i].name;
    }
    return suggest_name(name, names);
}

static Cpu *new_cpu(const char *text, bool to_run, GError **error)
{
    g_auto(GStrv) parts = split_options(text ? text : "qemu64"); /* ",," is a comma: some models' names have one */
    const char *name = parts[0] ? parts[0] : "";
    size_t len = g_str_has_suffix(name, "-x86_64-cpu") ? strlen(name) - strlen("-x86_64-cpu") : strlen(name);
    const X86CpuModel *m = find_model(name, len);
    if (!m) {
        const char *near = near_model(name);
        error_set(error, "-cpu %s: no such CPU model%s%s%s; -cpu help lists them", name, near ? "; did you mean '" : "", near ?: "",
                  near ? "'?" : "");
        return NULL;
    }
    if (to_run && needs_kvm(m)) {
        error_set(error, "-cpu host: this model needs KVM; with TCG use -cpu max");
        return NULL;
    }
    X86Cpu *x = X86_CPU(object_new(&model_types[m - x86_cpu_models]));
    Options o = {.check = true};
    bool ok = true;
    for (unsigned i = 1; ok && parts[i]; i++) {
        if (*parts[i]) {
            ok = parse_option(x, &o, parts[i], error);
        }
    }
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        x->features[w] = (x->features[w] | o.plus[w]) & ~o.minus[w];
    }
    if (!ok && to_run && o.check) { /* the error is about one option; that others do nothing is worth a word all the same */
        each_fixed(x, warn_of_fixed, (char *)m->name);
    }
    if (!ok || !x86_hyperv_check(&x->hv, x86_under_kvm(), error) || !filter_features(x, &o, error)) {
        object_unref(&x->cpu.dev.obj);
        return NULL;
    }
    derive(x, &o);
    if (to_run && x->tsc_khz) {
        x86_tsc_set_khz(x->tsc_khz);
    }
    return &x->cpu;
}

Cpu *x86_cpu_new(const char *text, GError **error)
{
    return new_cpu(text, true, error);
}

void x86_cpu_help(FILE *out)
{
    fprintf(out, "CPU models (-cpu MODEL[,+feature][,-feature][,name=value]...):\n");
    for (unsigned i = 0; i < ARRAY_SIZE(x86_cpu_models); i++) {
        const X86CpuModel *m = &x86_cpu_models[i];
        if (m->model_id || !m->base) {
            fprintf(out, "  %-28s %s\n", m->name, m->model_id ? m->model_id : "");
        } else {
            fprintf(out, "  %-28s (%s%s%s)\n", m->name, m->base, *m->features ? ", " : "", m->features);
        }
    }
    fprintf(out, "\nRecognized CPUID flags (those that the translator offers here):\n ");
    uint32_t supported[FEAT_WORDS];
    x86_tcg_supported(supported);
    unsigned column = 1;
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        for (unsigned b = 0; b < 32; b++) {
            if (!(supported[w] & BIT(b))) {
                continue;
            }
            int n = strcspn(x86_feature_words[w].names[b], "|");
            if (column + n > 78) {
                fprintf(out, "\n ");
                column = 1;
            }
            column += fprintf(out, " %.*s", n, x86_feature_words[w].names[b]);
        }
    }
    fprintf(out, "\n\nProperties: vendor=, family=, model=, stepping=, model-id=, level=, xlevel=, phys-bits=, tsc-frequency=, tsc-freq=, "
                 "enforce=on|off, check=on|off; with KVM: pmu=on|off, kvm=on|off, kvm-pv-enforce-cpuid=on|off, hv-...\n");
}

/* ---- for monitors ---- */

const char *x86_model_nth(unsigned i)
{
    return i < ARRAY_SIZE(x86_cpu_models) ? x86_cpu_models[i].name : NULL;
}

/* A model without a version is another name of its first, one that A() made of what it was made of. */
char *x86_model_alias_of(const char *name)
{
    const X86CpuModel *m = find_model(name, strlen(name));
    g_autofree char *first = g_strdup_printf("%s-v1", name);
    const X86CpuModel *v1 = find_model(first, strlen(first));
    if (v1) {
        return g_strdup(v1->name);
    }
    bool other_name = m && m->base && !m->vendor && m->family < 0 && !m->model_id && !*m->features && !g_regex_match_simple("-v[0-9]+$", name, 0, 0);
    return other_name ? g_strdup(m->base) : NULL;
}

/* As x86_cpu_new, without a word about what is missing; "host" is what the accelerator offers, be it KVM or not. */
Cpu *x86_model_new(const char *text, GError **error)
{
    g_autofree char *quiet = g_strconcat(text, ",check=off", NULL);
    return new_cpu(quiet, false, error);
}

static void each_feature(const uint32_t *of, const uint32_t *words, void (*fn)(const char *name, bool on, void *opaque), void *opaque)
{
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        for (unsigned b = 0; b < 32; b++) {
            const char *names = x86_feature_words[w].names[b];
            if (names && (of ? of[w] & BIT(b) : true)) {
                g_autofree char *name = g_strndup(names, strcspn(names, "|"));
                fn(name, words[w] & BIT(b), opaque);
            }
        }
    }
}

typedef struct {
    const X86Cpu *x;
    void (*fn)(const char *feature, void *opaque);
    void *opaque;
    unsigned next;
} AbsentSink;

static void pass_asked(const char *name, bool on, void *opaque)
{
    AbsentSink *sink = opaque;
    unsigned i = sink->next++;
    if (sink->x->absent_asked[i / 64] >> (i % 64) & 1) {
        sink->fn(name, sink->opaque);
    }
}

static void each_fixed(const X86Cpu *x, void (*fn)(const char *feature, void *opaque), void *opaque)
{
    for (unsigned i = 0; x86_arch_capability_nth(i); i++) {
        if (x->arch_capabilities_asked >> i & 1) {
            fn(x86_arch_capability_nth(i), opaque);
        }
    }
    x86_features_absent(false, pass_asked, &(AbsentSink){x, fn, opaque, 0});
}

void x86_features(Cpu *cpu, void (*fn)(const char *name, bool on, void *opaque), void *opaque)
{
    const X86Cpu *x = X86_CPU(cpu);
    each_feature(NULL, x->features, fn, opaque);
    for (unsigned i = 0; x86_arch_capability_nth(i); i++) {
        bool shown = x->features[FEAT_7_0_EDX] & BIT(29);
        fn(x86_arch_capability_nth(i), shown && (X86_ARCH_CAPABILITIES & ~x->arch_capabilities_off) >> i & 1, opaque);
    }
    x86_features_absent(false, fn, opaque);
}

/* Other names of features, and switches. */
void x86_flags(Cpu *cpu, void (*fn)(const char *name, bool on, void *opaque), void *opaque)
{
    const X86Cpu *x = X86_CPU(cpu);
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        for (unsigned b = 0; b < 32; b++) {
            const char *names = x86_feature_words[w].names[b], *bar = names ? strchr(names, '|') : NULL;
            g_auto(GStrv) others = bar ? g_strsplit(bar + 1, "|", -1) : NULL;
            for (char **o = others; o && *o; o++) {
                fn(*o, x->features[w] & BIT(b), opaque);
            }
        }
    }
    x86_features_absent(true, fn, opaque);
    for (unsigned i = 0; i < ARRAY_SIZE(constants); i++) {
        fn(constants[i].name, constants[i].on, opaque);
    }
    for (const char *const *s = switches; *s; s++) {
        fn(*s, switch_is_on(x, *s), opaque);
    }
    x86_hyperv_flags(&x->hv, fn, opaque);
}

void x86_identity(Cpu *cpu, CpuValueFn *fn, void *opaque)
{
    const X86State *env = &X86_CPU(cpu)->env;
    char vendor[13] = "", brand[49] = "";
    memcpy(vendor, env->cpuid_vendor, 12);
    memcpy(brand, env->cpuid_model, 48);
    fn("vendor", "string", vendor, 0, opaque);
    fn("family", "int", NULL, family_of(env), opaque);
    fn("model", "int", NULL, model_number_of(env), opaque);
    fn("stepping", "int", NULL, env->cpuid_version & 15, opaque);
    fn("model-id", "string", brand, 0, opaque);
    fn("level", "uint32", NULL, env->cpuid_level, opaque);
    fn("xlevel", "uint32", NULL, env->cpuid_xlevel, opaque);
}

void x86_values(Cpu *cpu, CpuValueFn *fn, void *opaque)
{
    const X86Cpu *x = X86_CPU(cpu);
    fn("min-level", "uint32", NULL, x->env.cpuid_level, opaque);
    fn("min-xlevel", "uint32", NULL, x->env.cpuid_xlevel, opaque);
    fn("phys-bits", "uint32", NULL, x->env.phys_bits, opaque);
    fn("tsc-frequency", "int", NULL, x->tsc_khz * 1000, opaque);
    x86_hyperv_values(&x->hv, fn, opaque);
}

typedef struct {
    void (*fn)(const char *feature, void *opaque);
    void *opaque;
} NameSink;

static void pass_name(const char *name, bool on, void *opaque)
{
    NameSink *sink = opaque;
    sink->fn(name, sink->opaque);
}

void x86_filtered(Cpu *cpu, void (*fn)(const char *feature, void *opaque), void *opaque)
{
    const X86Cpu *x = X86_CPU(cpu);
    each_feature(x->filtered, x->filtered, pass_name, &(NameSink){fn, opaque});
    each_fixed(x, fn, opaque);
}

void x86_words(Cpu *cpu, CpuWordFn *fn, void *opaque)
{
    const X86Cpu *x = X86_CPU(cpu);
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        const X86FeatureWordInfo *i = &x86_feature_words[w];
        fn(i->leaf, i->subleaf, i->reg, x->features[w], x->filtered[w], opaque);
    }
}

void x86_model_missing(const char *model, void (*fn)(const char *feature, void *opaque), void *opaque)
{
    const X86CpuModel *m = find_model(model, strlen(model));
    uint32_t lack[FEAT_WORDS];
    if (!m) {
        return;
    }
    if (needs_kvm(m)) {
        fn("kvm", opaque);
        return;
    }
    X86Cpu *x = X86_CPU(object_new(&model_types[m - x86_cpu_models]));
    supported_features(lack);
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        lack[w] = x->features[w] & ~lack[w];
    }
    object_unref(&x->cpu.dev.obj);
    each_feature(lack, lack, pass_name, &(NameSink){fn, opaque});
}
