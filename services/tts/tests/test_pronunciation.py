import pytest

from chammal_tts.korean.pronunciation import pronounce

# The examples are those of 표준발음법 itself, by article.
RULES = {
    "5 vowels": "가져 가저|다쳐 다처|시계 시게|지혜 지헤|희망 히망|무늬 무니|의사 의사|나의 나에|주의 주이",
    "9 codas": "닦다 닥따|키읔 키윽|옷 옫|있다 읻따|젖 젇|빚다 빋따|꽃 꼳|쫓다 쫃따|솥 솓|앞 압|덮다 덥따",
    "10 clusters": "넋 넉|넋과 넉꽈|앉다 안따|여덟 여덜|넓다 널따|외곬 외골|"
    "핥다 할따|값 갑|없다 업따|밟다 밥따|밟지 밥찌|밟는 밤는",
    "10 넓": "넓죽하다 넙쭈카다|넓둥글다 넙뚱글다",
    "11 clusters": "닭 닥|흙과 흑꽈|맑다 막따|늙지 늑찌|삶 삼|"
    "젊다 점따|읊고 읍꼬|읊다 읍따|맑게 말께|묽고 물꼬|얽거나 얼꺼나",
    "12 ㅎ": "놓고 노코|좋던 조턴|쌓지 싸치|많고 만코|않던 안턴|"
    "닳지 달치|각하 가카|먹히다 머키다|밝히다 발키다|맏형 마텽",
    "12 ㅎ more": "좁히다 조피다|넓히다 널피다|꽂히다 꼬치다|앉히다 안치다|닿소 다쏘|"
    "많소 만쏘|싫소 실쏘|놓는 논는|않네 안네|뚫네 뚤레",
    "12 ㅎ falls": "낳은 나은|놓아 노아|쌓이다 싸이다|많아 마나|않은 아는|닳아 다라|싫어도 시러도",
    "13 liaison": "깎아 까까|옷이 오시|있어 이써|낮이 나지|꽂아 꼬자|"
    "꽃을 꼬츨|쫓아 쪼차|밭에 바테|앞으로 아프로|덮이다 더피다",
    "14 clusters move": "넋이 넉씨|앉아 안자|닭을 달글|젊어 절머|곬이 골씨|핥아 할타|읊어 을퍼|값을 갑쓸|없어 업써",
    "17 palatal": "굳이 구지|미닫이 미다지|땀받이 땀바지|밭이 바치|"
    "벼훑이 벼훌치|굳히다 구치다|닫히다 다치다|묻히다 무치다|같이 가치",
    "18 nasal": "먹는 멍는|국물 궁물|깎는 깡는|몫몫이 몽목씨|긁는 긍는|"
    "흙만 흥만|닫는 단는|짓는 진는|있는 인는|맞는 만는|쫓는 쫀는",
    "18 nasal more": "꽃망울 꼰망울|붙는 분는|잡는 잠는|밥물 밤물|"
    "앞마당 암마당|밟는 밤는|읊는 음는|없는 엄는|값매다 감매다",
    "19 ㄹ": "담력 담녁|침략 침냑|강릉 강능|항로 항노|대통령 대통녕|막론 망논|백리 뱅니|협력 혐녁|십리 심니",
    "20 ㄹㄹ": "난로 날로|신라 실라|천리 철리|광한루 광할루|칼날 칼랄|"
    "물난리 물랄리|줄넘기 줄럼끼|닳는 달른|뚫는 뚤른|핥네 할레",
    "20 ㄴㄴ": "의견란 의견난|생산량 생산냥|결단력 결딴녁|공권력 공꿘녁|입원료 이붠뇨",
    "23 tense": "국밥 국빱|깎다 깍따|삯돈 삭똔|닭장 닥짱|뻗대다 뻗때다|"
    "옷고름 옫꼬름|있던 읻떤|꽂고 꼳꼬|꽃다발 꼳따발|낯설다 낟썰다",
    "23 tense more": "밭갈이 받까리|솥전 솓쩐|곱돌 곱똘|덮개 덥깨|"
    "옆집 엽찝|넓죽하다 넙쭈카다|읊조리다 읍쪼리다|값지다 갑찌다",
    "24, 25": "앉고 안꼬|얹다 언따|닮고 담꼬|젊지 점찌|넓게 널께|핥다 할따|훑소 훌쏘|떫지 떨찌|여덟도 여덜도|삶과 삼과",
    "26, 27": "갈등 갈뜽|발전 발쩐|물질 물찔|할 것을 할 꺼슬|갈 수 갈 쑤|할게요 할께요|할수록 할쑤록",
    "29 ㄴ": "십육 심뉵|꽃잎 꼰닙|색연필 생년필|담요 담뇨|서울역 서울력",
    "numbers": "스물여섯 스물려섣|서른여덟 서른녀덜|열여섯 열려섣|칠십 칠씹|열 개 열 깨|여덟 장 여덜 짱|삼십육 삼심뉵",
    "whole phrases": "독립문 동님문|한국어 한구거|좋습니다 조씀니다|끓이다 끄리다|밥 먹는다 밤 멍는다|못 해 모 태",
}


def halves(pair: str) -> tuple[str, str]:
    words = pair.split(" ")
    middle = len(words) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


@pytest.mark.parametrize("article", RULES)
def test_the_standard_pronunciation_is_given(article: str) -> None:
    examples = dict(halves(pair) for pair in RULES[article].split("|"))
    assert {written: pronounce(written) for written in examples} == examples


def test_punctuation_ends_a_words_sound_and_stays() -> None:
    assert pronounce("옷, 안!") == "옫, 안!"


@pytest.mark.parametrize("text", ["", " ", "abc", "ㅋㅋ", "12", "못", "못 ", "값"])
def test_anything_can_be_pronounced(text: str) -> None:
    assert isinstance(pronounce(text), str)
