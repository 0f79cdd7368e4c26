"""What the cast says when nobody tells it what: phrases by chance, in several languages, and who says them.

Words are put one after the other; that they mean nothing does not matter to a mouth. Some languages, voices and words
are held out: nobody learns from them.
"""

# ruff: noqa: RUF001 - letters of other alphabets

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from understudy.cast.speak import invented
from understudy.cast.speak.acting import Temper
from understudy.cast.speak.festival import SPEAKERS
from understudy.cast.speak.take import Take
from understudy.cast.speak.timbre import PLAIN, Timbre
from understudy.cast.speak.voice import MOODS, Mood, Phrase, Voice, speak

WORDS: Final[Mapping[str, str]] = MappingProxyType({
    "en": "the a my your our we they people maybe never always because before behind between above morning evening "
    "mother father brother baby friend window paper apple bottle bread butter coffee kitchen garden river "
    "mountain summer winter thunder weather journey story music picture memory problem promise question answer "
    "happen believe remember forget imagine perhaps wonderful terrible beautiful simple purple yellow black "
    "blue green small big empty full open move give make take bring put speak whisper shout laugh smile "
    "breathe think feel leave stay hope very much more most nothing something everything impossible february "
    "seventeen five twelve people's voices wave above love rough enough path with other three through thousand "
    "church measure joy judge shoe wish",
    "de": "ich du wir ihr mein dein unser immer niemals vielleicht bevor hinter zwischen morgen abend mutter vater "
    "bruder freund fenster papier apfel flasche brot butter kaffee garten fluss berg sommer winter wetter "
    "geschichte musik bild frage antwort glauben vergessen wunderbar furchtbar schön einfach blau grün klein "
    "groß leer voll öffnen geben machen bringen sprechen rufen lachen atmen denken fühlen bleiben hoffen sehr "
    "nichts etwas alles unmöglich fünf zwölf über",
    "fr": "je tu nous vous mon ton notre toujours jamais peut-être avant derrière entre matin soir mère père frère "
    "ami fenêtre papier pomme bouteille pain beurre café jardin rivière montagne été hiver temps histoire "
    "musique image question réponse croire oublier merveilleux terrible beau simple bleu vert petit grand vide "
    "plein ouvrir donner faire parler crier rire respirer penser sentir rester espérer beaucoup rien tout "
    "impossible cinq douze un bon vin",
    "es": "yo tú nosotros mi tu siempre nunca quizás antes entre mañana tarde madre padre hermano amigo ventana "
    "papel manzana botella pan café jardín río montaña verano invierno tiempo historia música problema "
    "pregunta respuesta creer olvidar maravilloso terrible bonito simple azul verde pequeño grande vacío lleno "
    "abrir dar hacer hablar gritar reír respirar pensar sentir quedar esperar mucho nada todo imposible cinco "
    "doce",
    "it": "io tu noi mio sempre mai forse prima dietro mattina sera madre padre fratello amico finestra carta mela "
    "bottiglia pane burro caffè giardino fiume montagna estate inverno tempo storia musica domanda risposta "
    "credere dimenticare meraviglioso terribile bello semplice blu verde piccolo grande vuoto pieno aprire "
    "dare fare parlare gridare ridere respirare pensare sentire restare sperare molto niente tutto impossibile "
    "cinque dodici",
    "pt-br": "eu você nós meu sempre nunca talvez antes manhã tarde mãe pai irmão amigo janela papel maçã garrafa pão "
    "manteiga café jardim rio montanha verão inverno tempo história música pergunta resposta acreditar "
    "esquecer maravilhoso terrível bonito simples azul verde pequeno grande vazio cheio abrir dar fazer falar "
    "gritar rir pensar sentir ficar esperar muito nada tudo impossível cinco doze",
    "nl": "ik jij wij mijn altijd nooit misschien voor achter tussen morgen avond moeder vader broer vriend raam "
    "papier appel fles brood boter koffie tuin rivier berg zomer winter weer verhaal muziek vraag antwoord "
    "geloven vergeten prachtig vreselijk mooi eenvoudig blauw groen klein groot leeg vol openen geven maken "
    "spreken roepen lachen denken voelen blijven hopen veel niets iets alles onmogelijk vijf twaalf",
    "sv": "jag du vi min alltid aldrig kanske före bakom mellan morgon kväll mamma pappa bror vän fönster papper "
    "äpple flaska bröd smör kaffe flod berg sommar vinter väder berättelse musik fråga svar tro glömma "
    "underbar hemsk vacker enkel blå grön liten stor tom full öppna ge göra tala ropa skratta andas tänka "
    "känna stanna hoppas mycket inget något allt omöjligt fem tolv",
    "pl": "ja ty my mój zawsze nigdy może przed za między rano wieczór mama tata brat przyjaciel okno papier jabłko "
    "butelka chleb masło kawa ogród rzeka góra lato zima pogoda historia muzyka pytanie odpowiedź wierzyć "
    "zapomnieć wspaniały straszny piękny prosty niebieski zielony mały duży pusty pełny otwierać dawać robić "
    "mówić krzyczeć śmiać",
    "fi": "minä sinä me minun aina ehkä ennen takana välissä aamu ilta äiti isä veli ystävä ikkuna paperi omena "
    "pullo leipä voi kahvi puutarha joki vuori kesä talvi sää tarina musiikki kysymys vastaus uskoa unohtaa "
    "ihana kauhea kaunis yksinkertainen sininen vihreä pieni suuri tyhjä täysi avata antaa tehdä puhua huutaa "
    "nauraa hengittää",
    "tr": "ben sen biz benim her zaman asla belki önce arka sabah akşam anne baba kardeş arkadaş pencere kağıt elma "
    "şişe ekmek tereyağı kahve bahçe nehir dağ yaz kış hava hikaye müzik soru cevap inanmak unutmak harika "
    "korkunç güzel basit mavi yeşil küçük büyük boş dolu açmak vermek yapmak konuşmak bağırmak gülmek düşünmek "
    "kalmak",
    "cs": "já ty my můj vždy nikdy možná před za mezi ráno večer máma táta bratr přítel okno papír jablko láhev "
    "chléb máslo káva zahrada řeka hora léto zima počasí příběh hudba otázka odpověď věřit zapomenout úžasný "
    "hrozný krásný jednoduchý modrý zelený malý velký prázdný plný otevřít dávat dělat mluvit křičet",
    "hu": "én te mi mindig soha talán előtt mögött reggel este anya apa testvér barát ablak papír alma üveg kenyér "
    "vaj kávé kert folyó hegy nyár tél idő történet zene kérdés válasz hinni felejteni csodálatos szörnyű szép "
    "egyszerű kék zöld kicsi nagy üres tele nyitni adni csinálni beszélni kiabálni nevetni",
    "id": "saya kamu kami selalu tidak mungkin sebelum belakang antara pagi malam ibu bapak kakak teman jendela "
    "kertas apel botol roti mentega kopi taman sungai gunung musim cuaca cerita musik gambar pertanyaan "
    "jawaban percaya lupa indah sederhana biru hijau kecil besar kosong penuh membuka memberi membuat "
    "berbicara",
    "ca": "jo tu nosaltres meva teu sempre mai potser abans darrere entre matí vespre mare pare germà amic finestra "
    "paper poma ampolla pa mantega cafè jardí riu muntanya estiu hivern temps història música imatge pregunta "
    "resposta creure oblidar meravellós terrible bonic senzill blau verd petit gran buit ple obrir donar fer "
    "parlar cridar riure respirar pensar sentir quedar esperar molt res tot impossible cinc dotze",
    "hi": "मैं तुम हम मेरा तुम्हारा हमेशा कभी शायद पहले पीछे बीच सुबह शाम माँ पिता भाई बहन मित्र कागज़ सेब बोतल मक्खन बगीचा "
    "पहाड़ गर्मी मौसम कहानी चित्र सवाल जवाब भूलना सुंदर भयानक नीला हरा छोटा बड़ा खाली भरा खोलना देना बोलना सोचना बहुत सब "
    "असंभव पाँच बारह पानी किताब फूल बाप बाबा मामा पापा बीमार मुझे",
    "te": "నేను నువ్వు మేము మా మీ ఎప్పుడు బహుశా ముందు వెనుక మధ్య ఉదయం సాయంత్రం అమ్మ నాన్న అన్న తమ్ముడు మిత్రుడు కాగితం "
    "పండు సీసా పాలు తోట నది కొండ వేసవి కథ పాట బొమ్మ ప్రశ్న మరచి అందమైన భూమి నీలం పచ్చ చిన్న పెద్ద ఖాళీ పూర్తి ఇవ్వు మాట "
    "పాప బాబు మామిడి పువ్వు పప్పు ఐదు అసాధ్యం భయం",
    "ru": "я ты мы мой твой всегда никогда может перед позади между утро вечер мама папа брат друг окно бумага яблоко "
    "бутылка хлеб масло кофе сад река гора лето зима погода история музыка вопрос ответ верить забыть прекрасный "
    "ужасный красивый простой синий зелёный маленький большой пустой полный открыть давать делать говорить кричать "
    "смеяться думать чувствовать оставаться много ничего всё невозможно пять двенадцать бабушка любовь",
})  # fmt: skip
LANGUAGES: Final = ("en-us", "en-us", "en-us", "en", "en-gb-x-rp", "de", "fr", "es", "es-419", "it", "pt-br",
                    "nl", "sv", "pl", "fi", "tr")  # fmt: skip
