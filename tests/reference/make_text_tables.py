#!/usr/bin/env python3
"""Makes include/solens/text/unicode_tables.hpp and html_entities.hpp.

usage: make_text_tables.py include/solens/text

Letters, numbers and case classes are those of the Python package regex; combining classes,
lower-casing, composition and widths those of Python's own unicodedata; the names are those of
html.entities and the capital forms those that ftfy adds to them.
"""
import html, html.entities, itertools, pathlib, sys, unicodedata
import regex

target = pathlib.Path(sys.argv[1])
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def number(n):
    """Five bits a digit, lowest first; a digit of 32 and more says that another follows."""
    text = ""
    while n >= 32:
        text += DIGITS[32 + n % 32]
        n //= 32
    return text + DIGITS[n]


def signed(n):
    return number(2 * n if n >= 0 else -2 * n - 1)


def literal(text, width=94):
    return "\n".join(f'    "{text[i : i + width]}"' for i in range(0, len(text), width)) if text else '    ""'


def ranges(pattern):
    """Gap since the last range, then length - 1."""
    match, text, last = regex.compile(pattern).match, "", 0
    for _, run in itertools.groupby(enumerate(c for c in POINTS if match(chr(c))), lambda p: p[1] - p[0]):
        run = [c for _, c in run]
        text += number(run[0] - last) + number(run[-1] - run[0])
        last = run[-1]
    return text


def pairs(mapping):
    """Gap since the last key, then value - key."""
    text, last = "", 0
    for key, value in sorted(mapping.items()):
        text += number(key - last) + signed(value - key)
        last = key
    return text


lower = {c: ord(chr(c).lower()) for c in POINTS if chr(c).lower() != chr(c) and len(chr(c).lower()) == 1}
assert [c for c in POINTS if len(chr(c).lower()) > 1] == [0x130]

widths = {c: unicodedata.normalize("NFKC", chr(c)) for c in range(0xFF01, 0xFFF0)}
assert [c for c, w in widths.items() if len(w) > 1] == [0xFFE3]
widths = {c: ord(w) for c, w in widths.items() if len(w) == 1 and w != chr(c)} | {0x3000: 0x20}

classes, last = "", 0
for value, run in itertools.groupby(POINTS, lambda c: unicodedata.combining(chr(c))):
    run = list(run)
    if value:
        classes += number(run[0] - last) + number(run[-1] - run[0]) + number(value)
        last = run[-1]

decompositions, last = "", 0
for c in POINTS:
    parts = unicodedata.decomposition(chr(c))
    if not parts or parts.startswith("<"):
        continue
    a, b = ([int(p, 16) for p in parts.split()] + [0])[:2]
    composes = b != 0 and unicodedata.normalize("NFC", chr(a) + chr(b)) == chr(c)
    decompositions += number(c - last) + signed(a - c) + number(2 * b + composes)
    last = c

TABLES = [
    ("letters", ranges(r"\p{L}"), "Ranges of \\p{L}."),
    ("numbers", ranges(r"\p{N}"), "Ranges of \\p{N}."),
    ("cased", ranges(r"\p{Cased}"), "Ranges of \\p{Cased}."),
    ("case_ignorable", ranges(r"\p{Case_Ignorable}"), "Ranges of \\p{Case_Ignorable}."),
    ("lower_case", pairs(lower), "Pairs: a letter and its lower case. U+0130, which becomes two, is not in it."),
    ("standard_width", pairs(widths), "Pairs: a half or full width form and the usual one. U+FFE3, which becomes two, is not in it."),
    ("combining_classes", classes, "Runs: gap, length - 1, class."),
    ("decompositions", decompositions, "Canonical: gap, first part (signed, from the letter), 2 * second part (0 where none)\n/// + 1 where the pair composes again."),
]

with open(target / "unicode_tables.hpp", "w") as out:
    print("#pragma once\n", file=out)
    print("// Made by tests/reference/make_text_tables.py; regex %s, unicodedata %s.\n" % (regex.__version__, unicodedata.unidata_version), file=out)
    print("#include <string_view>\n\nnamespace solens::detail::unicode_tables {\n", file=out)
    print("// Numbers are written five bits a digit (0-9, A-Z, a-z, -, _), lowest first; a digit of 32 and\n"
          "// more says that another follows. Signed ones are 2 n, or -2 n - 1 where negative. Ranges are\n"
          "// the gap since the last range's end and the length - 1; pairs are the gap since the last key\n"
          "// and value - key, signed.\n", file=out)
    print("// clang-format off", file=out)
    for name, text, what in TABLES:
        print(f"\n/// {what}\ninline constexpr std::string_view {name} =\n{literal(text)};", file=out)
    print("\n// clang-format on\n\n}  // namespace solens::detail::unicode_tables", file=out)


def hexes(text):
    return ".".join(f"{ord(c):X}" for c in text)


names = {}
for name, value in html.entities.html5.items():
    if name.endswith(";"):
        bare = name[:-1] in html.entities.html5
        assert not bare or html.entities.html5[name[:-1]] == value
        names[name[:-1]] = ("!" if bare else "=") + hexes(value)
for name, value in html.entities.html5.items():
    capital = "&" + name.upper()
    if name.endswith(";") and name == name.lower() and html.unescape(capital) == capital:
        if value.upper().lower() == value.lower():
            continue  # lower-cased text does not show which it was
        names[name.upper()[:-1]] = "^" + hexes(value.upper())

with open(target / "html_entities.hpp", "w") as out:
    print("#pragma once\n", file=out)
    print("// Made by tests/reference/make_text_tables.py from Python's html.entities.html5.\n", file=out)
    print("#include <string_view>\n\nnamespace solens::detail {\n", file=out)
    print("/// The %d character references of HTML5 by name, in the order of their bytes. After the name:\n"
          "/// `=` only with a semicolon, `!` without one too, `^` not HTML's but a form in capitals that\n"
          "/// ftfy takes, where it does not stand for the name's own lower case; then code points in\n"
          "/// hexadecimal, joined by dots, and a blank." % len(names), file=out)
    print("// clang-format off\ninline constexpr std::string_view html_entities =", file=out)
    line = ""
    for name in sorted(names):
        entry = name + names[name] + " "
        if len(line) + len(entry) > 94:
            print(f'    "{line}"', file=out)
            line = ""
        line += entry
    print(f'    "{line}";\n// clang-format on\n\n}}  // namespace solens::detail', file=out)
