/* tests/unit/test-object.c: types, the tree, properties, globals, errors, devices, reset. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw/core/bus.h"
#include "qapi/qapi.h"
#include "util/report.h"

static const char *const colours[] = {"red", "green", NULL};
typedef struct {
    Device dev;
    bool flag;
    uint8_t u8;
    uint32_t u32;
    uint64_t u64, size;
    int32_t i32;
    char *text;
    int colour;
    Object *friend_;
    int order;
    unsigned last_line;
    bool last_level, refuse;
} Thing;
static GString *trace;

static bool even_only(Object *obj, const Property *p, const char *text, GError **error)
{
    return !(((Thing *)obj)->u64 & 1) || error_set(error, "must be even");
}

static const Property thing_props[] = {
    PROP_BOOL("flag", Thing, flag, true, NULL),
    PROP_U8("u8", Thing, u8, 7, "a byte"),
    PROP_U32("u32", Thing, u32, -1, NULL),
    {.name = "u64", .kind = PROPERTY_U64, .offset = offsetof(Thing, u64), .set = even_only},
    PROP_SIZE("size", Thing, size, 4096, NULL),
    PROP_I32("i32", Thing, i32, -5, NULL),
    PROP_STRING("text", Thing, text, "hello", "some text"),
    PROP_ENUM("colour", Thing, colour, colours, 1, "paint"),
    PROP_LINK("friend", Thing, friend_, "test-thing", NULL),
    {.name = "late", .kind = PROPERTY_BOOL, .offset = offsetof(Thing, flag), .def.num = 1, .late = true},
    PROP_BOOL("refuse", Thing, refuse, false, NULL),
};

static bool thing_realize(Device *dev, GError **error)
{
    Thing *t = (Thing *)dev;

    memory_region_init(&dev->mmio[0], "thing", 16);
    return !t->refuse || error_set(error, "asked to refuse");
}
static void thing_irq(Device *dev, unsigned line, bool level)
{
    ((Thing *)dev)->last_line = line;
    ((Thing *)dev)->last_level = level;
}
static void thing_enter(Device *dev)
{
    g_string_append_printf(trace, "e%s ", dev->obj.name);
}
static void thing_hold(Device *dev)
{
    g_string_append_printf(trace, "h%s ", dev->obj.name);
}
static void thing_exit(Device *dev)
{
    g_string_append_printf(trace, "x%s ", dev->obj.name);
}
DEVICE_TYPE(test_thing, Thing, .name = "test-thing", .alias = "thing", .summary = "a thing", .user_creatable = true,
            .props = PROPS(thing_props), .irqs_in = 3, .irqs_out = 1, .irq_in = thing_irq, .realize = thing_realize,
            .reset_enter = thing_enter, .reset_hold = thing_hold, .reset_exit = thing_exit);

static void sub_init(Object *obj)
{
    g_assert_cmpstr(((Thing *)obj)->text, ==, "hello"); /* defaults come first */
    ((Thing *)obj)->order = 42;
}
static const Property sub_props[] = {PROP_U8("u8", Thing, u8, 9, "another default")};
DEVICE_TYPE(test_sub, Thing, .name = "test-sub", .parent = "test-thing", .props = PROPS(sub_props), .init = sub_init);

static Thing *thing(void)
{
    return (Thing *)device_new("test-thing");
}

static void test_types(void)
{
    const ObjectType *t = object_type_find("test-thing");

    g_assert_nonnull(t);
    g_assert_true(object_type_find("thing") == t);
    g_assert_null(object_type_find("no-such"));
    g_assert_true(object_type_is(object_type_find("test-sub"), "test-thing"));
    g_assert_true(object_type_is(t, "device"));
    g_assert_false(object_type_is(t, "test-sub"));
    g_autoptr(GPtrArray) all = object_types("test-thing");
    g_assert_cmpuint(all->len, ==, 2);
    g_assert_cmpstr(((const ObjectType *)all->pdata[0])->name, ==, "test-sub"); /* sorted */
}

static void test_defaults(void)
{
    Thing *t = thing(), *s = (Thing *)device_new("test-sub");

    g_assert_true(t->flag);
    g_assert_cmpuint(t->u8, ==, 7);
    g_assert_cmpuint(t->u32, ==, UINT32_MAX);
    g_assert_cmpint(t->i32, ==, -5);
    g_assert_cmpint(t->colour, ==, 1);
    g_assert_cmpuint(s->u8, ==, 9);
    g_assert_cmpint(s->order, ==, 42);
    object_unref(&t->dev.obj);
    object_unref(&s->dev.obj);
}