VARIANTS: Final = ("", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "Andrea", "Alex", "steph",
                   "ed", "robert", "anika", "belinda", "ian")  # fmt: skip
UNSEEN_LANGUAGES: Final = ("cs", "hu", "id", "en-us")
UNSEEN_VARIANTS: Final = ("m8", "f5", "linda", "zac")
RECORDED: Final = 500_000
"""Takes from this number on are said by festival's speakers, who were people."""
HELD_OUT: Final = 1_000_000
"""Takes from this number on have voices, languages and words that nobody learns from."""
_EVERY: Final = 7  # of the words of a language that is learnt from, one in so many is held out
_INVENTED: Final = 0.7  # of espeak-ng's voices that are learnt from
_PURPOSE, _OWN_PURPOSE = 0x6C696E65, 0x6F776E65


@dataclass(frozen=True)
class Script:
    """Who says what, how."""

    voice: Voice
    phrases: tuple[Phrase, ...]
    temper: Temper
    seed: int


def script(number: int, seconds: float = 16.0, mood: Mood | None = None) -> Script:
    """Script `number`, of about so many seconds. Moods change by chance, unless one is given."""
    chance = np.random.default_rng([_PURPOSE, number])
    unseen = number >= HELD_OUT
    languages, variants = (UNSEEN_LANGUAGES, UNSEEN_VARIANTS) if unseen else (LANGUAGES, VARIANTS)
    language, variant = (str(some[chance.integers(len(some))]) for some in (languages, variants))
    recorded = RECORDED <= number < HELD_OUT
    if recorded:
        variant = tuple(SPEAKERS)[chance.integers(len(SPEAKERS))]
        language = SPEAKERS[variant].language
    apart = np.random.default_rng([_OWN_PURPOSE, number])  # so that held-out takes stay what they were
    if number < RECORDED and apart.random() < _INVENTED:
        variant = invented.name(number)
    voice = Voice(
        language=language,
        variant=variant,
        timbre=_own(apart) if recorded else PLAIN,
        rate=int(np.clip(chance.normal(165, 28), 105, 250)),
        pitch=int(np.clip(chance.normal(50, 16), 12, 90)),
        range=int(np.clip(chance.normal(55, 16), 20, 95)),
    )
    words = vocabulary(voice.language, unseen)
    phrases: list[Phrase] = []
    feels, strength, left = mood or _mood(chance), 0.6 + 0.4 * chance.random(), seconds
    while left > 0 or not phrases:
        if mood is None and phrases and chance.random() < 0.38:
            feels, strength = _mood(chance), 0.55 + 0.45 * chance.random()
        said = _words(words, chance)
        pause = float(np.clip(chance.gamma(2.0, 0.18), 0.08, 1.6)) if chance.random() < 0.85 else 1.0 + chance.random()
        phrases.append(Phrase(said, feels, float(strength), pause))
        left -= pause + 0.16 * (1 + len(said.split())) * 165 / voice.rate * 2.2
    return Script(voice, tuple(phrases), Temper.of(number), number)


