/*
 * tests/qapi/test-qapi.c: generated code and the table walker, on a schema that has everything.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qapi-commands.h"
#include "qapi-events.h"
#include "util/report.h"

/* ---- commands of the test schema ---- */

/* Deep copies by way of JSON, so that both directions are used. */
static void *copy(const QapiType *type, const void *value)
{
    void *out;
    json_t *json = qapi_to_json(type, &value);
    g_assert_true(qapi_from_json(type, json, &out, NULL, false, NULL));
    json_decref(json);
    return out;
}

QapiFigure *qmp_give_figure(const QmpGiveFigureArg *arg, GError **error)
{
    return copy(&qapi_type_Figure, arg->figure);
}

QapiDerived *qmp_give_derived(const QapiDerived *arg, GError **error)
{
    return copy(&qapi_type_Derived, arg);
}

QapiInts *qmp_give_ints(const QapiInts *arg, GError **error)
{
    return copy(&qapi_type_Ints, arg);
}

QapiLists *qmp_give_lists(const QapiLists *arg, GError **error)
{
    return copy(&qapi_type_Lists, arg);
}

QapiBase *qmp_give_alternate(const QmpGiveAlternateArg *arg, GError **error)
{
    static const char *const names[] = {"text", "figure", "number", "nothing"};
    QapiBase *base = g_new0(QapiBase, 1);
    base->name = g_strdup(names[arg->value->is]);
    if (arg->value->is == QAPI_STRING_OR_FIGURE_IS_TEXT) {
        base->note = g_strdup(arg->value->u.text);
    }
    return base;
}

int64_t qmp_give_int(GError **error)
{
    return INT64_MIN;
}

GPtrArray *qmp_give_strings(GError **error)
{
    GPtrArray *list = g_ptr_array_new();
    g_ptr_array_add(list, g_strdup("a"));
    g_ptr_array_add(list, g_strdup("not \xff UTF-8"));
    return list;
}

json_t *qmp_give_any(const QmpGiveAnyArg *arg, GError **error)
{
    return json_incref(arg->value);
}

bool qmp_x_give_marked(const QmpXGiveMarkedArg *arg, GError **error)
{
    return arg->marked->has_plain;
}

bool qmp_fail(GError **error)
{
    return error_set(error, "as asked");
}

bool qmp_raw(json_t *arguments, GError **error)
{
    return json_object_get(arguments, "extra") || error_set(error, "no extra");
}

/* ---- helpers ---- */

