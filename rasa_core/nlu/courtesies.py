"""Courtesies around the content of a message: greetings and fillers before it, requests and thanks behind it."""

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
"""Greetings at the beginning of a message, which training also puts before messages."""
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
    *("すみません", "안녕", "여보세요", "hey bot", "hi bot", "hello bot", "hallo bot", "hola bot"),
    *("salut bot", "ciao bot"),
    *("olá bot", "chào bot", "مرحبا بوت", "привет бот"),
)
"""Further greetings at the beginning of a message, which training does not put before messages."""
_BEGINNINGS: Final = (
    *("lol", "haha", "hahaha", "hehe", "hihi", "jaja", "jajaja", "lmao", "omg", "wow"),
    *("pls", "plz", "um", "uh", "er", "erm", "hm", "hmm", "oh", "ah", "well", "so", "ok", "okay", "and", "sorry"),
    *("thanks", "thank you", "I mean", "actually", "äh", "ähm", "also", "naja", "entschuldigung", "danke", "und"),
    *("pues", "bueno", "eh", "este", "perdón", "gracias", "euh", "ben", "alors", "merci", "et", "stp", "svp", "pardon"),
    *("allora", "ehm", "scusi", "scusa", "grazie", "então", "hum", "obrigado", "obrigada", "nou", "dus", "alsjeblieft"),
    *("alstublieft", "eh bien", "öh", "tack", "takk", "tak", "no więc", "proszę", "prosím", "kérem", "lütfen", "şey"),
    *("dạ", "ừm", "làm ơn", "tolong", "eee", "ну", "так", "вот", "пожалуйста", "спасибо", "λοιπόν", "παρακαλώ"),
    *("يعني", "طيب", "من فضلك", "لو سمحت", "شكرا", "אז", "בבקשה", "कृपया", "अच्छा", "请", "请问", "那个", "嗯"),
    *("あの", "えっと", "ええと", "あのう", "음", "저기", "저기요", "bot", "chatbot", "disculpe", "disculpa", "désolé"),
    *("excusez-moi", "desculpe", "verzeihung", "xin lỗi", "извините", "آسف", "عفوا", "סליחה", "不好意思", "对不起"),
)
_REQUESTS: Final = (
    *(
        "please",
        "pls",
        "plz",
        "asap",
        "lol",
        "haha",
        "hahaha",
        "hehe",
        "jaja",
        "ok",
        "okay",
        "right",
        "bitte",
        "por favor",
        "porfa",
    ),
    *("s'il vous plaît", "s'il te plaît", "svp", "stp", "per favore", "alstublieft", "aub", "alsjeblieft"),
    *("proszę", "prosím", "kérem", "vă rog", "lütfen", "nhé", "ạ", "tolong", "пожалуйста", "παρακαλώ", "من فضلك"),
    *("لو سمحت", "בבקשה", "कृपया", "प्लीज", "ครับ", "ค่ะ", "นะ", "吧", "お願いします", "よろしくお願いします"),
    *("おねがいします", "ください"),
    *("부탁해요", "부탁합니다", "주세요"),
)
"""Words at the end of a message that mean nothing without it."""
_THANKS: Final = (
    *("thanks", "thanks a lot", "many thanks", "thank you", "thank you very much", "thx", "ty"),
    *("thank you so much", "thanks so much", "thanks in advance", "thank you in advance", "much appreciated"),
    *("cheers", "thank u", "tia", "thanks bot", "thank you bot", "regards", "best regards", "kind regards"),
    *("sorry", "bye", "bye bye", "goodbye", "good bye", "have a nice day", "take care", "have a good day"),
    *("have a great day", "see you", "danke", "danke schön", "dankeschön", "danke sehr", "vielen dank"),
    *("besten dank", "herzlichen dank", "danke im voraus", "danke schon mal", "danke bot", "liebe grüße"),
    *("viele grüße", "mfg", "entschuldigung", "tschüss", "auf wiedersehen", "schönen tag noch", "schönen tag"),
    *("einen schönen tag noch", "gracias", "muchas gracias", "muchísimas gracias", "mil gracias"),
    *("gracias de antemano", "gracias bot", "saludos", "perdón", "disculpe", "disculpa", "adiós", "hasta luego"),
    *("buen día", "que tenga buen día", "que tenga un buen día", "merci", "merci beaucoup", "merci bien"),
    *("merci d'avance", "cordialement", "désolé", "pardon", "au revoir", "bonne journée", "grazie", "grazie mille"),
    *("scusi", "scusa", "arrivederci", "buona giornata", "obrigado", "obrigada", "muito obrigado"),
    *("muito obrigada", "valeu", "desculpe", "tchau", "dank je", "dank u", "dank je wel", "bedankt", "doei"),
    *("tack", "takk", "tak", "kiitos", "dziękuję", "děkuji", "díky", "köszönöm", "mulțumesc", "teşekkürler"),
    *("cảm ơn", "xin cảm ơn", "cảm ơn bạn", "cảm ơn nhiều", "xin lỗi", "tạm biệt", "terima kasih", "спасибо"),
    *("спасибо большое", "большое спасибо", "извините", "до свидания", "ευχαριστώ", "شكرا", "شكرا لك"),
    *("شكرا جزيلا", "آسف", "مع السلامة", "ممنون", "תודה", "תודה רבה", "סליחה", "धन्यवाद", "ขอบคุณ", "ขอบคุณครับ"),
    *("ขอบคุณค่ะ", "谢谢", "多谢", "谢谢你", "すみません", "どうも", "ありがとう", "ありがとうございます"),
    *("ありがとうございました", "감사합니다", "고맙습니다", "죄송합니다"),
)
"""Words at the end of a message that may also be a message of their own, such as thanks."""