def take(number: int, seconds: float = 16.0, mood: Mood | None = None) -> Take:
    """Take `number`: its script, spoken and acted. Errors: see `voice.speak`."""
    chosen = script(number, seconds, mood)
    return Take(speak(chosen.voice, chosen.phrases), chosen.temper, chosen.seed)


def vocabulary(language: str, unseen: bool) -> tuple[str, ...]:
    """Words of a language: those that are learnt from, or those that are held out (of a language that is never learnt
    from, all)."""
    key = next(key for key in WORDS if language.startswith(key))
    words = WORDS[key].split()
    if key in UNSEEN_LANGUAGES:
        return tuple(words)
    return tuple(word for place, word in enumerate(words) if (place % _EVERY == 0) == unseen)


def phrases_of(text: str, mood: Mood = "neutral", strength: float = 1.0) -> list[Phrase]:
    """A text as phrases, cut after the marks that end sentences; "[happy]" changes the mood from there on."""
    found: list[Phrase] = []
    for piece, feels in _moods_in(text, mood):
        for sentence in _sentences(piece):
            found.append(Phrase(sentence, feels, strength, 0.25 if not found else 0.45))
    return found


def _moods_in(text: str, mood: Mood) -> list[tuple[str, Mood]]:
    pieces: list[tuple[str, Mood]] = []
    place = 0
    while place < len(text):
        begin = text.find("[", place)
        end = text.find("]", begin)
        word = text[begin + 1 : end].strip().lower() if 0 <= begin < end else ""
        known = [name for name in MOODS if name == word]
        if begin < 0 or end < 0:
            break
        pieces.append((text[place:begin], mood))
        if known:
            mood = known[0]
        place = end + 1
    return [*pieces, (text[place:], mood)]