/* "-" for an error; then *message has it. */
static char *run(const char *name, const char *arguments, char **message)
{
    g_autoptr(GError) error = NULL;
    const QmpCommand *cmd = qmp_command_find(name);
    g_assert_nonnull(cmd);
    json_t *json = arguments ? json_loads(arguments, 0, NULL) : NULL;
    g_assert_true(!arguments || json);
    json_t *reply = qmp_command_call(cmd, json, &error);
    json_decref(json);
    g_assert_true(!reply == (error != NULL));
    if (!reply) {
        *message = g_strdup(error->message);
        return g_strdup("-");
    }
    *message = NULL;
    char *text = json_dumps(reply, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(reply);
    return text;
}

static void same(const char *name, const char *arguments)
{
    g_autofree char *message = NULL, *reply = run(name, arguments, &message);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_cmpstr(reply, ==, arguments);
}

static void gives(const char *name, const char *arguments, const char *expected)
{
    g_autofree char *message = NULL, *reply = run(name, arguments, &message);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_cmpstr(reply, ==, expected);
}

static void refused(const char *name, const char *arguments, const char *part)
{
    g_autofree char *message = NULL, *reply = run(name, arguments, &message);
    g_assert_cmpstr(reply, ==, "-");
    if (!strstr(message, part)) {
        g_error("%s %s: '%s' lacks '%s'", name, arguments, message, part);
    }
}

/* ---- tests ---- */

static void test_round_trips(void)
{
    same("give-derived", "{\"name\":\"x\",\"count\":-5}");
    same("give-derived", "{\"name\":\"\",\"note\":\"\303\244\",\"count\":9223372036854775807,\"flag\":false,\"color\":\"light-green\"}");
    same("give-ints", "{}");
    same("give-ints", "{\"i8\":-128,\"u8\":255,\"i16\":-32768,\"u16\":65535,\"i32\":-2147483648,\"u32\":4294967295,"
                      "\"u64\":9223372036854775807,\"size\":0}");
    same("give-lists", "{\"strings\":[],\"ints\":[1,-1],\"bools\":[true,false],\"colors\":[\"red\"],\"objects\":[{\"name\":\"a\",\"count\":0}]}");
    gives("give-figure", "{\"figure\":{\"shape\":\"circle\",\"radius\":2}}", "{\"shape\":\"circle\",\"radius\":2.0}");
    gives("give-figure", "{\"figure\":{\"default\":true,\"width\":3,\"shape\":\"box\",\"color\":\"red\"}}",
          "{\"shape\":\"box\",\"color\":\"red\",\"width\":3,\"default\":true}");
    gives("give-figure", "{\"figure\":{\"shape\":\"point\"}}", "{\"shape\":\"point\"}");
    gives("give-alternate", "{\"value\":\"t\"}", "{\"name\":\"text\",\"note\":\"t\"}");
    gives("give-alternate", "{\"value\":{\"shape\":\"point\"}}", "{\"name\":\"figure\"}");
    gives("give-alternate", "{\"value\":5}", "{\"name\":\"number\"}");
    gives("give-alternate", "{\"value\":null}", "{\"name\":\"nothing\"}");
    gives("give-int", NULL, "-9223372036854775808");
    gives("give-strings", "{}", "[\"a\",\"not \357\277\275 UTF-8\"]");
    gives("give-any", "{\"value\":[null,{\"x\":1.5}]}", "[null,{\"x\":1.5}]");
    gives("raw", "{\"known\":1,\"extra\":[]}", "{}");
}

static void test_refusals(void)
{
    refused("fail", NULL, "as asked");
    refused("fail", "{\"x\":1}", "'x' is unexpected; valid: none");
    refused("give-derived", NULL, "'name' is missing");
    refused("give-derived", "{\"name\":\"x\",\"count\":1.5}", "'count': expected integer, got number");
    refused("give-derived", "{\"name\":null,\"count\":1}", "'name': expected string, got null");
    refused("give-derived", "{\"name\":\"x\",\"count\":1,\"colour\":\"red\"}", "did you mean 'color'");
    refused("give-derived", "{\"name\":\"x\",\"count\":1,\"color\":\"hidden\"}", "valid: red, light-green");
    refused("give-ints", "{\"i8\":128}", "'i8': 128 is out of range; valid: -128 to 127");
    refused("give-ints", "{\"u64\":-1}", "'u64': -1 is out of range");
    refused("give-ints", "{\"u32\":4294967296}", "4294967295");
    refused("give-lists", "{\"strings\":[\"a\",1],\"ints\":[],\"bools\":[],\"colors\":[]}", "'strings[1]': expected string");
    refused("give-lists", "{\"strings\":[],\"ints\":[],\"bools\":[],\"colors\":[],\"objects\":[{\"name\":\"a\",\"count\":[]}]}",
            "'objects[0].count'");
    refused("give-figure", "{\"figure\":{\"shape\":\"circle\"}}", "'figure.radius' is missing");
    refused("give-figure", "{\"figure\":{\"shape\":\"circle\",\"radius\":1,\"width\":1}}", "'figure.width' is unexpected");
    refused("give-figure", "{\"figure\":{\"shape\":\"point\",\"radius\":1}}", "'figure.radius' is unexpected");
    refused("give-figure", "{\"figure\":[]}", "'figure': expected object, got array");
    refused("give-alternate", "{\"value\":true}", "expected str or Figure or int or null, got boolean");
    refused("give-alternate", "{\"value\":{}}", "'value.shape' is missing");
    refused("raw", "{\"known\":\"x\"}", "'known': expected integer");
    refused("raw", "{}", "no extra");
}

static void test_lookup(void)
{
    g_assert_null(qmp_command_find("compiled-out"));
    g_assert_null(qmp_command_find(""));
    g_assert_null(qmp_command_find("zzz"));
    for (unsigned i = 0; i < qmp_command_count; i++) {
        g_assert_true(qmp_command_find(qmp_commands[i].name) == &qmp_commands[i]);
    }
}

static char *last_event;
static void sink(const char *name, json_t *data)
{
    g_autofree char *text = data ? json_dumps(data, JSON_COMPACT) : g_strdup("");
    g_free(last_event);
    last_event = g_strconcat(name, text, NULL);
    json_decref(data);
}

static void test_events(void)
{
    qapi_event_send_plain(); /* to nobody */
    qapi_event_sink = sink;
    qapi_event_send_plain();
    g_assert_cmpstr(last_event, ==, "PLAIN");
    QapiFigure figure = {.shape = QAPI_SHAPE_BOX, .u.box = {.width = 7}};
    qapi_event_send_with_data(&(QapiEventWithDataArg){.color = QAPI_COLOR_LIGHT_GREEN, .figure = &figure});
    g_assert_cmpstr(last_event, ==, "WITH_DATA{\"color\":\"light-green\",\"figure\":{\"shape\":\"box\",\"width\":7}}");
    g_free(last_event);
}

static void test_introspection(void)
{
    json_t *schema = qapi_schema_json(), *entity;
    size_t i;
    unsigned found = 0;
    json_array_foreach(schema, i, entity) {
        const char *name = json_string_value(json_object_get(entity, "name"));
        g_autofree char *text = json_dumps(entity, JSON_COMPACT | JSON_SORT_KEYS);
        g_assert_null(strstr(text, "feature-off"));
        g_assert_null(strstr(text, "hidden"));
        g_assert_cmpstr(name, !=, "compiled-out");
        if (g_str_equal(name, "Figure")) {
            found++;
            g_assert_cmpstr(text, ==, "{\"members\":[{\"name\":\"shape\",\"type\":\"Shape\"},{\"default\":null,\"name\":\"color\",\"type\":\"Color\"}],"
                            "\"meta-type\":\"object\",\"name\":\"Figure\",\"tag\":\"shape\",\"variants\":[{\"case\":\"circle\",\"type\":\"CircleOptions\"},"
                            "{\"case\":\"box\",\"type\":\"BoxOptions\"},{\"case\":\"point\",\"type\":\"q_empty\"}]}");
        } else if (g_str_equal(name, "Marked")) {
            found++;
            g_assert_cmpstr(text, ==, "{\"features\":[\"feature-two\"],\"members\":["
                            "{\"default\":null,\"features\":[\"unstable\"],\"name\":\"x-new\",\"type\":\"int\"},"
                            "{\"default\":null,\"features\":[\"deprecated\"],\"name\":\"old\",\"type\":\"Age\"},"
                            "{\"default\":null,\"name\":\"plain\",\"type\":\"int\"}],\"meta-type\":\"object\",\"name\":\"Marked\"}");
        } else if (g_str_equal(name, "Age")) {
            found++;
            g_assert_cmpstr(text, ==, "{\"members\":[{\"name\":\"young\"},{\"features\":[\"deprecated\"],\"name\":\"old\"}],"
                            "\"meta-type\":\"enum\",\"name\":\"Age\",\"values\":[\"young\",\"old\"]}");
        } else if (g_str_equal(name, "x-give-marked")) {
            found++;
            g_assert_cmpstr(text, ==, "{\"allow-oob\":false,\"arg-type\":\"q_obj_x-give-marked-arg\",\"features\":[\"unstable\",\"deprecated\"],"
                            "\"meta-type\":\"command\",\"name\":\"x-give-marked\",\"ret-type\":\"q_empty\"}");
        } else if (g_str_equal(name, "q_obj_x-give-marked-arg")) {
            found++;
            g_assert_nonnull(strstr(text, "{\"features\":[\"deprecated\"],\"name\":\"marked\",\"type\":\"Marked\"}"));
        } else if (g_str_equal(name, "OLD")) {
            found++;
            g_assert_nonnull(strstr(text, "\"features\":[\"deprecated\"]"));
        } else if (g_str_equal(name, "give-derived")) {
            found++;
            g_assert_cmpstr(text, ==, "{\"allow-oob\":false,\"arg-type\":\"Derived\",\"features\":[\"feature-one\"],\"meta-type\":\"command\","
                            "\"name\":\"give-derived\",\"ret-type\":\"Derived\"}");
        }
    }
    g_assert_cmpuint(found, ==, 7);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/round-trips", test_round_trips);
    g_test_add_func("/qapi/refusals", test_refusals);
    g_test_add_func("/qapi/lookup", test_lookup);
    g_test_add_func("/qapi/events", test_events);
    g_test_add_func("/qapi/introspection", test_introspection);
    return g_test_run();
}