_AT_MOST: Final = 3
"""The most courtesies that are skipped at each end, as in "oh, hello, um ..."."""

Words = tuple[str, ...]


def around(keys: Sequence[str]) -> tuple[int, int]:
    """Return the first token of a message behind the courtesies at its beginning, and the end before those at its end.

    Signs between courtesies and the content are skipped, too. A message of courtesies alone is not shortened to
    nothing: the last courtesy that is left counts as its content.
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


def thanks(keys: Sequence[str]) -> Sequence[str]:
    """Return the tokens of the courtesies at the end of a message; none if they are only requests, such as please."""
    _, end = around(keys)
    begin = next((at for at in range(end, len(keys)) if not is_sign(keys[at])), len(keys))
    words = [_bones(key) for key in keys[begin:] if not is_sign(key)]
    return keys[begin:] if any(word not in _words_of_requests() for word in words) else ()


def _after(keys: Sequence[str], begin: int, end: int) -> int:
    """Return the first token behind one courtesy at `begin`; `begin` if there is none, or nothing behind it."""
    for words in _known("first").get(_bones(keys[begin]), ()) if begin < end else ():
        if tuple(map(_bones, keys[begin : begin + len(words)])) == words:
            return next((at for at in range(begin + len(words), end) if not is_sign(keys[at])), begin)
    return begin


def _before(keys: Sequence[str], begin: int, end: int) -> int:
    """Return the end of the tokens before one courtesy at `end`; `end` if there is none, or nothing before it."""
    last = next((at + 1 for at in range(end - 1, begin - 1, -1) if not is_sign(keys[at])), begin)
    for words in _known("last").get(_bones(keys[last - 1]), ()) if last > begin else ():
        if tuple(map(_bones, keys[max(last - len(words), begin) : last])) == words:
            return next((at + 1 for at in range(last - len(words) - 1, begin - 1, -1) if not is_sign(keys[at])), end)
    return end


@cache
def _known(end: Literal["first", "last"]) -> dict[str, list[Words]]:
    """Return the courtesies of the beginning (or end) by their first (last) word, as skeletons, the longest first."""
    said: Iterable[str] = (*GREETINGS, *_OTHER_GREETINGS, *_BEGINNINGS) if end == "first" else (*_REQUESTS, *_THANKS)
    found: dict[str, list[Words]] = {}
    for one in sorted(said, key=len, reverse=True):
        words = tuple(map(_bones, keys_of(one, tokenize(one))))
        found.setdefault(words[0 if end == "first" else -1], []).append(words)
    return found


@cache
def _words_of_requests() -> frozenset[str]:
    return frozenset(_bones(key) for one in _REQUESTS for key in keys_of(one, tokenize(one)))


@lru_cache(maxsize=1024)  # Few different words stand at the beginning and end of messages.
def _bones(key: str) -> str:
    return skeleton(word_of(key))  # So "Heyyy" and "buenos dias" count as greetings.