def _sentences(text: str) -> list[str]:
    """Cut after . ! ? ; : where a space follows."""
    found, words = [], list[str]()
    for word in text.split():
        words.append(word)
        if word.rstrip("\"')”»").endswith((".", "!", "?", ";", ":", "…", "。", "！", "？")):
            found.append(" ".join(words))
            words = []
    return [*found, *([" ".join(words)] if words else [])]


def _own(chance: np.random.Generator) -> Timbre:
    """What a speaker of festival's, of whom there are few, is made into: somebody of another throat, brighter or
    duller, and now and then rough or breathy. So no mood is known by what a voice sounds like, but by what changes."""
    rough, breath = (float(chance.random()) if chance.random() < 0.25 else 0.0 for _ in range(2))
    return Timbre(
        bright=float(chance.normal(0, 1.3)),
        short=float(np.exp(np.clip(chance.normal(0, 0.06), -0.13, 0.13))),
        rough=0.25 * rough,
        breath=0.015 * breath,
    )


def _mood(chance: np.random.Generator) -> Mood:
    return MOODS[int(chance.choice(len(MOODS), p=[0.28, 0.18, 0.18, 0.18, 0.18]))]


def _words(words: Sequence[str], chance: np.random.Generator) -> str:
    """Three to nine words, with a comma here and there."""
    said = [words[int(chance.integers(len(words)))] for _ in range(chance.integers(3, 10))]
    return " ".join(f"{word}," if chance.random() < 0.1 else word for word in said[:-1]) + f" {said[-1]}"
