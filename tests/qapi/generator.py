#!/usr/bin/env python3
# tests/qapi/generator.py: schemas that the generator must refuse, each with the words of its message. Prints TAP.
# SPDX-License-Identifier: GPL-2.0-or-later
"""generator.py SOURCE_ROOT"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(sys.argv[1], 'scripts'))
from qapi.cgen import CGen  # noqa: E402
from qapi.docgen import markdown  # noqa: E402
from qapi.introspect import Checker  # noqa: E402
from qapi.parser import SchemaError  # noqa: E402
from qapi.schema import Schema  # noqa: E402

S = "{ 'struct': 'S', 'data': { 'x': 'int' } }\n"
E = "{ 'enum': 'E', 'data': [ 'a', 'b' ] }\n"


def example(*lines, what="{ 'command': 'c' }"):
    return '##\n# @c:\n#\n# Example:\n#\n' + ''.join(f'# {line}\n' for line in lines) + '##\n' + what


BAD = [
    # the language
    ("{ 'struct': 'S', 'data': { 'x': 'int' }", "expected ',' or '}'"), ("{ 'struct' 'S' }", "expected ':'"),
    ("{ 'a': 'b' 'c': 'd' }", "expected ',' or '}'"), ("[ 'x' ]", "expected '{'"), ("'x'", "expected '{'"),
    ("{ 'struct': 'S', 'struct': 'T' }", 'twice'), ('{ "struct": "S" }', 'single quotes'), ("{ 'struct': 'S }", 'without end'),
    ("{ 'struct': 'a\\b' }", 'backslash'), ("{ 'struct': 5 }", "unexpected character '5'"), ("{ 'enum': 'E', 'data': [ 'a' 'b' ] }", "expected ',' or ']'"),
    ("{ struct: 'S' }", 'unexpected character'), ("{", 'expected a key'), ("{ 'x': ", 'end of file'),
    # files and pragmas
    ("{ 'include': 'nosuch.json' }", 'nosuch.json'), ("{ 'include': 5 }", 'unexpected'), ("{ 'include': [] }", 'one file name'),
    ("{ 'include': 'x', 'y': 'z' }", 'stands alone'), ("{ 'pragma': 'x' }", 'takes an object'), ("{ 'pragma': { 'nosuch': true } }", "no pragma 'nosuch'"),
    ("{ 'pragma': { 'doc-required': 'x' } }", 'true or false'),
    (b"{ 'struct': '\xff', 'data': {} }", 'not UTF-8'), ("{ 'include': '.' }", "cannot read"), ("{ 'pragma': { 'member-name-exceptions': true } }", 'array of names'),
    # shapes
    ("{ 'bogus': 'S' }", 'expected one of'), ("{ }", 'got nothing'), ("{ 'struct': 'S' }", "lacks 'data'"), ("{ 'struct': [], 'data': {} }", 'must be a string'),
    ("{ 'struct': 'S', 'data': {}, 'bogus': 'x' }", "unknown key 'bogus'"), ("{ 'struct': 'S', 'command': 'c' }", 'expected one of'),
    ("{ 'struct': 'S', 'data': [] }", 'must be an object'), ("{ 'struct': 'S', 'data': { 'x': [] } }", 'array of one name'),
    ("{ 'struct': 'S', 'data': { 'x': [ 'int', 'str' ] } }", 'array of one name'), ("{ 'struct': 'S', 'data': { 'x': { 'type': 'int', 'y': 'z' } } }", "'if' and 'features' only"),
    ("{ 'enum': 'E', 'data': {} }", 'must be an array'), ("{ 'enum': 'E', 'data': [ [] ] }", 'a value is a name'), ("{ 'command': 'c', 'data': [] }", "must be an object or a type's name"),
    ("{ 'command': 'c', 'gen': 'x' }", 'true or false'), ("{ 'command': 'c', 'returns': {} }", 'array of one name'), ("{ 'struct': 'S', 'data': {}, 'features': 'x' }", 'must be an array'),
    ("{ 'struct': 'S', 'data': {}, 'features': [ 'a', 'a' ] }", 'twice'), ("{ 'struct': 'S', 'data': {}, 'features': [ 'A' ] }", 'lower case'),
    ("{ 'struct': 'S', 'data': {}, 'features': [ [] ] }", 'a feature is'),
    ("{ 'struct': 'S', 'data': {}, 'features': [ { 'name': 'f', 'x': 'y' } ] }", 'a feature is'), ("{ 'command': 'c', 'boxed': 'x' }", 'true or false'),
    ("{ 'command': 'c', 'allow-oob': 'x' }", 'true or false'), ("{ 'command': 'c', 'allow-preconfig': [] }", 'true or false'),
    ("{ 'command': 'c', 'coroutine': {} }", 'true or false'), ("{ 'event': 'X', 'boxed': 'x' }", 'true or false'), ("{ 'event': 'X', 'data': [] }", "must be an object or a type's name"),
    ("{ 'event': 'X', 'returns': 'S' }", "unknown key 'returns'"), ("{ 'enum': 'E', 'data': [ { 'name': 'a', 'x': 'y' } ] }", 'a value is a name'),
    ("{ 'alternate': 'A', 'data': [] }", 'must be an object'), ("{ 'union': 'U', 'base': [], 'discriminator': 't', 'data': {} }", 'must be an object'),
    # names
    ("{ 'struct': 'lower', 'data': {} }", 'CamelCase'), ("{ 'struct': 'SomeList', 'data': {} }", 'CamelCase'), ("{ 'command': 'Upper' }", 'lower case'),
    ("{ 'command': 'under_score' }", 'lower case'), ("{ 'event': 'lower' }", 'upper case'), ("{ 'struct': 'S', 'data': { 'X': 'int' } }", 'lower case'),
    ("{ 'struct': 'S', 'data': { 'a_b': 'int' } }", 'lower case'), ("{ 'struct': 'S', 'data': { 'has-x': 'int' } }", 'reserved'),
    ("{ 'struct': 'S', 'data': { 'u': 'int' } }", 'reserved'), ("{ 'enum': 'E', 'data': [ 'A' ] }", 'lower case'), ("{ 'enum': 'E', 'data': [ 'a', 'a' ] }", 'twice'),
    ("{ 'struct': 'S', 'data': { 'x': 'int', '*x': 'int' } }", 'clashes'), (S + S, 'defined already'), ("{ 'struct': 'S', 'data': {} } { 'enum': 'S', 'data': [] }", 'defined already'),
    ("{ 'command': 'c' } { 'command': 'c' }", 'defined already'), ("{ 'event': 'X' } { 'event': 'X' }", 'defined already'),
    ("{ 'pragma': { 'command-name-exceptions': [ 'a_b' ] } } { 'command': 'a-b' } { 'command': 'a_b' }", "'a_b' is defined already, as 'a-b'"),
    ("{ 'enum': 'FooBar', 'data': [] } { 'enum': 'FOOBar', 'data': [] }", 'defined already'), ("{ 'enum': 'E', 'data': [ 'a-b', 'a_b' ] }", 'twice'),
    ("{ 'struct': 'SomeKind', 'data': {} }", 'CamelCase'), ("{ 'struct': 'int', 'data': {} }", 'CamelCase'), ("{ 'struct': '**', 'data': {} }", 'CamelCase'),
    # types
    ("{ 'struct': 'S', 'data': { 'x': 'Nosuch' } }", "no type 'Nosuch'"), ("{ 'command': 'c', 'data': 'Nosuch' }", "no type 'Nosuch'"),
    ("{ 'command': 'c', 'returns': [ 'Nosuch' ] }", "no type 'Nosuch'"), (E + "{ 'command': 'c', 'data': 'E' }", 'must be a struct or union'),
    ("{ 'command': 'c', 'returns': 'int' }", 'never grow'), (E + "{ 'command': 'c', 'returns': [ 'E' ] }", 'never grow'), (E + "{ 'event': 'X', 'data': 'E' }", 'must be a struct or union'),
    (E + "{ 'struct': 'S', 'base': 'E', 'data': {} }", 'not a struct'), ("{ 'struct': 'S', 'base': 'S', 'data': {} }", 'own base'),
    ("{ 'struct': 'A', 'base': 'B', 'data': {} } { 'struct': 'B', 'base': 'A', 'data': {} }", 'own base'),
    (S + "{ 'struct': 'T', 'base': 'S', 'data': { 'x': 'int' } }", 'clashes with one of its base'), ("{ 'struct': 'S', 'base': [], 'data': {} }", 'name of a struct'),
    # unions
    ("{ 'union': 'U', 'data': {} }", "lacks"), (S + "{ 'union': 'U', 'base': 'S', 'discriminator': 'x', 'data': { 'a': 'S' } }", 'not an enum member'),
    (E + S + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 'y', 'data': { 'a': 'S' } }", 'not an enum member'),
    (E + S + "{ 'union': 'U', 'base': { '*t': 'E' }, 'discriminator': 't', 'data': { 'a': 'S' } }", 'may not be optional'),
    (E + S + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { 'c': 'S' } }", "not a value of enum 'E'"),
    (E + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { 'a': 'int' } }", 'must be a struct'),
    (E + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': {} }", 'no branches'),
    (E + S + "{ 'union': 'U', 'base': { 't': 'E', 'x': 'int' }, 'discriminator': 't', 'data': { 'a': 'S' } }", 'clashes with the base'),
    (E + S + "{ 'union': 'U', 'base': { 't': { 'type': 'E', 'if': 'X' } }, 'discriminator': 't', 'data': { 'a': 'S' } }", "have an 'if'"),
    (E + S + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': [], 'data': { 'a': 'S' } }", 'not an enum member'),
    (E + S + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { '*a': 'S' } }", "not a member's name"),
    (E + S + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { 'a': [ 'S' ] } }", 'must be a struct'),
    (E + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { 'a': 'Nosuch' } }", "no type 'Nosuch'"),
    (E + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { 'a': 'U' } }", 'itself'),
    (E + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { 'a': 'V' } } "
         "{ 'union': 'V', 'base': { 's': 'E' }, 'discriminator': 's', 'data': { 'b': 'U' } }", 'itself'),
    (E + S + "{ 'union': 'U', 'base': { 't': 'E' }, 'discriminator': 't', 'data': { 'a': 'S' } } { 'union': 'V', 'base': 'U', 'discriminator': 't', 'data': { 'b': 'S' } }",
     'is not a struct'),
    (S + "{ 'union': 'U', 'base': 'Nosuch', 'discriminator': 't', 'data': { 'a': 'S' } }", "no type 'Nosuch'"),
    # alternates
    ("{ 'alternate': 'A', 'data': {} }", 'no branches'), (E + "{ 'alternate': 'A', 'data': { 'a': 'str', 'b': 'E' } }", 'look the same'),
    ("{ 'alternate': 'A', 'data': { 'a': 'int', 'b': 'number' } }", 'look the same'), ("{ 'alternate': 'A', 'data': { 'a': 'any' } }", 'cannot be'),
    (S + "{ 'struct': 'T', 'data': {} } { 'alternate': 'A', 'data': { 'a': 'S', 'b': 'T' } }", 'look the same'),
    (E + "{ 'alternate': 'A', 'data': { 'a': [ 'E' ], 'b': [ 'int' ] } }", 'look the same'), ("{ 'alternate': 'A', 'data': { 'a': 'B' } } { 'alternate': 'B', 'data': { 'a': 'int' } }", 'cannot be'),
    ("{ 'alternate': 'A', 'data': { 'a': 'Nosuch' } }", "no type 'Nosuch'"),
    # conditions
    ("{ 'struct': 'S', 'data': {}, 'if': 'lower' }", "not a macro's name"), ("{ 'struct': 'S', 'data': {}, 'if': {} }", "'if' must be"),
    ("{ 'struct': 'S', 'data': {}, 'if': { 'all': [] } }", "'if' must be"), ("{ 'struct': 'S', 'data': {}, 'if': { 'xor': [ 'A' ] } }", "'if' must be"),
    ("{ 'struct': 'S', 'data': {}, 'if': { 'not': [ 'A' ] } }", "'if' must be"), ("{ 'struct': 'S', 'data': {}, 'if': { 'any': [ 'A', 'b' ] } }", "not a macro's name"),
    ("{ 'struct': 'S', 'data': {}, 'if': { 'not': 'A', 'all': [ 'B' ] } }", "'if' must be"), ("{ 'enum': 'E', 'data': [ { 'name': 'a', 'if': 5 } ] }", 'unexpected'),
    ("{ 'enum': 'E', 'data': [ { 'name': 'a', 'if': 'b' } ] }", "not a macro's name"), ("{ 'struct': 'S', 'data': { 'x': { 'type': 'int', 'if': [] } } }", "'if' must be"),
    ("{ 'command': 'c', 'features': [ { 'name': 'f', 'if': 'b' } ] }", "not a macro's name"),
    # what may change
    ("{ 'command': 'x-c' }", "command 'x-c' needs the feature 'unstable'"), ("{ 'event': 'X_E' }", "event 'X_E' needs"),
    ("{ 'struct': 'S', 'data': { '*x-a': 'int' } }", "member 'x-a' needs"), ("{ 'enum': 'E', 'data': [ 'x-a' ] }", "value 'x-a' needs"),
    ("{ 'command': 'c', 'data': { 'x-a': { 'type': 'int', 'features': [ 'deprecated' ] } } }", "member 'x-a' needs"),
    # documentation
    ("##\n# @X:\n##\n" + S, "documents '@X'"), ("##\n# @S:\n# text\n" + S, "ends with '##'"), ("##\n# @S:\n# text", "has no end"),
    ("##\n# @S:\n#\n# @y: text\n##\n" + S, "'@y' is described, but"), ("##\n# @S:\n# @x: a\n# @x: b\n##\n" + S, 'twice'),
    ("{ 'pragma': { 'doc-required': true } }\n" + S, 'not documented'), ("{ 'pragma': { 'doc-required': true } }\n##\n# @S:\n##\n" + S, "'x' is not described"),
    ("##\n# @S:\n##\n##\n# @S:\n##\n" + S, 'not followed'), ("##\n# @S: text\n##\n" + S, 'opening line'), ("##\n# @S:\n# Features:\n# @f: text\n##\n" + S, 'no such feature'),
    ("{ 'pragma': { 'doc-required': true } }\n##\n# @c:\n##\n{ 'command': 'c', 'features': [ 'f' ] }", "feature 'f' is not described"),
    ("{ 'pragma': { 'doc-required': true } }\n##\n# @E:\n# @a: x\n##\n" + E, "'b' is not described"),
    ("{ 'pragma': { 'doc-required': true } }\n##\n# @c:\n##\n{ 'command': 'c', 'data': { 'x': 'int' } }", "'x' is not described"),
    ("##\n# @c:\n# Returns: it\n##\n{ 'command': 'c' }", 'returns nothing'), ("##\n# @S:\n# Features:\n# @f: x\n# @f: y\n##\n" + S, 'twice'),
    # examples
    (example('-> { "execute": "c"'), 'not JSON'), (example('-> { "execute": "d" }'), 'does not show it'), (example('<- { "execute": "c" }'), 'has none of return'),
    (example('-> [ "c" ]'), 'has none of execute'), (example('-> { "execute": "c" }', '<- { return: 5 }'), 'not JSON'),
    (example('<- { "event": "Y" }', what="{ 'event': 'c' }").replace('@c', '@X').replace("'c'", "'X'"), 'does not show it'),
]
tests = []


def check(name, ok, detail=''):
    tests.append(ok)
    print(f'{"ok" if ok else "not ok"} {len(tests)} - {name}' + ('' if ok else f'\n# {detail}'))


def load(text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'schema.json')
        with open(path, 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return Schema(path)


for text, words in BAD:
    try:
        load(text)
        check(repr(text), False, 'was accepted')
    except SchemaError as e:
        check(repr(text), words in str(e) and 'schema.json' in str(e), f'message: {e}; expected: {words}')

schema = Schema(os.path.join(sys.argv[1], 'tests/qapi/test-schema.json'))
check('C is the same every time', CGen(schema).types_c() == CGen(Schema(os.path.join(sys.argv[1], 'tests/qapi/test-schema.json'))).types_c())
check('documentation of an undocumented schema', '### Command `give-figure`' in markdown(schema))
doc = load("##\n# @S:\n#\n# What it is.\n#\n# @x: what\n#   it counts\n#\n# Since: 1.0\n##\n" + S + "##\n# @c:\n#\n# Does.\n#\n# Returns: it\n#\n# Example:\n#\n"
           "# -> { \"execute\": \"c\" }\n# <- { \"return\":\n#      { \"x\": 1 } }\n##\n{ 'command': 'c', 'returns': 'S' }")
check('members are described', '- `x` (`int`): what it counts' in markdown(doc), markdown(doc))
check('examples are found', [[('->', '{ "execute": "c" }'), ('<-', '{ "return":\n     { "x": 1 } }')]] == list(doc.commands['c'].doc.exchanges()))
checker = Checker([{'name': 'c', 'meta-type': 'command', 'ret-type': 'S'}, {'name': 'int', 'meta-type': 'builtin', 'json-type': 'int'},
                   {'name': 'S', 'meta-type': 'object', 'members': [{'name': 'x', 'type': 'int'}, {'name': 'y', 'type': 'int', 'default': None}]}])
check('the checker of replies agrees', checker.reply('c', {'x': 1}) == [])
for wrong in ({}, {'x': '1'}, {'x': True}, {'x': 1, 'z': 2}, [], None):
    check(f'the checker of replies refuses {wrong}', len(checker.reply('c', wrong)) > 0)
print(f'1..{len(tests)}')
sys.exit(not all(tests))
