"""Words for counters that cannot have moved like that."""

from api.words.facts import FindingWords, Sentence, Text

WORDS = {
    "max_rate": FindingWords(
        Text("Impossible rate", "Невозможный расход", "Неможливе споживання"),
        Sentence(
            "%(per_hour)s an hour is more than the meter can let through (%(possible_per_hour)s an hour): %(moved)s from %(since)s to %(until)s. Compare it with the meter; a wrong multiplier or a glitch is likely.",
            "%(per_hour)s в час — больше, чем может пропустить прибор (%(possible_per_hour)s в час): %(moved)s с %(since)s по %(until)s. Сверьте с прибором: вероятен неверный множитель или сбой.",
            "%(per_hour)s за годину — більше, ніж може пропустити прилад (%(possible_per_hour)s за годину): %(moved)s з %(since)s по %(until)s. Звірте з приладом: імовірні хибний множник або збій.",
            amounts="per_hour possible_per_hour moved",
        ),
    ),
    "high_low.high": FindingWords(
        Text("Unusually high use", "Необычно большой расход", "Незвично велике споживання"),
        Sentence(
            "Up to %(day_of_use)s a day, above the limit of %(limit)s; %(usual_day)s would have been a busy day of the past %(learned_from_days)s. It lasted for %(days)s. Ask whether so much was used before it is billed.",
            "До %(day_of_use)s в сутки при пороге %(limit)s; прежде (%(learned_from_days)s) много — это %(usual_day)s. Продолжалось %(days)s. Уточните, правда ли столько израсходовано, прежде чем начислять.",
            "До %(day_of_use)s на добу за порога %(limit)s; раніше (%(learned_from_days)s) багато — це %(usual_day)s. Тривало %(days)s. Уточніть, чи справді стільки спожито, перш ніж нараховувати.",
            amounts="day_of_use limit usual_day",
        ),
    ),
    "high_low.low": FindingWords(
        Text("Unusually low use", "Необычно малый расход", "Незвично мале споживання"),
        Sentence(
            "Down to %(day_of_use)s a day, below the limit of %(limit)s; %(usual_day)s would have been a quiet day of the past %(learned_from_days)s. It lasted for %(days)s. Is the place empty, or is something not counted?",
            "Всего %(day_of_use)s в сутки при пороге %(limit)s; прежде (%(learned_from_days)s) мало — это %(usual_day)s. Продолжалось %(days)s. Там никто не живёт или что-то не считается?",
            "Усього %(day_of_use)s на добу за порога %(limit)s; раніше (%(learned_from_days)s) мало — це %(usual_day)s. Тривало %(days)s. Там ніхто не живе чи щось не рахується?",
            amounts="day_of_use limit usual_day",
        ),
    ),
    "spike": FindingWords(
        Text("Spike", "Всплеск", "Сплеск"),
        Sentence(
            "%(highest_per_hour)s an hour, where the third highest of the day was %(third_highest_per_hour)s and the highest of the past %(learned_from_days)s %(highest_of_past_per_hour)s. Compare it with the hours beside it.",
            "%(highest_per_hour)s в час, тогда как третий по величине час суток — %(third_highest_per_hour)s, а наибольший в прошлом (%(learned_from_days)s) — %(highest_of_past_per_hour)s. Сравните с соседними часами.",
            "%(highest_per_hour)s за годину, тоді як третя за величиною година доби — %(third_highest_per_hour)s, а найбільша в минулому (%(learned_from_days)s) — %(highest_of_past_per_hour)s. Порівняйте із сусідніми годинами.",
            amounts="highest_per_hour third_highest_per_hour highest_of_past_per_hour",
        ),
    ),
    "unit_or_multiplier": FindingWords(
        Text("Wrong unit or multiplier", "Неверная единица или множитель", "Хибна одиниця або множник"),
        Sentence(
            "The values changed by the factor %(factor)s, from %(before)s (%(before_at)s) to %(after)s (%(after_at)s), for readings: %(readings)s. They are never billed. Compare unit and multiplier with the meter's plate.",
            "Значения изменились с коэффициентом %(factor)s: с %(before)s (%(before_at)s) на %(after)s (%(after_at)s), показаний: %(readings)s. В начисление они не идут. Сверьте единицу и множитель с табличкой прибора.",
            "Значення змінилися з коефіцієнтом %(factor)s: з %(before)s (%(before_at)s) на %(after)s (%(after_at)s), показань: %(readings)s. До нарахування вони не йдуть. Звірте одиницю й множник із табличкою приладу.",
            amounts="before after",
        ),
    ),
}
