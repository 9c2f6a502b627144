# scripts/qapi/parser.py: schema text to expressions. A schema is a sequence of JSON objects with three liberties: strings
# are single-quoted, "#" begins a comment, and a comment block between "##" lines documents the object that follows.
# SPDX-License-Identifier: GPL-2.0-or-later
import os
import re


class SchemaError(Exception):
    """What is wrong, and where: "file:line: message"."""

    def __init__(self, where, message):
        super().__init__(f'{where}: {message}')


class Where:
    """A place in a schema file, for messages."""

    def __init__(self, path, line):
        self.path, self.line = path, line

    def __str__(self):
        return f'{self.path}:{self.line}'


class Doc:
    """A documentation block: "@name:" in its first line, then text, "@member: text" and tagged sections."""

    TAGS = ('Returns', 'Since', 'Note', 'Notes', 'Errors')

    def __init__(self, where, lines):
        self.where = where
        self.symbol = None
        self.body, self.args, self.features, self.sections, self.examples = [], {}, {}, {}, []
        self._read(lines)

    def _read(self, lines):
        target = self.body
        in_features = in_example = False
        for n, line in enumerate(lines):
            m = re.match(r'@([\w*.-]+):\s*(.*)$', line)
            tag = re.match(r'(%s):\s*(.*)$' % '|'.join(self.TAGS), line)
            if n == 0 and m:
                if m.group(2):
                    raise SchemaError(self.where, f"text after '@{m.group(1)}:' in the opening line")
                self.symbol = m.group(1)
            elif re.match(r'Features:\s*$', line):
                in_features, in_example = True, False
            elif re.match(r'Examples?:\s*$', line):
                in_example = True
                self.examples.append([])
            elif m and not in_example:
                table = self.features if in_features else self.args
                if m.group(1) in table:
                    raise SchemaError(self.where, f"'@{m.group(1)}' is described twice")
                target = table[m.group(1)] = [m.group(2)]
            elif tag:
                in_features = in_example = False
                target = self.sections.setdefault(tag.group(1), [])
                target.append(tag.group(2))
            elif in_example:
                self.examples[-1].append(line)
            elif line.startswith('= ') or line.startswith('== '):
                self.body.append(line)
            else:
                target.append(line.strip() if target is not self.body else line)

    @staticmethod
    def text(lines):
        return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines)).strip()

    def exchanges(self):
        """Examples as lists of (direction, JSON text), the "->" and "<-" lines with what continues them."""
        for lines in self.examples:
            out = []
            for line in lines:
                m = re.match(r'(->|<-)\s*(.*)$', line)
                if m:
                    out.append([m.group(1), m.group(2)])
                elif out and line.strip():
                    out[-1][1] += '\n' + line
            if out:
                yield [tuple(x) for x in out]


class Expr:
    def __init__(self, value, doc, where):
        self.value, self.doc, self.where = value, doc, where


