# scripts/qapi/schema.py: what a schema means, and the rules it must keep.
# SPDX-License-Identifier: GPL-2.0-or-later
import json
import re

from .parser import Parser, SchemaError

# name → (JSON type, C type)
BUILTINS = {
    'str': ('string', 'char *'), 'number': ('number', 'double '), 'int': ('int', 'int64_t '), 'int8': ('int', 'int8_t '),
    'int16': ('int', 'int16_t '), 'int32': ('int', 'int32_t '), 'int64': ('int', 'int64_t '), 'uint8': ('int', 'uint8_t '),
    'uint16': ('int', 'uint16_t '), 'uint32': ('int', 'uint32_t '), 'uint64': ('int', 'uint64_t '), 'size': ('int', 'uint64_t '),
    'bool': ('boolean', 'bool '), 'null': ('null', 'char '), 'any': ('value', 'json_t *'),
}
KEYS = {  # meta → (must, may)
    'struct': ({'data'}, {'base', 'if', 'features'}),
    'union': ({'data', 'base', 'discriminator'}, {'if', 'features'}),
    'alternate': ({'data'}, {'if', 'features'}),
    'enum': ({'data'}, {'if', 'features'}),
    'command': (set(), {'data', 'returns', 'if', 'features', 'gen', 'boxed', 'allow-oob', 'allow-preconfig', 'coroutine'}),
    'event': (set(), {'data', 'if', 'features', 'boxed'}),
}


class Feature:
    def __init__(self, name, cond):
        self.name, self.cond = name, cond


class Member:
    def __init__(self, name, type_name, optional=False, cond=None, features=()):
        self.name, self.type_name, self.optional, self.cond, self.features = name, type_name, optional, cond, list(features)
        self.type = None


class Entity:
    """A definition. kind: builtin, enum, array, object, alternate, command, event."""

    def __init__(self, kind, name, expr=None):
        self.kind, self.name, self.expr = kind, name, expr
        self.where = expr.where if expr else 'builtin'
        self.doc = expr.doc if expr else None
        self.cond, self.features = None, []
        self.own, self.base_name, self.base = [], None, None   # objects: Members, without the base's
        self.tag_name, self.variants = None, []                # unions: [Member]
        self.values = []                                       # enums: [Member]
        self.element = None                                    # arrays
        self.arg = self.ret = None                             # commands and events
        self.gen, self.oob, self.preconfig = True, False, False
        self.implicit = False

    def members(self):
        return (self.base.members() if self.base else []) + self.own

    def tag(self):
        return next(m for m in self.members() if m.name == self.tag_name)


