"""Words whose sound the rules cannot tell from their letters (표준발음법 제5, 15, 16, 20, 24–29항).

A table of the frequent ones; what is missing is read by the general rules. Left: as written; right: respelled so
that the general rules give the standard pronunciation.
"""

import re

from chammal_tts.korean.jamo import decompose

_WORDS = {
    # 제29항: an added ㄴ
    "꽃잎": "꼰닙", "깻잎": "깬닙", "나뭇잎": "나문닙", "담요": "담뇨", "색연필": "생년필", "한여름": "한녀름",
    "솜이불": "솜니불", "서울역": "서울력", "강남역": "강남녁", "부산역": "부산녁", "물약": "물략", "알약": "알략",
    "식용유": "시굥뉴", "휘발유": "휘발류", "영업용": "영엄뇽", "베갯잇": "베갠닏", "앞일": "암닐",
    "집안일": "지반닐", "맨입": "맨닙", "두통약": "두통냑", "신여성": "신녀성", "눈요기": "눈뇨기",
    # 제15항: the coda is neutralised before it moves
    "맛없": "마덥", "값어치": "가버치", "겉옷": "거돋", "첫인상": "처딘상", "헛웃음": "허두슴", "옷안": "오단",
    # 제26항: ㄹ before ㄷ ㅅ ㅈ in Sino-Korean words
    "갈등": "갈뜽", "발전": "발쩐", "결정": "결쩡", "실시": "실씨", "절대": "절때", "물질": "물찔", "일시": "일씨",
    "출장": "출짱", "발생": "발쌩", "설정": "설쩡", "일정": "일쩡", "철저": "철쩌", "활동": "활똥", "발달": "발딸",
    "결심": "결씸", "열심": "열씸", "실제": "실쩨", "결제": "결쩨", "출시": "출씨", "실수": "실쑤", "필수": "필쑤",
    "출석": "출썩", "발송": "발쏭", "결석": "결썩", "불신": "불씬", "할증": "할쯩", "몰수": "몰쑤", "솔직": "솔찍",
    "출동": "출똥", "달성": "달썽", "질서": "질써", "일단": "일딴", "일종": "일쫑", "밀접": "밀쩝", "별도": "별또",
    "출신": "출씬", "물자": "물짜", "글자": "글짜", "발신": "발씬", "실적": "실쩍", "출생": "출쌩",
    # 제28항: compounds without a written ㅅ; and Sino-Korean words with a tense second part
    "눈동자": "눈똥자", "발바닥": "발빠닥", "손바닥": "손빠닥", "술잔": "술짠", "강가": "강까", "길가": "길까",
    "아침밥": "아침빱", "바람결": "바람껼", "물고기": "물꼬기", "산길": "산낄", "밤길": "밤낄", "용돈": "용똔",
    "김밥": "김빱", "비빔밥": "비빔빱", "내과": "내꽈", "성격": "성껵", "조건": "조껀", "사건": "사껀",
    "문건": "문껀", "인기": "인끼", "평가": "평까", "물가": "물까", "정가": "정까", "보험증": "보험쯩",
    "자격증": "자격쯩", "신분증": "신분쯩", "문자": "문짜", "헌법": "헌뻡", "문법": "문뻡", "불법": "불뻡",
    "이점": "이쩜", "장점": "장쩜", "단점": "단쩜", "초점": "초쩜", "관점": "관쩜", "시점": "시쩜",
    "손재주": "손째주", "장단점": "장단쩜", "환급금": "환급끔", "해약금": "해약끔",
    # 제24항: stems that end in ㄴ or ㅁ
    "넘지": "넘찌", "넘고": "넘꼬", "넘다": "넘따", "넘게": "넘께", "숨다": "숨따", "숨고": "숨꼬", "남고": "남꼬",
    "남지": "남찌", "검다": "검따", "참지": "참찌", "줄넘기": "줄럼끼",
    # 제20항: ㄴ ㄹ that does not become ㄹㄹ
    "생산량": "생산냥", "결단력": "결딴녁", "판단력": "판단녁", "공권력": "공꿘녁", "입원료": "이붠뇨",
    "의견란": "의견난", "등산로": "등산노", "보관료": "보관뇨", "음운론": "으문논",
    # 제5항: 의 that is no particle
    "회의": "회이", "주의": "주이", "합의": "하비", "동의": "동이", "거의": "거이", "강의": "강이", "정의": "정이",
    "예의": "예이", "논의": "노니", "문의": "무니", "유의": "유이", "편의": "펴니", "명의": "명이", "심의": "시미",
}  # fmt: skip

_WORD = re.compile(rf"(?<![가-힣])(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})")

_NUMBERS = (
    # 제29항: 십육, 스물여섯, 서른여덟
    (re.compile("(?<=[십백천만])육"), "뉵"),
    (re.compile("(?<=[열물])여(?=[섯덟])"), "려"),
    (re.compile("(?<=[른흔쉰순든])여(?=[섯덟])"), "녀"),
    # 제26항, and 소수점
    (re.compile("(?<=[칠팔])십"), "씹"),
    (re.compile("(?<=[영일이삼사오육칠팔구십백천만] )점(?= [영일이삼사오육칠팔구])"), "쩜"),
)
_AFTER_TEN = re.compile(r"(?<![가-힣])(열|여덟)( ?)([개권군건달대그접장조줄시살상봉벌병번배박방])")
"""열 개, 열 시, 여덟 장: the counter is tense."""
_TENSE = dict(zip("ㄱㄷㅂㅅㅈ", "ㄲㄸㅃㅆㅉ", strict=True))
_ADNOMINAL = "할갈줄볼릴될올을낼일칠킬"
_ENDINGS = (
    # 제27항: endings that begin with ㄹ, and a dependent noun after an adnominal ㄹ
    (re.compile(rf"(?<=[{_ADNOMINAL}])게(?=요|$|\s)"), "께"),
    (re.compile(rf"(?<=[{_ADNOMINAL}])지(?=$|\s|도|는|를|요|만)"), "찌"),
    (re.compile(rf"(?<=[{_ADNOMINAL}])수록"), "쑤록"),
    (re.compile(rf"(?<=[{_ADNOMINAL}실질쓸들] )것"), "껏"),
    (re.compile(rf"(?<=[{_ADNOMINAL}실질쓸들] )거(?=$|\s|야|예요|에요|고|라|죠|지)"), "꺼"),
    (re.compile(rf"(?<=[{_ADNOMINAL}실질쓸들] )겁니다"), "껍니다"),
    (re.compile(rf"(?<=[{_ADNOMINAL}실질쓸들] )수(?=$|\s|가|는|도|밖)"), "쑤"),
)


def respell(text: str) -> str:
    """`text` with the words of the table written as they sound."""
    text = _AFTER_TEN.sub(_tense, text)
    for pattern, replacement in _NUMBERS:
        text = pattern.sub(replacement, text)
    text = _WORD.sub(lambda match: _WORDS[match.group()], text)
    for pattern, replacement in _ENDINGS:
        text = pattern.sub(replacement, text)
    return text


def _tense(match: re.Match[str]) -> str:
    counter = decompose(match[3])
    counter.onset = _TENSE[counter.onset]
    return f"{match[1]}{match[2]}{counter}"