static void good(Thing *t, const char *name, const char *text, const char *back)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(property_set(&t->dev.obj, name, text, &error));
    g_assert_no_error(error);
    g_autofree char *got = property_get(&t->dev.obj, name, NULL);
    g_assert_cmpstr(got, ==, back);
    g_assert_true(property_is_set(&t->dev.obj, name));
}
static void bad(Thing *t, const char *name, const char *text, const char *part)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(property_set(&t->dev.obj, name, text, &error));
    g_assert_nonnull(error);
    if (!strstr(error->message, part) || !strstr(error->message, name)) {
        g_error("'%s' lacks '%s' or '%s'", error->message, part, name);
    }
}

static void test_properties(void)
{
    Thing *t = thing(), *friend_ = thing();

    g_assert_false(property_is_set(&t->dev.obj, "u8"));
    good(t, "flag", "off", "false");
    good(t, "u8", "0xff", "255");
    good(t, "u64", "18446744073709551614", "18446744073709551614");
    good(t, "size", "1.5K", "1536");
    good(t, "i32", "-2147483648", "-2147483648");
    good(t, "text", "", "");
    good(t, "colour", "red", "red");
    bad(t, "flag", "maybe", "on, off");
    bad(t, "u8", "256", "0 to 255");
    bad(t, "u8", "-1", "-1");
    bad(t, "u8", "5x", "'x'");
    bad(t, "u8", "", "''");
    bad(t, "u64", "18446744073709551616", "large");
    bad(t, "u64", "3", "even");
    bad(t, "i32", "2147483648", "out of range");
    bad(t, "size", "1Q", "suffix");
    bad(t, "size", "99999999999E", "large");
    bad(t, "colour", "blue", "red, green");
    bad(t, "friend", "nobody", "nobody");
    bad(t, "nonsense", "1", "u32"); /* lists what there is */
    object_add_child(object_container("/machine/peripheral"), "f0", &friend_->dev.obj);
    good(t, "friend", "f0", "/machine/peripheral/f0");
    g_assert_true(t->friend_ == &friend_->dev.obj);
    object_unref(&t->dev.obj);
    object_unparent(&friend_->dev.obj);
    object_unref(&friend_->dev.obj);
}

static void test_list(void)
{
    Thing *t = thing();
    g_autoptr(GError) error = NULL;

    g_assert_true(property_set_list(&t->dev.obj, "u8=1,text=a,,b,flag", &error));
    g_assert_cmpstr(t->text, ==, "a,b");
    g_assert_cmpuint(t->u8, ==, 1);
    g_assert_false(property_set_list(&t->dev.obj, "u8=1,bogus=2", &error));
    object_unref(&t->dev.obj);
}

static void test_globals(void)
{
    g_autoptr(GError) error = NULL;

    property_add_global("test-thing", "u32", "77");
    g_assert_true(property_check_globals(&error));
    Thing *t = (Thing *)device_new("test-sub");
    g_assert_cmpuint(t->u32, ==, 77); /* descendants too */
    object_unref(&t->dev.obj);
    property_add_global("test-sub", "u8", "300");
    g_assert_false(property_check_globals(&error));
    g_assert_nonnull(strstr(error->message, "test-sub.u8=300"));
}

static void test_tree(void)
{
    Thing *a = thing(), *b = thing();
    Object *box = object_container("/box/inner");

    object_add_child(box, "x[*]", &a->dev.obj);
    object_add_child(box, "x[*]", &b->dev.obj);
    g_autofree char *path = object_path(&b->dev.obj);
    g_assert_cmpstr(path, ==, "/box/inner/x[1]");
    g_assert_true(object_find("/box/inner/x[0]") == &a->dev.obj);
    g_assert_true(object_find("x[1]") == &b->dev.obj);
    g_assert_null(object_find("/box/other"));
    object_unparent(&a->dev.obj);
    g_assert_null(object_find("x[0]"));
    g_assert_cmpuint(a->dev.obj.refs, ==, 1);
    object_unref(&a->dev.obj);
    object_unref(&b->dev.obj);
    object_unparent(box);
}

