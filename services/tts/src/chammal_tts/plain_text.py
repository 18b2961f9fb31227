"""Text without what nobody would say aloud: markdown, markup, addresses, emoji."""

import re
import unicodedata
from collections.abc import Callable

_LINK, _ADDRESS, _CODE = "\uf8ff", "\uf8fe", "\uf8fd"
"""Private characters, until the language is known."""
_SAID = {_LINK: ("링크", "link"), _ADDRESS: ("이메일 주소", "email address"), _CODE: ("코드", "code")}
_UNREAD = r"[^\s<>()\"'가-힣]"
_READABLE_CODE = re.compile(r"[A-Za-z가-힣\d]+(?: [A-Za-z가-힣\d]+){0,3}")

_Replace = str | Callable[[re.Match[str]], str]
_STEPS: tuple[tuple[re.Pattern[str], _Replace], ...] = (
    (re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL), "\n"),
    (re.compile(r"<(script|style|think)\b.*?</\1>|<!--.*?-->", re.DOTALL | re.IGNORECASE), " "),
    (re.compile(r"&(?:nbsp|quot|lt|gt);"), " "),
    (re.compile(r"&amp;"), "&"),
    (re.compile(r"`([^`\n]{1,200})`"), lambda m: m[1] if _READABLE_CODE.fullmatch(m[1].strip()) else f" {_CODE}"),
    (re.compile(r"(?<![\w.+-])(?:mailto:)?[\w.+-]+@[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)+", re.ASCII), f" {_ADDRESS}"),
    (re.compile(rf"<(?:https?|ftp)://{_UNREAD}+>"), f" {_LINK}"),
    (re.compile(r"</?[A-Za-z][^<>\n]{0,200}>"), " "),
    (re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:\s[^()\n]*)?\)"), r"\1"),
    (re.compile(rf"(?:(?:https?|ftp)://|www\.){_UNREAD}*[\w/]"), f" {_LINK}"),
    (re.compile(rf"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.[a-z]{{2,6}}/{_UNREAD}*[\w/]", re.ASCII), f" {_LINK}"),
    (re.compile(r"\[(?:\^?\d{1,3}|[ xX])\]"), " "),
    (re.compile(r"(?<![\w:]):[a-z][a-z\d_+-]+:(?!\w)"), " "),
    (re.compile(r"(?<![\w:;=])[:;=][-']?[()DPpO\\|/\[\]](?![\w/])"), " "),
    (re.compile(r"[\u1100-\u11ff\u3130-\u318f]+"), " "),
    (re.compile(r"\s*(?:→|⇒|➜|->|=>)\s*"), ", "),
    (re.compile(r"#(?=\d)"), "№"),
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


def plain_text(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("ㆍ", "·")
    text = unicodedata.normalize("NFKC", "".join(c for c in text if c not in _SAID))
    for pattern, replacement in _STEPS:
        text = pattern.sub(replacement, text)
    korean = re.search(r"[가-힣]", text) is not None
    for mark, (in_korean, in_english) in _SAID.items():
        text = text.replace(mark, in_korean if korean else in_english)
    return "".join(c if c in _SPOKEN or unicodedata.category(c) not in _UNSPOKEN else " " for c in text).strip()