class Parser:
    """One file; includes are read in place, each file once."""

    def __init__(self, path, seen=None, where=None):
        self.path = path
        self.seen = seen if seen is not None else set()
        self.seen.add(os.path.abspath(path))
        self.exprs, self.pragma, self.files = [], {}, [path]
        try:
            with open(path, encoding='utf-8') as f:
                self.text = f.read()
        except OSError as e:
            raise SchemaError(where or path, f"cannot read '{path}': {e.strerror}") from None
        except UnicodeDecodeError as e:
            raise SchemaError(path, f'byte {e.start} is not UTF-8') from None
        self.pos, self.line = 0, 1
        self._file()

    # ---- tokens ----

    def _here(self):
        return Where(self.path, self.line)

    def _skip(self):
        """White space and comments; returns a Doc if one ended right here."""
        doc = None
        while self.pos < len(self.text):
            c = self.text[self.pos]
            if c == '\n':
                self.line += 1
                self.pos += 1
            elif c in ' \t\r':
                self.pos += 1
            elif c == '#':
                end = self.text.find('\n', self.pos)
                end = len(self.text) if end < 0 else end
                first = self.text[self.pos:end]
                self.pos = end
                if first.rstrip() == '##':
                    if doc is not None:
                        self._free_doc(doc)
                    doc = self._doc()
            else:
                break
        return doc

    def _doc(self):
        where, lines = self._here(), []
        while self.pos < len(self.text):
            self.pos += 1
            self.line += 1
            end = self.text.find('\n', self.pos)
            end = len(self.text) if end < 0 else end
            line = self.text[self.pos:end]
            self.pos = end
            if line.rstrip() == '##':
                while lines and not lines[0]:
                    lines.pop(0)
                return Doc(where, lines)
            if not line.startswith('#'):
                raise SchemaError(self._here(), "a documentation block ends with '##'")
            lines.append(line[2:].rstrip() if line.startswith('# ') else line[1:].rstrip())
        raise SchemaError(where, "this documentation block has no end: '##' is missing")

    def _token(self):
        """(kind, value): punctuation as itself, 'string', 'word', or 'end'."""
        self._skip()
        if self.pos >= len(self.text):
            return 'end', None
        c = self.text[self.pos]
        if c in '{}[]:,':
            self.pos += 1
            return c, c
        if c == "'":
            m = re.compile(r"'([^'\\\n]*)'").match(self.text, self.pos)
            if not m:
                raise SchemaError(self._here(), 'a string without end, or with a backslash')
            self.pos = m.end()
            return 'string', m.group(1)
        m = re.compile(r'true|false').match(self.text, self.pos)
        if m:
            self.pos = m.end()
            return 'word', m.group() == 'true'
        raise SchemaError(self._here(), f"unexpected character '{c}'; strings are written in single quotes")

    # ---- values ----

    def _value(self, token):
        kind, value = token
        if kind in ('string', 'word'):
            return value
        if kind == '[':
            return self._array()
        if kind == '{':
            return self._object()
        raise SchemaError(self._here(), f"expected a value, got '{value if kind != 'end' else 'end of file'}'")

    def _array(self):
        items, token = [], self._token()
        if token[0] == ']':
            return items
        while True:
            items.append(self._value(token))
            kind, text = self._token()
            if kind == ']':
                return items
            if kind != ',':
                raise SchemaError(self._here(), "expected ',' or ']'")
            token = self._token()

    def _object(self):
        result, token = {}, self._token()
        if token[0] == '}':
            return result
        while True:
            kind, key = token
            if kind != 'string':
                raise SchemaError(self._here(), 'expected a key, a string')
            if key in result:
                raise SchemaError(self._here(), f"key '{key}' stands there twice")
            if self._token()[0] != ':':
                raise SchemaError(self._here(), f"expected ':' after '{key}'")
            result[key] = self._value(self._token())
            kind, _ = self._token()
            if kind == '}':
                return result
            if kind != ',':
                raise SchemaError(self._here(), "expected ',' or '}'")
            token = self._token()

    # ---- the file ----

    def _free_doc(self, doc):
        if doc.symbol:
            raise SchemaError(doc.where, f"documentation of '@{doc.symbol}' is not followed by its definition")
        self.exprs.append(Expr(None, doc, doc.where))

    def _file(self):
        while True:
            doc = self._skip()
            if self.pos >= len(self.text):
                if doc:
                    self._free_doc(doc)
                return
            where = self._here()
            if doc and not doc.symbol:
                self._free_doc(doc)
                doc = None
            if self._token()[0] != '{':
                raise SchemaError(where, "expected '{': a schema is a sequence of objects")
            value = self._object()
            if 'include' in value:
                self._include(value, where)
            elif 'pragma' in value:
                self._pragma(value, where)
            else:
                self.exprs.append(Expr(value, doc, where))

    def _include(self, value, where):
        name = value['include']
        if len(value) != 1 or not isinstance(name, str):
            raise SchemaError(where, "'include' takes one file name and stands alone")
        path = os.path.join(os.path.dirname(self.path), name)
        if os.path.abspath(path) in self.seen:
            return
        sub = Parser(path, self.seen, where)
        self.exprs += sub.exprs
        self.files += sub.files
        for k, v in sub.pragma.items():
            self.pragma[k] = v if isinstance(v, bool) else self.pragma.get(k, []) + v

    def _pragma(self, value, where):
        valid = {'doc-required': bool, 'command-name-exceptions': list, 'command-returns-exceptions': list,
                 'member-name-exceptions': list}
        if len(value) != 1 or not isinstance(value['pragma'], dict):
            raise SchemaError(where, "'pragma' takes an object and stands alone")
        for k, v in value['pragma'].items():
            if k not in valid:
                raise SchemaError(where, f"no pragma '{k}'; valid: {', '.join(sorted(valid))}")
            if not isinstance(v, valid[k]):
                raise SchemaError(where, f"pragma '{k}' must be {'true or false' if valid[k] is bool else 'an array of names'}")
            self.pragma[k] = v if isinstance(v, bool) else self.pragma.get(k, []) + v