static void test_device(void)
{
    Thing *t = thing();
    g_autoptr(GError) error = NULL;

    t->refuse = true;
    g_assert_false(device_realize(&t->dev, &error));
    g_assert_cmpstr(error->message, ==, "asked to refuse");
    g_clear_error(&error);
    g_assert_null(t->dev.obj.parent); /* nothing is left behind */
    g_assert_null(t->dev.mmio[0].name);
    t->refuse = false;
    g_assert_true(device_realize(&t->dev, &error));
    g_assert_true(g_str_has_prefix(t->dev.obj.name, "device["));
    irq_set(device_irq_in(&t->dev, 2), true);
    g_assert_cmpuint(t->last_line, ==, 2);
    g_assert_true(t->last_level);
    bad(t, "u8", "1", "realized");
    good(t, "late", "on", "true");
    device_unrealize(&t->dev);
    object_unparent(&t->dev.obj);
    object_unref(&t->dev.obj);
}

static Device *add(const char *options, bool hotplug, GError **error)
{
    g_autoptr(KeyValues) kv = keyvals_parse(options, "driver", error);

    return kv ? device_add(kv, hotplug, error) : NULL;
}

static void test_device_add(void)
{
    g_autoptr(GError) error = NULL;
    Device *d = add("test-thing,id=dev0,u8=3,text=x,,y", false, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(d->id, ==, "dev0");
    g_assert_true(object_find("/machine/peripheral/dev0") == &d->obj);
    static const char *const wrong[][2] = {
        {"nonsense", "no device type 'nonsense'"}, {"device", "no device type 'device'"}, {"id=x", "'driver' is missing"},
        {"test-sub", "belongs to machines"},      {"test-thing,id=dev0", "dev0"},
        {"test-thing,id=0x", "not valid"},        {"test-thing,u8=999", "0 to 255"},
        {"test-thing,bus=none", "none"},          {"test-thing,refuse=on", "refuse"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        g_autoptr(GError) e = NULL;

        g_assert_null(add(wrong[i][0], false, &e));
        if (!strstr(e->message, wrong[i][1])) {
            g_error("%s: '%s'", wrong[i][0], e->message);
        }
    }
    device_unrealize(d);
    object_unparent(&d->obj);
}

/* ---- hot-plug ---- */

static Device *asked;
static bool ask_guest(void *bus, Device *dev, GError **error)
{
    asked = dev;
    return true;
}
static const BusOps cold_ops = {.kind = "cold"}, hot_ops = {.kind = "hot", .handler.hotplug = true},
                    polite_ops = {.kind = "polite", .handler = {.hotplug = true, .unplug_request = ask_guest}};
#define ON_BUS(ident, type_name, kind) \
    DEVICE_TYPE(ident, Thing, .name = type_name, .bus = kind, .user_creatable = true, .props = PROPS(thing_props), \
                .realize = thing_realize, .reset_enter = thing_enter, .reset_hold = thing_hold, .reset_exit = thing_exit)
ON_BUS(test_cold, "test-cold", "cold");
ON_BUS(test_hot, "test-hot", "hot");
ON_BUS(test_polite, "test-polite", "polite");

static GString *events;
static void note_event(const char *name, json_t *data)
{
    g_string_append_printf(events, "%s %s %s;", name, json_string_value(json_object_get(data, "device")),
                           json_string_value(json_object_get(data, "path")));
    json_decref(data);
}

static void refused(Device *dev, bool ok, GError **error, const char *text)
{
    g_assert_true(!dev && !ok && *error);
    if (!strstr((*error)->message, text)) {
        g_error("expected '%s': '%s'", text, (*error)->message);
    }
    g_clear_error(error);
}

static void test_hotplug(void)
{
    g_autoptr(GError) error = NULL;
    Object *box = object_container("/machine/unattached");

    qapi_event_sink = note_event;
    events = g_string_new(NULL);
    g_string_truncate(trace, 0);
    bus_new(&cold_ops, box, "cold.0");
    bus_new(&hot_ops, box, "hot.0");
    bus_new(&polite_ops, box, "polite.0");
    refused(add("test-thing", true, &error), false, &error, "on no bus");
    refused(add("test-cold,id=c", true, &error), false, &error, "bus 'cold.0' of kind cold does not allow");
    refused(add("test-hot,bus=cold.0", true, &error), false, &error, "does not fit bus 'cold.0'");
    refused(add("test-hot,id=h,refuse=on", true, &error), false, &error, "asked to refuse");
    refused(add("test-hot,id=h,u8=999", true, &error), false, &error, "0 to 255");
    refused(NULL, device_del("nosuch", &error), &error, "'nosuch'");
    refused(NULL, device_del("/machine/peripheral", &error), &error, "not a device");
    g_assert_null(object_find("/machine/peripheral/h"));

    g_assert_nonnull(add("test-cold,id=c", false, &error));
    refused(NULL, device_del("c", &error), &error, "cold.0");
    g_assert_nonnull(add("test-hot,id=h", true, &error));
    g_assert_cmpstr(trace->str, ==, "eh hh xh "); /* a new device is reset */
    g_assert_nonnull(add("test-hot", true, &error));
    Device *polite = add("test-polite,id=p", true, &error);
    g_assert_true(device_del("h", &error) && device_del("/machine/peripheral-anon/device[0]", &error));
    g_assert_cmpstr(events->str, ==, "DEVICE_DELETED h /machine/peripheral/h;DEVICE_DELETED (null) /machine/peripheral-anon/device[0];");
    g_string_truncate(events, 0);
    g_assert_true(device_del("p", &error));
    g_assert_true(asked == polite && object_find("/machine/peripheral/p") && !events->len);
    device_remove(polite); /* the guest agrees */
    g_assert_null(object_find("/machine/peripheral/p"));
    g_assert_cmpstr(events->str, ==, "DEVICE_DELETED p /machine/peripheral/p;");
    device_remove(DEVICE(object_find("/machine/peripheral/c")));
    qapi_event_sink = NULL;
    g_string_free(events, TRUE);
}

static void test_reset(void)
{
    Thing *a = thing(), *b = thing();
    Object *box = object_container("/reset-box");

    object_add_child(box, "a", &a->dev.obj);
    object_add_child(&a->dev.obj, "b", &b->dev.obj);
    g_assert_true(device_realize(&a->dev, NULL) && device_realize(&b->dev, NULL));
    g_string_truncate(trace, 0);
    object_reset_tree(box);
    g_assert_cmpstr(trace->str, ==, "ea eb ha hb xa xb ");
    device_unrealize(&b->dev);
    device_unrealize(&a->dev);
    object_unref(&b->dev.obj);
    object_unref(&a->dev.obj);
    object_unparent(box);
}

static void test_help(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    object_type_help(object_type_find("test-thing"), f);
    device_list_help(f);
    fclose(f);
    g_assert_true(g_str_has_prefix(text, "test-thing options:\n  colour=<red|green>     - paint (default: green)\n"));
    g_assert_nonnull(strstr(text, "  u8=<uint8>             - a byte (default: 7)\n"));
    g_assert_nonnull(strstr(text, "  u32=<uint32>           -  (default: 4294967295)\n"));
    g_assert_nonnull(strstr(text, "  friend=<link<test-thing>>\n"));
    g_assert_nonnull(strstr(text, "name \"test-thing\", alias \"thing\", desc \"a thing\"\n"));
    g_assert_null(strstr(text, "name \"test-sub\""));
    free(text);
}

static void test_irq(void)
{
    Thing *t = thing();
    Irq *in[3], *both;

    irq_or(device_irq_in(&t->dev, 1), 3, in);
    irq_set(in[0], true);
    irq_set(in[1], true);
    irq_set(in[0], false);
    g_assert_true(t->last_level);
    irq_set(in[1], false);
    g_assert_false(t->last_level);
    both = irq_split(in[0], device_irq_in(&t->dev, 2));
    irq_set(both, true);
    g_assert_cmpuint(t->last_line, ==, 2);
    g_assert_true(t->last_level);
    irq_set(NULL, true); /* an open wire */
    object_unref(&t->dev.obj);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    trace = g_string_new(NULL);
    bql_lock();
    g_test_add_func("/object/types", test_types);
    g_test_add_func("/object/defaults", test_defaults);
    g_test_add_func("/object/properties", test_properties);
    g_test_add_func("/object/property-list", test_list);
    g_test_add_func("/object/tree", test_tree);
    g_test_add_func("/object/device", test_device);
    g_test_add_func("/object/device-add", test_device_add);
    g_test_add_func("/object/hotplug", test_hotplug);
    g_test_add_func("/object/reset", test_reset);
    g_test_add_func("/object/help", test_help);
    g_test_add_func("/object/irq", test_irq);
    g_test_add_func("/object/globals", test_globals);
    return g_test_run();
}
