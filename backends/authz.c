/*
 * backends/authz.c: see authz.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "backends/authz.h"
#include <fnmatch.h>
#include "qapi/qapi-types.h"
#include "util/report.h"

struct Authz {
    Object obj;
    bool (*allows)(const Authz *a, const char *identity);
};

bool authz_allows(const Authz *a, const char *identity)
{
    return a->allows(a, identity);
}

Authz *authz_find(const char *id, GError **error)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    Object *obj = object_find(path);
    if (!obj || !object_type_is(obj->type, "authz")) {
        error_set(error, "no authorization object with id '%s'; -object authz-list,id=%s,... makes one", id, id);
        return NULL;
    }
    return (Authz *)obj;
}

OBJECT_TYPE(authz, Authz, .name = "authz", .abstract = true);

/* ---- one ---- */

typedef struct {
    Authz authz;
    char *identity;
} SimpleAuthz;

static bool simple_allows(const Authz *a, const char *identity)
{
    return g_str_equal(((const SimpleAuthz *)a)->identity, identity);
}

static bool simple_complete(Object *obj, GError **error)
{
    SimpleAuthz *s = (SimpleAuthz *)obj;
    s->authz.allows = simple_allows;
    return s->identity || error_set(error, "authz-simple: parameter 'identity' is missing");
}

static const Property simple_props[] = {PROP_STRING("identity", SimpleAuthz, identity, NULL, "Who may come in")};
OBJECT_TYPE(authz_simple, SimpleAuthz, .name = "authz-simple", .parent = "authz", .summary = "One who may come in", .props = PROPS(simple_props),
            .complete = simple_complete);

/* ---- a list of rules ---- */

typedef struct {
    Authz authz;
    int policy;       /* for whom no rule is */
    GPtrArray *rules; /* of QapiQAuthZListRule; NULL: none */
} ListAuthz;

static bool rule_is_for(const QapiQAuthZListRule *r, const char *identity)
{
    bool glob = r->has_format && r->format == QAPI_Q_AUTH_Z_LIST_FORMAT_GLOB;
    return glob ? fnmatch(r->match, identity, 0) == 0 : g_str_equal(r->match, identity);
}

/* The first rule that is for them counts. */
static bool list_allows(const Authz *a, const char *identity)
{
    const ListAuthz *l = (const ListAuthz *)a;
    for (unsigned i = 0; l->rules && i < l->rules->len; i++) {
        const QapiQAuthZListRule *r = l->rules->pdata[i];
        if (rule_is_for(r, identity)) {
            return r->policy == QAPI_Q_AUTH_Z_LIST_POLICY_ALLOW;
        }
    }
    return l->policy == QAPI_Q_AUTH_Z_LIST_POLICY_ALLOW;
}

static bool set_rules(Object *obj, const Property *p, const char *text, GError **error)
{
    ListAuthz *l = (ListAuthz *)obj;
    GPtrArray *rules = NULL;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json ? qapi_from_json(&qapi_type_list_QAuthZListRule, json, &rules, "rules", false, error)
                   : error_set(error, "expected an array such as [{\"match\": \"CN=alice\", \"policy\": \"allow\"}]");
    json_decref(json);
    if (ok) {
        qapi_clear(&qapi_type_list_QAuthZListRule, &l->rules);
        l->rules = rules;
    }
    return ok;
}

static char *get_rules(Object *obj, const Property *p)
{
    const ListAuthz *l = (ListAuthz *)obj;
    json_t *json = l->rules ? qapi_to_json(&qapi_type_list_QAuthZListRule, &l->rules) : json_array();
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void list_finalize(Object *obj)
{
    qapi_clear(&qapi_type_list_QAuthZListRule, &((ListAuthz *)obj)->rules);
}

static bool list_complete(Object *obj, GError **error)
{
    ((ListAuthz *)obj)->authz.allows = list_allows;
    return true;
}

static const char *const rules_type[] = {"QAuthZListRuleList", NULL};
static const Property list_props[] = {
    PROP_ENUM("policy", ListAuthz, policy, qapi_names_QAuthZListPolicy, QAPI_Q_AUTH_Z_LIST_POLICY_DENY, "For whom no rule is"),
    {.name = "rules", .kind = PROPERTY_JSON, .names = rules_type, .late = true, .set = set_rules, .get = get_rules,
     .help = "Who may come in and who not; the first that is for them counts"},
};
OBJECT_TYPE(authz_list, ListAuthz, .name = "authz-list", .parent = "authz", .summary = "Rules who may come in", .props = PROPS(list_props),
            .complete = list_complete, .finalize = list_finalize);
