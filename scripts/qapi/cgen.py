# scripts/qapi/cgen.py: C types, tables, command wrappers and event emitters of a schema.
# SPDX-License-Identifier: GPL-2.0-or-later
import contextlib
import re

from .schema import BUILTINS

NOTICE = '/* Made by scripts/qapi-gen.py from the schema; changes here are lost. SPDX-License-Identifier: GPL-2.0-or-later */\n'
KEYWORDS = set('''auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool errno unix linux i386'''.split())


def c_name(name):
    name = re.sub(r'[^A-Za-z0-9_]', '_', name)
    return 'q_' + name if name in KEYWORDS or name[0].isdigit() else name


def camel(name):
    return ''.join(p[:1].upper() + p[1:] for p in re.split(r'[-_]', name))


def upper(name):
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    name = re.sub(r'([A-Z])([A-Z][a-z])', r'\1_\2', name)
    return re.sub(r'[^A-Za-z0-9]', '_', name).upper()


def struct_name(entity):
    """The C type of an object, alternate or enum."""
    if entity.implicit:
        kind = 'commands' if entity.expr.value.get('command') else 'events'
        return f'{"Qmp" if kind == "commands" else "QapiEvent"}{camel(entity.name.lower() if kind == "events" else entity.name)}Arg'
    return 'Qapi' + entity.name


def enum_const(entity, value):
    return f'QAPI_{upper(entity.name)}_{re.sub(r"[^A-Za-z0-9]", "_", value).upper()}'


def is_pointer(t):
    return t.kind in ('object', 'alternate', 'array') or t.name in ('str', 'any')


def c_type(t):
    """Of a member, with the space or star that goes before its name."""
    if t.kind == 'builtin':
        return BUILTINS[t.name][1]
    if t.kind == 'enum':
        return struct_name(t) + ' '
    if t.kind == 'array':
        return 'GPtrArray *' if is_pointer(t.element) else 'GArray *'
    return struct_name(t) + ' *'


def table_name(t):
    if t.kind == 'array':
        return 'qapi_type_list_' + table_name(t.element)[len('qapi_type_'):]
    return 'qapi_type_' + (struct_name(t) if t.implicit else t.name)


class Out:
    def __init__(self):
        self.parts = [NOTICE]

    def __call__(self, text=''):
        self.parts.append(text + '\n')

    @contextlib.contextmanager
    def cond(self, *conds):
        conds = [c for c in dict.fromkeys(conds) if c]
        for c in conds:
            self(f'#if {c}')
        yield
        for c in conds:
            self('#endif')

    def text(self):
        return ''.join(self.parts)


