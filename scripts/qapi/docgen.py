# scripts/qapi/docgen.py: the reference manual, as Markdown.
# SPDX-License-Identifier: GPL-2.0-or-later
from .parser import Doc


def type_text(t):
    if t is None:
        return 'nothing'
    if t.kind == 'array':
        return f'array of {type_text(t.element)}'
    return f'`{t.name}`' if t.kind == 'builtin' or t.implicit else f'[`{t.name}`](#{anchor(t)})'


def anchor(t):
    return f'{"type" if t.kind not in ("command", "event") else t.kind}-{t.name.lower()}'


def flow(lines):
    return ' '.join(Doc.text(lines).split())


def member_rows(owner, doc, values=False):
    rows = []
    for m in owner.values if values else owner.own:
        text = flow(doc.args.get(m.name, [])) if doc else ''
        kind = '' if values else f' ({type_text(m.type)}{", optional" if m.optional else ""})'
        kind += ''.join(f' *{f.name}*' for f in m.features)
        rows.append(f'- `{m.name}`{kind}{": " + text if text else ""}')
    return rows


def section(entity):
    doc = entity.doc
    title = {'command': 'Command', 'event': 'Event', 'enum': 'Enum', 'object': 'Object', 'alternate': 'Alternate'}[entity.kind]
    out = [f'<a id="{anchor(entity)}"></a>', f'### {title} `{entity.name}`', '']
    if doc:
        out += [Doc.text(doc.body), '']
    arg = entity.arg if entity.kind in ('command', 'event') else None
    if arg is not None and not arg.implicit:
        out += [f'{"Arguments" if entity.kind == "command" else "Data"}: the members of {type_text(arg)}', '']
    elif arg is not None:
        out += ['Arguments:' if entity.kind == 'command' else 'Data:', ''] + member_rows(arg, doc) + ['']
    if entity.kind == 'object':
        if entity.base:
            out += [f'The members of {type_text(entity.base)}, and:' if entity.own or entity.variants else f'The members of {type_text(entity.base)}.', '']
        out += member_rows(entity, doc)
        out += [f'- when `{entity.tag_name}` is `{v.name}`: the members of {type_text(v.type)}' for v in entity.variants] + ['']
    elif entity.kind == 'enum':
        out += member_rows(entity, doc, values=True) + ['']
    elif entity.kind == 'alternate':
        out += [f'- {type_text(v.type)}' for v in entity.variants] + ['']
    if entity.kind == 'command':
        said = flow(doc.sections.get('Returns', [])) if doc else ''
        out += [f'Returns: {type_text(entity.ret)}{", " + said if said else ""}', '']
    described = doc.features if doc else {}
    for name in dict.fromkeys([f.name for f in entity.features] + list(described)):
        out += [f'Feature `{name}`: {flow(described.get(name, []))}', '']
    for tag in ('Errors', 'Note', 'Notes'):
        if doc and tag in doc.sections:
            out += [f'{tag}: {flow(doc.sections[tag])}', '']
    for example in (doc.examples if doc else []):
        out += ['```', Doc.text(example), '```', '']
    return out


def markdown(schema):
    out = ['# QMP reference', '', 'Made from the schema in `qapi/`. Messages on the wire are described in '
           '[qmp.md](qmp.md).', '']
    body, contents = [], []
    for x in schema.order:
        if isinstance(x, Doc):
            text = Doc.text(x.body)
            if text.startswith('= '):
                title = text.splitlines()[0][2:]
                contents.append(f'- {title}')
                body += [f'## {title}', '', '\n'.join(text.splitlines()[1:]).strip(), '']
            else:
                body += [text, '']
            continue
        if x.kind in ('command', 'event'):
            contents.append(f'    - [`{x.name}`](#{anchor(x)})')
        body += section(x)
    return '\n'.join(out + contents + [''] + body)
