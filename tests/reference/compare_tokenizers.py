#!/usr/bin/env python3
"""Compares `solens tokenize` with open_clip's and transformers' tokenizers, by hand.

usage: compare_tokenizers.py SOLENS bpe_simple_vocab_16e6.txt.gz words.txt

Texts are the words and 20,000 strings of odd letters, accents, entities and punctuation. Prints
the strings that differ; those on which ftfy repairs mojibake are counted apart.
"""
import gzip, html, json, os, random, subprocess, sys, tempfile, unicodedata
import ftfy
from open_clip.tokenizer import SimpleTokenizer, whitespace_clean
from transformers import CLIPTokenizer

solens, table, words = sys.argv[1:]
random.seed(1)
words = [line.strip() for line in open(words)]
points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]
names = list(html.entities.html5)


def some(letters, most):
    return "".join(random.choice(letters) for _ in range(random.randint(1, most)))


def odd():
    accents = [chr(c) for c in range(0x300, 0x346)] + list("aeiouAEIOUsS'  \u03a3\u03c3\u0130\u017f\u212a")
    return random.choice([
        lambda: some(points, 12),
        lambda: some(points[:0x600], 12),
        lambda: some([chr(c) for c in range(32, 127)], 40),
        lambda: some(accents, 12),
        lambda: "A &" + random.choice(names) + random.choice(["", ";", "b"]) + random.choice(words),
        lambda: "&" + random.choice(names).upper() + random.choice(["", ";"]),
        lambda: "&#" + random.choice(["x", "X", ""]) + some("0123456789abcF", 7) + random.choice([";", "", " "]),
        lambda: " ".join(random.choice(words) + random.choice(["'s", "!", "'S", "<end_of_text>", "<|endoftext|>"]) for _ in range(5)),
    ])()


# Line ends and blanks at the ends are the text file's, not the tokenizer's.
texts = words + [" ".join(odd().splitlines()).strip() or "a" for _ in range(20000)]
texts = [t for t in texts if t and "\0" not in t]
folder = tempfile.mkdtemp()
lines = os.path.join(folder, "texts.txt")
open(lines, "w", newline="").write("\n".join(texts) + "\n")


def ours(*options):
    run = subprocess.run([solens, "tokenize", *options, "--texts", lines], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(rows) == len(texts), (len(rows), len(texts))
    return rows


def report(name, ours, theirs, excused=lambda i: False):
    different = [i for i in range(len(texts)) if ours[i] != theirs(texts[i])]
    mojibake = [i for i in different if excused(i)]
    for i in different[:20]:
        if i not in mojibake:
            print(repr(texts[i]), ours[i], theirs(texts[i]))
    print(f"{name}: {len(different) - len(mojibake)} of {len(texts)} differ, {len(mojibake)} more by mojibake")


simple = SimpleTokenizer(table)
plain = SimpleTokenizer(table)
config = ftfy.TextFixerConfig(fix_encoding=False, explain=False)
plain.clean_fn = lambda t: whitespace_clean(html.unescape(html.unescape(ftfy.fix_text(t, config)))).lower()
rows = ours("--vocab", table)
report("open_clip", rows, lambda t: simple(t)[0].tolist(), lambda i: rows[i] == plain(texts[i])[0].tolist())

vocab = {t.replace("<start_of_text>", "<|startoftext|>").replace("<end_of_text>", "<|endoftext|>"): i for t, i in simple.encoder.items()}
merges = [tuple(m.split()) for m in gzip.open(table).read().decode().split("\n")[1 : 49152 - 256 - 2 + 1]]
hf = CLIPTokenizer(vocab=vocab, merges=merges)
hf.save_pretrained(folder)
padded = dict(padding="max_length", truncation=True, max_length=77)
report("transformers", ours("--vocab", os.path.join(folder, "tokenizer.json")), lambda t: hf(t, **padded)["input_ids"])
