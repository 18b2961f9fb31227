"""What is counted in native Korean numbers, and how far: 세 개, 스무 살, 스물세 시간, but 삼 층, 오십 명, 십사 시."""

from chammal_tts.korean.numerals import native, sino

COUNTERS = (
    "시간|시(?!속|즌|리즈|장|험|대|도|스템)|살|명(?!령)|개(?!월|국|년|소|사|교|통)|마리|대(?!비|학|표|통령|출|한민국)"
    "|권(?!한|역|리)|장(?!관|애|년)|잔(?!액|고)|병(?!원|동|실)|번째|번(?=씩|이나| 더| 이상| 정도| 연속)|가지|달(?!러)"
    "|군데|곳|켤레|송이|그루|벌(?!금)|사람|건(?!물|강)|배(?!송|터리|당|럴)|통(?!신|화|장)|줄|채(?!널)|차례|그릇|접시"
    "|조각|상자|박스|봉지|캔|컵|알(?!림)|다발|포기|끼|쌍|판(?!매|결)|자루|큰술|작은술|숟가락|스푼|팩|척|바퀴|걸음"
    "|정거장|방울|주먹|모금|문제|과목|종류"
)
"""Of a regular expression: what may not follow makes another word of it."""

_LARGEST = 39
"""오십 명 is said more often than 쉰 명."""
_LARGEST_OF = {"시": 12, "시간": 23, "살": 99}


def counted(number: int, counter: str) -> str:
    """The number as it stands before the counter."""
    if counter == "대" and number % 10 == 0:
        return sino(number)  # 20대 is mostly an age
    return native(number) if 0 < number <= _LARGEST_OF.get(counter, _LARGEST) else sino(number)