class Schema:
    def __init__(self, path):
        parser = Parser(path)
        self.exprs, self.pragma, self.files = parser.exprs, parser.pragma, parser.files
        self.types = {n: Entity('builtin', n) for n in BUILTINS}
        self.commands, self.events = {}, {}
        self.order = []  # Entities and free Docs, as written
        for e in self.exprs:
            self._define(e)
        for entity in [x for x in self.order if isinstance(x, Entity)]:
            self._resolve(entity)
        for entity in [x for x in self.order if isinstance(x, Entity)]:
            self._check(entity)

    # ---- first pass: names and shapes ----

    def _define(self, e):
        if e.value is None:
            self.order.append(e.doc)
            return
        metas = [k for k in KEYS if k in e.value]
        if len(metas) != 1:
            raise SchemaError(e.where, f"expected one of {', '.join(KEYS)}; got {', '.join(e.value) or 'nothing'}")
        meta, name = metas[0], e.value[metas[0]]
        if not isinstance(name, str):
            raise SchemaError(e.where, f"the name of a {meta} must be a string")
        must, may = KEYS[meta]
        for k in e.value:
            if k != meta and k not in must | may:
                raise SchemaError(e.where, f"{meta} '{name}' has an unknown key '{k}'; valid: {', '.join(sorted(must | may))}")
        for k in must - set(e.value):
            raise SchemaError(e.where, f"{meta} '{name}' lacks '{k}'")
        self._name(meta, name, e.where)
        self._doc_of(meta, name, e)
        entity = Entity({'struct': 'object', 'union': 'object'}.get(meta, meta), name, e)
        entity.cond = self._cond(e.value.get('if'), e.where)
        entity.features = self._features(e.value.get('features', []), e.where)
        self._stability(name, entity.features, e.where, f"{meta} '{name}'")
        getattr(self, '_' + meta)(entity, e.value)
        table = {'command': self.commands, 'event': self.events}.get(meta, self.types)
        for other in table.values():
            if other.name.replace('_', '-') == name.replace('_', '-') or (meta not in ('command', 'event') and other.name.lower() == name.lower()):
                raise SchemaError(e.where, f"'{name}' is defined already, as '{other.name}' at {other.where}")
        table[name] = entity
        self.order.append(entity)

    def _name(self, meta, name, where):
        if meta == 'command':
            ok = re.fullmatch(r'[a-z][a-z0-9-]*', name) or name in self.pragma.get('command-name-exceptions', [])
            how = "lower case with '-'"
        elif meta == 'event':
            ok, how = re.fullmatch(r'[A-Z][A-Z0-9_]*', name), "upper case with '_'"
        else:
            ok, how = re.fullmatch(r'[A-Z][A-Za-z0-9]*', name), 'CamelCase'
            ok = ok and not name.endswith(('List', 'Kind'))
        if not ok:
            raise SchemaError(where, f"'{name}' is not the name of a {meta}: {how}")

    def _doc_of(self, meta, name, e):
        if e.doc is None:
            if self.pragma.get('doc-required'):
                raise SchemaError(e.where, f"{meta} '{name}' is not documented")
        elif e.doc.symbol != name:
            raise SchemaError(e.doc.where, f"this documents '@{e.doc.symbol}', but '{name}' follows")

    def _cond(self, cond, where):
        """An 'if' to a C preprocessor expression."""
        if cond is None:
            return None
        if isinstance(cond, str):
            if not re.fullmatch(r'[A-Z][A-Z0-9_]*', cond):
                raise SchemaError(where, f"'if': '{cond}' is not a macro's name")
            return f'defined({cond})'
        if isinstance(cond, dict) and len(cond) == 1:
            (op, v), = cond.items()
            if op == 'not':
                return f'!{self._cond(v, where)}'
            if op in ('all', 'any') and isinstance(v, list) and v:
                return '(' + (' && ' if op == 'all' else ' || ').join(self._cond(x, where) for x in v) + ')'
        raise SchemaError(where, "'if' must be a macro's name or one of {'all': […]}, {'any': […]}, {'not': …}")

    def _features(self, value, where):
        if not isinstance(value, list):
            raise SchemaError(where, "'features' must be an array")
        found = []
        for f in value:
            f = {'name': f} if isinstance(f, str) else f
            if not isinstance(f, dict) or not isinstance(f.get('name'), str) or set(f) - {'name', 'if'}:
                raise SchemaError(where, "a feature is a name, or an object with 'name' and 'if'")
            if not re.fullmatch(r'[a-z][a-z0-9-]*', f['name']):
                raise SchemaError(where, f"'{f['name']}' is not the name of a feature: lower case with '-'")
            if any(x.name == f['name'] for x in found):
                raise SchemaError(where, f"feature '{f['name']}' stands there twice")
            found.append(Feature(f['name'], self._cond(f.get('if'), where)))
        return found

    @staticmethod
    def _stability(name, features, where, what):
        """Programs look for the feature, people see the name."""
        if name.lower().startswith(('x-', 'x_')) and 'unstable' not in [f.name for f in features]:
            raise SchemaError(where, f"{what} needs the feature 'unstable', as its name says x-")

    def _members(self, data, where, what, variants=False):
        if not isinstance(data, dict):
            raise SchemaError(where, f"{what} must be an object")
        found = []
        for key, value in data.items():
            optional, name = key.startswith('*') and not variants, key.lstrip('*') if not variants else key
            if not re.fullmatch(r'[a-zA-Z0-9][a-zA-Z0-9_-]*' if variants else r'(x-)?[a-z][a-z0-9-]*', name) and \
                    name not in self.pragma.get('member-name-exceptions', []):
                raise SchemaError(where, f"{what}: '{key}' is not a member's name: lower case with '-'")
            if re.match(r'has[-_]', name) or name == 'u':
                raise SchemaError(where, f"{what}: the member name '{name}' is reserved")
            value = value if isinstance(value, dict) else {'type': value}
            if set(value) - {'type', 'if', 'features'} or 'type' not in value:
                raise SchemaError(where, f"{what}: member '{name}' takes 'type', 'if' and 'features' only")
            if any(m.name.replace('_', '-') == name.replace('_', '-') for m in found):
                raise SchemaError(where, f"{what}: '{name}' clashes with a member of the same name")
            features = self._features(value.get('features', []), where)
            if not variants:
                self._stability(name, features, where, f"{what}: member '{name}'")
            found.append(Member(name, self._type_name(value['type'], where, what, name), optional, self._cond(value.get('if'), where), features))
        return found

    def _type_name(self, t, where, what, member):
        if isinstance(t, str):
            return t
        if isinstance(t, list) and len(t) == 1 and isinstance(t[0], str):
            return [t[0]]
        raise SchemaError(where, f"{what}: the type of '{member}' must be a name or an array of one name")

    def _struct(self, entity, v):
        entity.own = self._members(v['data'], entity.where, f"struct '{entity.name}'")
        entity.base_name = v.get('base')
        if entity.base_name is not None and not isinstance(entity.base_name, str):
            raise SchemaError(entity.where, f"struct '{entity.name}': 'base' must be the name of a struct")

    def _union(self, entity, v):
        what = f"union '{entity.name}'"
        if isinstance(v['base'], str):
            entity.base_name = v['base']
        else:
            entity.own = self._members(v['base'], entity.where, f'{what} base')
        entity.tag_name = v['discriminator']
        entity.variants = self._members(v['data'], entity.where, what, variants=True)

    def _alternate(self, entity, v):
        entity.variants = self._members(v['data'], entity.where, f"alternate '{entity.name}'", variants=True)

    def _enum(self, entity, v):
        if not isinstance(v['data'], list):
            raise SchemaError(entity.where, f"enum '{entity.name}': 'data' must be an array")
        for x in v['data']:
            x = {'name': x} if isinstance(x, str) else x
            if not isinstance(x, dict) or not isinstance(x.get('name'), str) or set(x) - {'name', 'if', 'features'}:
                raise SchemaError(entity.where, f"enum '{entity.name}': a value is a name, or an object with 'name', 'if', 'features'")
            if not re.fullmatch(r'[a-z0-9][a-z0-9_-]*', x['name']) and x['name'] not in self.pragma.get('member-name-exceptions', []):
                raise SchemaError(entity.where, f"enum '{entity.name}': '{x['name']}' is not a value's name: lower case with '-'")
            if any(m.name.replace('_', '-') == x['name'].replace('_', '-') for m in entity.values):
                raise SchemaError(entity.where, f"enum '{entity.name}': value '{x['name']}' stands there twice")
            features = self._features(x.get('features', []), entity.where)
            self._stability(x['name'], features, entity.where, f"enum '{entity.name}': value '{x['name']}'")
            entity.values.append(Member(x['name'], None, cond=self._cond(x.get('if'), entity.where), features=features))

    def _flag(self, entity, v, key, default):
        if not isinstance(v.get(key, default), bool):
            raise SchemaError(entity.where, f"'{entity.name}': '{key}' must be true or false")
        return v.get(key, default)

    def _argument(self, entity, v):
        data = v.get('data')
        if isinstance(data, dict):
            if not data:
                return None
            arg = Entity('object', entity.name, entity.expr)
            arg.implicit, arg.cond = True, entity.cond
            arg.own = self._members(data, entity.where, f"{entity.kind} '{entity.name}'")
            return arg
        if data is not None and not isinstance(data, str):
            raise SchemaError(entity.where, f"{entity.kind} '{entity.name}': 'data' must be an object or a type's name")
        return data

    def _command(self, entity, v):
        entity.gen = self._flag(entity, v, 'gen', True)
        entity.oob = self._flag(entity, v, 'allow-oob', False)
        entity.preconfig = self._flag(entity, v, 'allow-preconfig', False)
        self._flag(entity, v, 'boxed', False)      # makes no difference here: arguments are always one struct
        self._flag(entity, v, 'coroutine', False)  # nor does this
        entity.arg = self._argument(entity, v)
        if 'returns' in v:
            entity.ret = self._type_name(v['returns'], entity.where, f"command '{entity.name}'", 'returns')

    def _event(self, entity, v):
        self._flag(entity, v, 'boxed', False)
        entity.arg = self._argument(entity, v)

    # ---- second pass: types ----

    def _find(self, name, where, what):
        if isinstance(name, list):
            key = f'[{name[0]}]'
            if key not in self.types:
                array = Entity('array', key)
                array.element = self._find(name[0], where, what)
                array.where, array.cond = where, array.element.cond
                self.types[key] = array
            return self.types[key]
        if name not in self.types:
            raise SchemaError(where, f"{what}: no type '{name}'")
        return self.types[name]

    def _resolve_object(self, entity, what):
        for m in entity.own + entity.variants:
            m.type = self._find(m.type_name, entity.where, f"{what}: member '{m.name}'")
        if entity.base_name:
            entity.base = self._find(entity.base_name, entity.where, what)
            if entity.base.kind != 'object' or entity.base.variants or entity.base.tag_name:
                raise SchemaError(entity.where, f"{what}: base '{entity.base_name}' is not a struct")

    def _resolve(self, entity):
        what = f"{entity.kind} '{entity.name}'"
        self._resolve_object(entity, what)
        if entity.kind in ('command', 'event'):
            if isinstance(entity.arg, str):
                entity.arg = self._find(entity.arg, entity.where, what)
                if entity.arg.kind != 'object':
                    raise SchemaError(entity.where, f"{what}: 'data' must be a struct or union, not {entity.arg.kind} '{entity.arg.name}'")
            elif entity.arg is not None:
                self._resolve_object(entity.arg, what)
        if entity.ret is not None:
            entity.ret = self._find(entity.ret, entity.where, what)

    # ---- third pass: rules between definitions ----

    def _check(self, entity):
        what = f"{entity.kind} '{entity.name}'"
        if entity.kind == 'object':
            self._check_object(entity, what)
        elif entity.kind == 'alternate':
            self._check_alternate(entity, what)
        elif entity.kind == 'command' and entity.ret is not None:
            inner = entity.ret.element if entity.ret.kind == 'array' else entity.ret
            if inner.kind != 'object' and entity.name not in self.pragma.get('command-returns-exceptions', []):
                raise SchemaError(entity.where, f"{what}: returns '{entity.ret.name}', which can never grow members; use a struct")
        self._check_docs(entity, what)

    def _check_object(self, entity, what):
        base, chain = entity.base, {entity.name}
        while base:
            if base.name in chain:
                raise SchemaError(entity.where, f"{what} is its own base")
            chain.add(base.name)
            base = base.base
        names = [m.name.replace('_', '-') for m in entity.members()]
        for n in names:
            if names.count(n) > 1:
                raise SchemaError(entity.where, f"{what}: member '{n}' clashes with one of its base")
        if entity.tag_name is None:
            return
        tag = next((m for m in entity.members() if m.name == entity.tag_name), None)
        if tag is None or tag.type.kind != 'enum':
            raise SchemaError(entity.where, f"{what}: discriminator '{entity.tag_name}' is not an enum member of the base")
        if tag.optional or tag.cond:
            raise SchemaError(entity.where, f"{what}: discriminator '{entity.tag_name}' may not be optional or have an 'if'")
        if not entity.variants:
            raise SchemaError(entity.where, f"{what} has no branches")
        for v in entity.variants:
            if v.name not in [x.name for x in tag.type.values]:
                raise SchemaError(entity.where, f"{what}: branch '{v.name}' is not a value of enum '{tag.type.name}'")
            if v.type.kind != 'object':
                raise SchemaError(entity.where, f"{what}: branch '{v.name}' must be a struct")
            if self._embeds(v.type, entity):
                raise SchemaError(entity.where, f"{what}: branch '{v.name}' has the union itself as a branch")
            for m in v.type.members():
                if m.name in [x.name for x in entity.members()]:
                    raise SchemaError(entity.where, f"{what}: member '{m.name}' of branch '{v.name}' clashes with the base")

    def _embeds(self, t, entity, seen=()):
        """t is the union `entity`, or one of t's branches is."""
        return t is entity or (t not in seen and any(self._embeds(v.type, entity, (*seen, t)) for v in t.variants))

    def _check_alternate(self, entity, what):
        taken = {}
        if not entity.variants:
            raise SchemaError(entity.where, f"{what} has no branches")
        for v in entity.variants:
            kind = {'builtin': lambda t: BUILTINS[t.name][0], 'enum': lambda t: 'string', 'object': lambda t: 'object',
                    'array': lambda t: 'array'}.get(v.type.kind, lambda t: None)(v.type)
            if kind in (None, 'value'):
                raise SchemaError(entity.where, f"{what}: branch '{v.name}' cannot be '{v.type.name}'")
            clash = 'number' if kind == 'int' else kind
            if clash in taken:
                raise SchemaError(entity.where, f"{what}: branches '{taken[clash]}' and '{v.name}' look the same in JSON")
            taken[clash] = v.name

    def _check_docs(self, entity, what):
        doc = entity.doc
        if doc is None:
            return
        subject = entity.arg if entity.kind in ('command', 'event') and entity.arg is not None else entity
        known = [m.name for m in subject.members() + entity.values + subject.variants]
        for name in doc.args:
            if name not in known:
                raise SchemaError(doc.where, f"{what}: '@{name}' is described, but there is no such member")
        features = {f.name for f in entity.features} | {f.name for m in [*subject.own, *entity.values] for f in m.features}
        for name in doc.features:
            if name not in features:
                raise SchemaError(doc.where, f"{what}: feature '@{name}' is described, but there is no such feature")
        if self.pragma.get('doc-required'):
            own = entity.values if entity.kind == 'enum' else subject.own if subject is entity or subject.implicit else []
            for m in own:
                if m.name not in doc.args:
                    raise SchemaError(doc.where, f"{what}: member '{m.name}' is not described")
            for f in sorted(features - set(doc.features)):
                raise SchemaError(doc.where, f"{what}: feature '{f}' is not described")
        if 'Returns' in doc.sections and entity.ret is None:
            raise SchemaError(doc.where, f"{what}: 'Returns:' is described, but it returns nothing")
        self._check_examples(entity, what)

    def _check_examples(self, entity, what):
        """Each message is JSON of the right shape; those of a command show it, those of an event too."""
        shown = {'command': ('execute', 'exec-oob'), 'event': ('event',)}.get(entity.kind, ())
        for exchange in entity.doc.exchanges():
            seen = False
            for direction, text in exchange:
                try:
                    message = json.loads(text)
                except ValueError as e:
                    raise SchemaError(entity.doc.where, f"{what}: the example '{text}' is not JSON: {e}") from None
                valid = ('execute', 'exec-oob') if direction == '->' else ('return', 'error', 'event')
                if not isinstance(message, dict) or not any(k in message for k in valid):
                    raise SchemaError(entity.doc.where, f"{what}: the example '{text}' has none of {', '.join(valid)}")
                seen |= any(message.get(k) == entity.name for k in shown)
            if shown and not seen:
                raise SchemaError(entity.doc.where, f"{what}: an example does not show it")

    def all_types(self):
        """Every type but implicit argument types, arrays last."""
        return list(self.types.values())
