"""Words for use that is not as it was."""

from api.words.facts import Either, Facts, FindingWords, Sentence, Text


def _lower(facts: Facts) -> bool:
    return str(facts.values["difference_a_day"]).startswith("-")


WORDS = {
    "level_shift": FindingWords(
        Text("Another level of use", "Другой уровень расхода", "Інший рівень споживання"),
        Either(
            _lower,
            Sentence(
                "%(day_since)s a day instead of the %(usual_day)s that were usual in the past %(learned_from_days)s, for %(days)s. Fewer people, or a meter that counts too little? Compare it with the neighbours and last year.",
                "%(day_since)s в сутки вместо обычных прежде (%(learned_from_days)s) %(usual_day)s, уже %(days)s. Меньше людей или прибор недосчитывает? Сравните с соседями и прошлым годом.",
                "%(day_since)s на добу замість звичайних раніше (%(learned_from_days)s) %(usual_day)s, уже %(days)s. Менше людей чи прилад недораховує? Порівняйте із сусідами й минулим роком.",
                amounts="day_since usual_day",
            ),
            Sentence(
                "%(day_since)s a day instead of the %(usual_day)s that were usual in the past %(learned_from_days)s, for %(days)s. More people, another use, or a leak? Compare it with the neighbours and last year.",
                "%(day_since)s в сутки вместо обычных прежде (%(learned_from_days)s) %(usual_day)s, уже %(days)s. Больше людей, другое использование или утечка? Сравните с соседями и прошлым годом.",
                "%(day_since)s на добу замість звичайних раніше (%(learned_from_days)s) %(usual_day)s, уже %(days)s. Більше людей, інше використання чи витік? Порівняйте із сусідами й минулим роком.",
                amounts="day_since usual_day",
            ),
        ),
    ),
    "seasonal_outlier": FindingWords(
        Text("Unusual hours", "Расход в необычные часы", "Споживання в незвичні години"),
        Sentence(
            "%(used)s in %(hours)s, where these hours of the week usually have %(normal)s; the oddest hour had %(worst_hour)s instead of %(worst_hour_normal)s. Something ran at an unusual time.",
            "%(used)s за %(hours)s, тогда как на эти часы недели обычно приходится %(normal)s; в самый необычный час %(worst_hour)s вместо %(worst_hour_normal)s. Что-то работало в необычное время.",
            "%(used)s за %(hours)s, тоді як на ці години тижня зазвичай припадає %(normal)s; у найнезвичнішу годину %(worst_hour)s замість %(worst_hour_normal)s. Щось працювало в незвичний час.",
            amounts="used normal worst_hour worst_hour_normal",
        ),
    ),
}
