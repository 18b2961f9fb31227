"""Text without what nobody would say aloud: markdown, markup, addresses, emoji."""

import re
import unicodedata

_STEPS = (
    (re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL), "\n"),
    (re.compile(r"<(?:script|style)\b.*?</(?:script|style)>", re.DOTALL | re.IGNORECASE), " "),
    (re.compile(r"</?[A-Za-z][^<>\n]{0,200}>"), " "),
    (re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:\s[^()\n]*)?\)"), r"\1"),
    (re.compile(r"(?:https?://|www\.)[^\s<>()\"'가-힣]+"), " \uf8ff "),
    (re.compile(r"^[ \t]{0,8}(?:#{1,6}[ \t]+|>+[ \t]?|[-*+•][ \t]+)", re.MULTILINE), ""),
    (re.compile(r"^[ \t|:*_-]{3,}$", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*\||\|[ \t]*$", re.MULTILINE), ""),
    (re.compile(r"[ \t]*\|[ \t]*"), ", "),
    (re.compile(r"[*`]+|_{2,}|~~+"), ""),
    (re.compile(r"(?<!\w)_(\S[^_\n]*)_(?!\w)"), r"\1"),
    (re.compile(r"[\\^{}\[\]#_|<>]"), " "),
    (re.compile(r"[“”„\"«»「」『』]"), ' " '),
    (re.compile(r"[‘’´]"), "'"),
    (re.compile(r"\.{3,}|…+"), "…"),
    (re.compile(r"[ \t]+"), " "),
)
_UNSPOKEN = frozenset({"So", "Sk", "Cs", "Co", "Cn", "Cf", "Cc", "Mn", "Me"})
_SPOKEN = frozenset("\n°№")
_LINK = "\uf8ff"
"""A private character that stands for an address until the language is known."""


def plain_text(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.replace("\r\n", "\n").replace("\r", "\n").replace(_LINK, ""))
    for pattern, replacement in _STEPS:
        text = pattern.sub(replacement, text)
    text = text.replace(_LINK, "링크" if re.search(r"[가-힣]", text) else "link")
    return "".join(c if c in _SPOKEN or unicodedata.category(c) not in _UNSPOKEN else " " for c in text).strip()
