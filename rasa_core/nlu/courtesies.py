"""What people say around what they want: greetings and words to begin with, thanks and the like at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Final, Literal

from rasa_core.nlu.spelling import skeleton
from rasa_core.nlu.tokens import is_sign, keys_of, tokenize, word_of

GREETINGS: Final = (
    *("hello", "hi", "hey", "good morning", "good evening", "hi there", "hello there", "please", "hola", "buenos días"),
    *("bonjour", "salut", "hallo", "guten Tag", "ciao", "buongiorno", "olá", "bom dia", "hej", "cześć", "merhaba"),
    *("xin chào", "привет", "добрый день", "مرحبا", "שלום", "नमस्ते", "你好", "こんにちは", "안녕하세요"),
)
"""What people say before they say what they want."""
_OTHER_GREETINGS: Final = (
    *("good afternoon", "good day", "hello everyone", "hello all", "hi all", "hi everyone", "hey there", "hiya"),
    *("greetings", "howdy", "dear all", "excuse me", "buenas", "buenas tardes", "buenas noches", "por favor", "oi"),
    *("bonsoir", "coucou", "s'il vous plaît", "guten morgen", "guten abend", "hallo zusammen", "servus", "moin"),
    *("grüß gott", "bitte", "buonasera", "salve", "per favore", "boa tarde", "boa noite", "goedemorgen", "goedemiddag"),
    *("goedenavond", "hoi", "god morgon", "god morgen", "god dag", "moi", "hei", "terve", "dzień dobry", "dobrý den"),
    *("ahoj", "szia", "jó napot", "bună ziua", "selam", "günaydın", "iyi günler", "chào", "chào bạn", "halo"),
    *("selamat pagi", "selamat siang", "доброе утро", "добрый вечер", "здравствуйте", "доброго дня", "γεια σας"),
    *("καλημέρα", "السلام عليكم", "أهلا", "صباح الخير", "مساء الخير", "سلام", "היי", "בוקר טוב", "नमस्कार", "हेलो"),
    *("สวัสดี", "สวัสดีครับ", "สวัสดีค่ะ", "您好", "早上好", "下午好", "こんばんは", "おはよう", "おはようございます"),
    *("すみません", "안녕", "여보세요"),
)
"""What messages are read without, too; training makes none with them."""
_BEGINNINGS: Final = (
    *("pls", "plz", "um", "uh", "er", "erm", "hm", "hmm", "oh", "ah", "well", "so", "ok", "okay", "and", "sorry"),
    *("thanks", "thank you", "I mean", "actually", "äh", "ähm", "also", "naja", "entschuldigung", "danke", "und"),
    *("pues", "bueno", "eh", "este", "perdón", "gracias", "euh", "ben", "alors", "merci", "et", "stp", "svp", "pardon"),
    *("allora", "ehm", "scusi", "scusa", "grazie", "então", "hum", "obrigado", "obrigada", "nou", "dus", "alsjeblieft"),
    *("alstublieft", "eh bien", "öh", "tack", "takk", "tak", "no więc", "proszę", "prosím", "kérem", "lütfen", "şey"),
    *("dạ", "ừm", "làm ơn", "tolong", "eee", "ну", "так", "вот", "пожалуйста", "спасибо", "λοιπόν", "παρακαλώ"),
    *("يعني", "طيب", "من فضلك", "لو سمحت", "شكرا", "אז", "בבקשה", "कृपया", "अच्छा", "请", "请问", "那个", "嗯"),
    *("あの", "えっと", "ええと", "あのう", "음", "저기", "저기요"),
)
_ENDS: Final = (
    *("please", "pls", "plz", "thanks", "thanks a lot", "many thanks", "thank you", "thank you very much", "thx", "ty"),
    *(
        "thank you so much",
        "thanks in advance",
        "cheers",
        "asap",
        "lol",
        "haha",
        "hehe",
        "ok",
        "okay",
        "right",
        "regards",
    ),
    *("best regards", "kind regards", "bitte", "danke", "danke schön", "dankeschön", "vielen dank", "besten dank"),
    *("danke im voraus", "liebe grüße", "viele grüße", "mfg", "por favor", "porfa", "gracias", "muchas gracias"),
    *("saludos", "s'il vous plaît", "s'il te plaît", "svp", "stp", "merci", "merci beaucoup", "merci d'avance"),
    *("cordialement", "per favore", "grazie", "grazie mille", "obrigado", "obrigada", "valeu", "alstublieft", "aub"),
    *("alsjeblieft", "dank je", "dank u", "bedankt", "tack", "takk", "tak", "kiitos", "proszę", "dziękuję", "prosím"),
    *("děkuji", "díky", "kérem", "köszönöm", "vă rog", "mulțumesc", "lütfen", "teşekkürler", "cảm ơn", "xin cảm ơn"),
    *("cảm ơn bạn", "nhé", "ạ", "tolong", "terima kasih", "пожалуйста", "спасибо", "παρακαλώ", "ευχαριστώ"),
    *("من فضلك", "لو سمحت", "شكرا", "شكرا لك", "ممنون", "תודה", "בבקשה", "תודה רבה", "कृपया", "धन्यवाद", "प्लीज"),
    *("ครับ", "ค่ะ", "นะ", "ขอบคุณ", "ขอบคุณครับ", "ขอบคุณค่ะ", "谢谢", "多谢", "吧", "お願いします"),
    *("おねがいします", "ください", "ありがとう", "ありがとうございます", "감사합니다", "고맙습니다", "부탁해요"),
    *("부탁합니다", "주세요"),
)

_AT_MOST: Final = 3
"""How many of these are passed over at each end: "oh, hello, um ..."."""

Words = tuple[str, ...]


def around(keys: Sequence[str]) -> tuple[int, int]:
    """Return where, among the tokens of a message, what people want begins and ends.

    Signs between that and what is passed over are passed over, too. If there is nothing else, all of it counts.
    """
    begin, end = 0, len(keys)
    for _ in range(_AT_MOST):
        after = _after(keys, begin, end)
        if after == begin:
            break
        begin = after
    for _ in range(_AT_MOST):
        before = _before(keys, begin, end)
        if before == end:
            break
        end = before
    return begin, end


def _after(keys: Sequence[str], begin: int, end: int) -> int:
    """Return where the rest of a message begins after such words; `begin` if there are none, or nothing else."""
    for words in _known("first").get(_bones(keys[begin]), ()) if begin < end else ():
        if tuple(map(_bones, keys[begin : begin + len(words)])) == words:
            return next((at for at in range(begin + len(words), end) if not is_sign(keys[at])), begin)
    return begin


def _before(keys: Sequence[str], begin: int, end: int) -> int:
    """Return where a message ends before such words; `end` if there are none, or nothing else."""
    last = next((at + 1 for at in range(end - 1, begin - 1, -1) if not is_sign(keys[at])), begin)
    for words in _known("last").get(_bones(keys[last - 1]), ()) if last > begin else ():
        if tuple(map(_bones, keys[max(last - len(words), begin) : last])) == words:
            return next((at + 1 for at in range(last - len(words) - 1, begin - 1, -1) if not is_sign(keys[at])), end)
    return end


@cache
def _known(end: Literal["first", "last"]) -> dict[str, list[Words]]:
    """Return what people say at the beginning or end, by its first or last word, the longest first, as skeletons."""
    said: Iterable[str] = (*GREETINGS, *_OTHER_GREETINGS, *_BEGINNINGS) if end == "first" else _ENDS
    found: dict[str, list[Words]] = {}
    for one in sorted(said, key=len, reverse=True):
        words = tuple(map(_bones, keys_of(one, tokenize(one))))
        found.setdefault(words[0 if end == "first" else -1], []).append(words)
    return found


@lru_cache(maxsize=1024)  # Messages begin and end with few words.
def _bones(key: str) -> str:
    return skeleton(word_of(key))  # "Heyyy" and "buenos dias" are greetings, too.
