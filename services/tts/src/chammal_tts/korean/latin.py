"""Latin letters in Korean text: acronyms letter by letter, and what everyone reads as a Korean word."""

import re

_LETTERS = {
    "A": "에이", "B": "비", "C": "씨", "D": "디", "E": "이", "F": "에프", "G": "지", "H": "에이치", "I": "아이",
    "J": "제이", "K": "케이", "L": "엘", "M": "엠", "N": "엔", "O": "오", "P": "피", "Q": "큐", "R": "알",
    "S": "에스", "T": "티", "U": "유", "V": "브이", "W": "더블유", "X": "엑스", "Y": "와이", "Z": "제트",
}  # fmt: skip
_DIGITS = {
    "1": "원", "2": "투", "3": "쓰리", "4": "포", "5": "파이브", "6": "식스", "7": "세븐", "8": "에이트", "9": "나인",
}  # fmt: skip
_WITH_DIGITS = (
    "2D|3D|4D|3G|4G|5G|6G|2K|4K|8K|A3|A4|A5|B4|B5|F1|G2|G7|G8|MP3|MP4|B2B|B2C|B2G|C2C|P2P|O2O|E2E|H2O|CO2|SO2"
)
_WORDS = {
    "NASA": "나사", "UNESCO": "유네스코", "NATO": "나토", "OPEC": "오펙", "ASEAN": "아세안", "UNICEF": "유니세프",
    "COVID": "코비드", "FIFA": "피파", "TOEIC": "토익", "TOEFL": "토플", "KOSPI": "코스피", "KOSDAQ": "코스닥",
    "NASDAQ": "나스닥", "VAT": "부가세", "OLED": "올레드",
    "TV": "티비", "No.": "넘버", "vs": "대", "vs.": "대", "VS": "대", "Mr.": "미스터", "Dr.": "닥터",
    "email": "이메일", "e-mail": "이메일", "mail": "메일", "app": "앱", "web": "웹", "online": "온라인",
    "offline": "오프라인", "internet": "인터넷", "smartphone": "스마트폰", "phone": "폰", "Bluetooth": "블루투스",
    "Wi-Fi": "와이파이", "WiFi": "와이파이", "Google": "구글", "YouTube": "유튜브", "Apple": "애플",
    "iPhone": "아이폰", "iPad": "아이패드", "iOS": "아이오에스", "macOS": "맥오에스", "Mac": "맥", "MacBook": "맥북",
    "Android": "안드로이드", "Windows": "윈도우", "Linux": "리눅스", "Microsoft": "마이크로소프트", "Excel": "엑셀",
    "PowerPoint": "파워포인트", "Amazon": "아마존", "Facebook": "페이스북", "Instagram": "인스타그램",
    "Twitter": "트위터", "Netflix": "넷플릭스", "Zoom": "줌", "Chrome": "크롬", "Naver": "네이버", "Kakao": "카카오",
    "KakaoTalk": "카카오톡", "Samsung": "삼성", "Galaxy": "갤럭시", "Hyundai": "현대", "OpenAI": "오픈에이아이",
    "ChatGPT": "챗지피티", "Claude": "클로드", "Gemini": "제미나이", "Whisper": "위스퍼", "Python": "파이썬",
    "Java": "자바", "JavaScript": "자바스크립트", "GitHub": "깃허브", "Docker": "도커", "Kubernetes": "쿠버네티스",
    "server": "서버", "data": "데이터", "file": "파일", "test": "테스트", "update": "업데이트",
    "download": "다운로드", "login": "로그인", "password": "패스워드", "service": "서비스", "event": "이벤트",
    "check": "체크", "menu": "메뉴", "coffee": "커피", "pizza": "피자", "hello": "헬로", "yes": "예스", "no": "노",
    "ok": "오케이", "pro": "프로", "max": "맥스", "mini": "미니", "plus": "플러스", "ultra": "울트라",
    "premium": "프리미엄", "A/S": "에이에스", "and": "앤드", "the": "더",
}  # fmt: skip
_BY_LOWER = {word.lower(): said for word, said in _WORDS.items()}
_DOMAINS = {"com": "닷컴", "net": "닷넷", "org": "닷오알지", "kr": "닷케이알", "io": "닷아이오", "ai": "닷에이아이"}

_MIXED = re.compile(rf"(?<![A-Za-z\d])(?:{_WITH_DIGITS})(?![A-Za-z\d])")
_DOMAIN = re.compile(rf"(?<=[A-Za-z\d])\.({'|'.join(_DOMAINS)})(?![A-Za-z\d])")
_PLUS = re.compile(r"(?<=[A-Za-z])\++")
_WORD = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(sorted(map(re.escape, _BY_LOWER), key=len, reverse=True))})(?![A-Za-z'’])",
    re.IGNORECASE,
)
_ACRONYM = re.compile(r"(?<![A-Za-z])(?![IA] [a-z])([A-Z]{1,6})(?:&([A-Z]{1,3}))?(s?)(?![A-Za-z'’])")
_LETTER = re.compile(r"(?<![A-Za-z'’])[a-z](?![A-Za-z'’])")


def read_mixed(text: str) -> str:
    """5G, MP3 and the like, before digits are read as Korean numbers."""
    return _MIXED.sub(lambda match: "".join(_LETTERS.get(c) or _DIGITS[c] for c in match.group()), text)


def read_latin(text: str) -> str:
    """What is still Latin afterwards is an English word."""
    text = _PLUS.sub(lambda match: "플러스" * len(match.group()), text)
    text = _DOMAIN.sub(lambda match: " " + _DOMAINS[match[1]], text)
    text = _WORD.sub(lambda match: _BY_LOWER[match.group().lower()], text)
    text = _ACRONYM.sub(_acronym, text)
    return _LETTER.sub(lambda match: _LETTERS[match.group().upper()], text)


def _acronym(match: re.Match[str]) -> str:
    first, second, plural = match.groups()
    said = spelled(first) + (f"앤{spelled(second)}" if second else "")
    return said + ("스" if plural else "")


def spelled(letters: str) -> str:
    return "".join(_LETTERS[letter] for letter in letters)