class CGen:
    def __init__(self, schema, prefix='qapi/'):
        self.schema, self.prefix = schema, prefix  # prefix: of the generated headers' names in #include
        implicit = [e.arg for e in list(schema.commands.values()) + list(schema.events.values()) if e.arg is not None and e.arg.implicit]
        types = [t for t in schema.all_types() if t.kind != 'builtin'] + implicit
        self.enums = [t for t in types if t.kind == 'enum']
        self.arrays = [t for t in types if t.kind == 'array']
        self.structs = self._ordered([t for t in types if t.kind in ('object', 'alternate')])

    @staticmethod
    def _ordered(structs):
        """Unions embed their branches: those come first."""
        done, order = set(), []

        def visit(t):
            if id(t) in done:
                return
            done.add(id(t))
            if t.kind == 'object':
                for v in t.variants:
                    visit(v.type)
            order.append(t)
        for t in structs:
            visit(t)
        return order

    # ---- types ----

    def types_h(self):
        o = Out()
        o('#pragma once\n#include "qapi/qapi.h"\n')
        for e in self.enums:
            with o.cond(e.cond):
                o(f'typedef enum {struct_name(e)} {{')
                for v in e.values:
                    with o.cond(v.cond):
                        o(f'    {enum_const(e, v.name)},')
                o(f'    QAPI_{upper(e.name)}__MAX,\n}} {struct_name(e)};')
                o(f'extern const char *const qapi_names_{e.name}[];')
                o(f'static inline const char *qapi_{e.name}_str({struct_name(e)} v) {{ return qapi_names_{e.name}[v]; }}\n')
        for t in self.structs:
            with o.cond(t.cond):
                o(f'typedef struct {struct_name(t)} {struct_name(t)};')
        o()
        for t in self.structs:
            with o.cond(t.cond):
                self._struct(o, t)
        for t in [x for x in self.schema.all_types() if x.kind == 'builtin'] + self.enums + self.structs + self.arrays:
            with o.cond(t.cond):
                o(f'extern const QapiType {table_name(t)};')
        o()
        for t in self.structs:
            with o.cond(t.cond):
                n = struct_name(t)
                o(f'static inline void qapi_free_{n}({n} *p) {{ qapi_free(&{table_name(t)}, p); }}')
                o(f'G_DEFINE_AUTOPTR_CLEANUP_FUNC({n}, qapi_free_{n})')
        return o.text()

    def _member(self, o, m, indent='    '):
        with o.cond(m.cond):
            if m.optional and not is_pointer(m.type):
                o(f'{indent}bool has_{c_name(m.name)};')
            o(f'{indent}{c_type(m.type)}{c_name(m.name)};')

    def _struct(self, o, t):
        o(f'struct {struct_name(t)} {{')
        if t.kind == 'alternate':
            o('    enum { ' + ', '.join(f'QAPI_{upper(t.name)}_IS_{upper(v.name)}' for v in t.variants) + ' } is;')
            o('    union {')
            for v in t.variants:
                self._member(o, v, '        ')
            o('    } u;')
        else:
            for m in t.members():
                self._member(o, m)
            if t.variants:
                o('    union {')
                for v in t.variants:
                    with o.cond(v.cond):
                        o(f'        {struct_name(v.type)} {c_name(v.name)};')
                o('    } u;')
            if not t.members():
                o('    char empty_; /* C has no empty structs */')
        o('};\n')

    def types_c(self):
        o = Out()
        o('#include "' + self.prefix + 'qapi-types.h"\n')
        for n, (json, ctype) in BUILTINS.items():
            kind = {'str': 'STR', 'number': 'NUMBER', 'bool': 'BOOL', 'null': 'NULL', 'any': 'ANY'}.get(
                n, 'UINT' if n.startswith('uint') or n == 'size' else 'INT')
            o(f'const QapiType qapi_type_{n} = {{.kind = QAPI_{kind}, .name = "{n}", .size = sizeof({ctype.strip()})}};')
        o()
        for e in self.enums:
            with o.cond(e.cond):
                o(f'const char *const qapi_names_{e.name}[] = {{')
                for v in e.values:
                    with o.cond(v.cond):
                        o(f'    "{v.name}",')
                o('    NULL};')
                o(f'const QapiType {table_name(e)} = {{.kind = QAPI_ENUM, .name = "{e.name}", .size = sizeof(int), .names = qapi_names_{e.name}}};\n')
        for t in self.arrays:
            with o.cond(t.cond):
                o(f'const QapiType {table_name(t)} = {{.kind = QAPI_ARRAY, .name = "{t.name}", .element = &{table_name(t.element)}}};')
        o()
        for t in self.structs:
            with o.cond(t.cond):
                self._table(o, t)
        return o.text()

    def _table(self, o, t):
        n, base = struct_name(t), table_name(t)
        extra = ''
        if t.kind == 'object' and t.members():
            o(f'static const QapiMember {base}_members[] = {{')
            for m in t.members():
                has = f'offsetof({n}, has_{c_name(m.name)})' if m.optional and not is_pointer(m.type) else 'QAPI_NO_FLAG'
                with o.cond(m.cond):
                    o(f'    {{"{m.name}", &{table_name(m.type)}, offsetof({n}, {c_name(m.name)}), {has}, {"true" if m.optional else "false"}}},')
            o('};')
            extra += f', .members = {base}_members, .n_members = ARRAY_SIZE({base}_members)'
        if t.variants:
            o(f'static const QapiVariant {base}_variants[] = {{')
            for i, v in enumerate(t.variants):
                tag = str(i) if t.kind == 'alternate' else enum_const(t.tag().type, v.name)
                with o.cond(v.cond):
                    o(f'    {{{tag}, &{table_name(v.type)}, offsetof({n}, u.{c_name(v.name)})}},')
            o('};')
            extra += f', .variants = {base}_variants, .n_variants = ARRAY_SIZE({base}_variants)'
        if t.kind == 'object' and t.variants:
            index = [m.name for m in t.members()].index(t.tag_name)
            assert not any(m.cond for m in t.members()[:index])
            extra += f', .tag = &{base}_members[{index}]'
        kind = 'ALTERNATE' if t.kind == 'alternate' else 'OBJECT'
        o(f'const QapiType {base} = {{.kind = QAPI_{kind}, .name = "{t.name}", .size = sizeof({n}){extra}}};\n')

    # ---- commands ----

    def _prototype(self, c):
        ret = 'bool ' if c.ret is None else c_type(c.ret) if c.gen else 'json_t *'
        arg = '' if c.arg is None and c.gen else 'json_t *arguments, ' if not c.gen else f'const {struct_name(c.arg)} *arg, '
        return f'{ret}qmp_{c_name(c.name)}({arg}GError **error)'

    def commands_h(self):
        o = Out()
        o('/* What a command\'s function must be like. Those that return nothing answer false with an error, the\n'
          ' * others signal by the error being set; what they return is freed by the caller. */')
        o('#pragma once\n#include "' + self.prefix + 'qapi-types.h"\n')
        for c in self.schema.commands.values():
            with o.cond(c.cond):
                o(self._prototype(c) + ';')
        return o.text()

    def commands_c(self):
        o = Out()
        o('#include "' + self.prefix + 'qapi-commands.h"\n')
        commands = sorted(self.schema.commands.values(), key=lambda c: c.name.encode())
        for c in commands:
            with o.cond(c.cond):
                self._wrapper(o, c)
        o('const QmpCommand qmp_commands[] = {')
        for c in commands:
            with o.cond(c.cond):
                flags = ''.join(f', .{f} = true' for f, on in (('raw', not c.gen), ('oob', c.oob), ('preconfig', c.preconfig)) if on)
                o(f'    {{.name = "{c.name}", .arg = {"&" + table_name(c.arg) if c.arg is not None else "NULL"}, '
                  f'.ret = {"&" + table_name(c.ret) if c.ret is not None else "NULL"}{flags}, .call = call_{c_name(c.name)}}},')
        o('};\nconst unsigned qmp_command_count = ARRAY_SIZE(qmp_commands);')
        return o.text()

    def _wrapper(self, o, c):
        arg = 'arg, ' if c.arg is not None or not c.gen else ''
        o(f'static json_t *call_{c_name(c.name)}(void *arg, GError **error)\n{{')
        if c.ret is None:
            o(f'    return qmp_{c_name(c.name)}({arg}error) ? json_object() : NULL;\n}}\n')
            return
        if not c.gen:
            o(f'    return qmp_{c_name(c.name)}({arg}error);\n}}\n')
            return
        o(f'    GError *local = NULL;\n    {c_type(c.ret)}ret = qmp_{c_name(c.name)}({arg}&local);')
        o('    if (local) {\n        g_propagate_error(error, local);\n        return NULL;\n    }')
        o(f'    return qapi_take_json(&{table_name(c.ret)}, &ret);\n}}\n')

    # ---- events ----

    def _event_prototype(self, e):
        arg = f'const {struct_name(e.arg)} *data' if e.arg is not None else 'void'
        return f'void qapi_event_send_{c_name(e.name.lower())}({arg})'

    def events_h(self):
        o = Out()
        o('#pragma once\n#include "' + self.prefix + 'qapi-types.h"\n')
        for e in self.schema.events.values():
            with o.cond(e.cond):
                o(self._event_prototype(e) + ';')
        return o.text()

    def events_c(self):
        o = Out()
        o('#include "' + self.prefix + 'qapi-events.h"\n')
        for e in self.schema.events.values():
            with o.cond(e.cond):
                a = (f'&{table_name(e.arg)}', 'data') if e.arg is not None else ('NULL', 'NULL')
                o(f'{self._event_prototype(e)}\n{{\n    qapi_event_emit("{e.name}", {a[0]}, {a[1]});\n}}\n')
        return o.text()
