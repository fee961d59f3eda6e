"""Words for steps that a register should not make, and for none at all."""

from api.words.facts import Either, Facts, FindingWords, Sentence, Text, known, plural, says

_SAME = Text(
    "%(readings)s of %(level)s",
    "%(readings)s: %(level)s",
    "%(readings)s: %(level)s",
)
_SPREAD = Text(
    "%(readings)s of %(low)s to %(high)s",
    "%(readings)s: от %(low)s до %(high)s",
    "%(readings)s: від %(low)s до %(high)s",
)
_NONE_SINCE = Text(
    "%(said)s after %(before)s, and nothing usable since. Never billed.",
    "%(said)s после %(before)s, и с тех пор ничего пригодного. В начисление не идёт.",
    "%(said)s після %(before)s, і відтоді нічого придатного. До нарахування не йде.",
)
_NONE_BEFORE = Text(
    "%(said)s before %(after)s. Never billed, and left out of the chart.",
    "%(said)s до %(after)s. В начисление не идёт и на графике не показано.",
    "%(said)s до %(after)s. До нарахування не йде й на графіку не показано.",
)
_BETWEEN = Text(
    "%(said)s between %(before)s and %(after)s. Never billed, and left out of the chart.",
    "%(said)s между %(before)s и %(after)s. В начисление не идёт и на графике не показано.",
    "%(said)s між %(before)s і %(after)s. До нарахування не йде й на графіку не показано.",
)


def _glitch(facts: Facts) -> str:
    low, high = facts.amount("lowest"), facts.amount("highest")
    readings = facts.count("readings", "%(count)s reading", "%(count)s readings")
    said = facts.say(_SAME, readings=readings, level=low)
    if low != high:
        said = facts.say(_SPREAD, readings=readings, low=low, high=high)
    if not facts.known("after"):
        return facts.say(_NONE_SINCE, said=said, before=facts.level("before"))
    if not facts.known("before"):
        return facts.say(_NONE_BEFORE, said=said, after=facts.level("after"))
    return facts.say(_BETWEEN, said=said, before=facts.level("before"), after=facts.level("after"))


WORDS = {
    "negative_step.glitch": FindingWords(
        Text("Glitch", "Сбой показания", "Збій показання"),
        _glitch,
    ),
    "negative_step.jitter": FindingWords(
        Text("Small steps back", "Небольшие шаги назад", "Невеликі кроки назад"),
        Sentence(
            "%(steps)s back, the largest %(largest)s, %(total)s in all: reverse flow or rounding. Look again if it grows.",
            "%(steps)s назад, наибольший %(largest)s, всего %(total)s: обратный поток или округление. Посмотрите ещё раз, если станет больше.",
            "%(steps)s назад, найбільший %(largest)s, усього %(total)s: зворотний потік або округлення. Погляньте ще раз, якщо зросте.",
            amounts="largest total",
            counts={"steps": plural("%(count)s step", "%(count)s steps")},
        ),
    ),
    "negative_step.rollover": FindingWords(
        Text("Register rolled over", "Показания перешли через ноль", "Показання перейшли через нуль"),
        Either(
            known("capacity"),
            Sentence(
                "From %(before)s over the register's top of %(capacity)s to %(after)s. Consumption is counted across it; there is nothing to do.",
                "С %(before)s через предел регистра %(capacity)s до %(after)s. Расход посчитан с учётом перехода, делать ничего не нужно.",
                "З %(before)s через межу регістра %(capacity)s до %(after)s. Споживання пораховано з урахуванням переходу, робити нічого не треба.",
                levels="before after",
                amounts="capacity",
            ),
            Sentence(
                "From %(before)s over the register's top to %(after)s. Consumption is counted across it; there is nothing to do.",
                "С %(before)s через предел регистра до %(after)s. Расход посчитан с учётом перехода, делать ничего не нужно.",
                "З %(before)s через межу регістра до %(after)s. Споживання пораховано з урахуванням переходу, робити нічого не треба.",
                levels="before after",
            ),
        ),
    ),
    "negative_step.reset": FindingWords(
        Text("Register reset", "Показания обнулились", "Показання обнулилися"),
        Sentence(
            "Fell from %(before)s to %(after)s and counts on from there. The month cannot be billed until the last and the first value are entered as two installations.",
            "Показание упало с %(before)s до %(after)s и растёт дальше оттуда. Начислить месяц нельзя, пока последнее и первое значения не внесены как две установки.",
            "Показання впало з %(before)s до %(after)s і зростає далі звідти. Нарахувати місяць не можна, доки останнє й перше значення не внесено як два встановлення.",
            levels="before after",
        ),
    ),
    "negative_step.swap_suspect": FindingWords(
        Text("Exchange suspected", "Похоже на замену прибора", "Схоже на заміну приладу"),
        Either(
            says("pattern", "mix-up"),
            Sentence(
                "Two levels in turn between %(before)s and %(after)s, the other one %(visits)s, from %(lowest)s to %(highest)s. Does another meter answer at this address?",
                "Два уровня по очереди между %(before)s и %(after)s, другой %(visits)s, от %(lowest)s до %(highest)s. Не отвечает ли по этому адресу другой прибор?",
                "Два рівні почергово між %(before)s і %(after)s, інший %(visits)s, від %(lowest)s до %(highest)s. Чи не відповідає за цією адресою інший прилад?",
                levels="before after",
                amounts="lowest highest",
                counts={"visits": plural("%(count)s time", "%(count)s times")},
            ),
            Sentence(
                "From %(before)s on to %(after)s, another level altogether. If the meter was exchanged, enter both meters' installations in the registry.",
                "С %(before)s на %(after)s: совсем другой уровень. Если прибор заменили, внесите в реестр установки обоих приборов.",
                "З %(before)s на %(after)s: зовсім інший рівень. Якщо прилад замінили, внесіть до реєстру встановлення обох приладів.",
                levels="before after",
            ),
        ),
    ),
    "reverse_flow": FindingWords(
        Text("Reverse flow", "Обратный поток", "Зворотний потік"),
        Sentence(
            "Ran backward from %(before)s to %(after)s, by %(ran_back)s, from %(since)s to %(until)s. None of it is counted as consumption. Look for a missing or broken non-return valve, or a meter built in the wrong way round.",
            "Показания шли назад: с %(before)s до %(after)s, на %(ran_back)s, с %(since)s по %(until)s. Расходом это не считается. Проверьте, есть ли обратный клапан и исправен ли он и не установлен ли прибор наоборот.",
            "Показання йшли назад: з %(before)s до %(after)s, на %(ran_back)s, з %(since)s по %(until)s. Споживанням це не вважається. Перевірте, чи є зворотний клапан, чи справний він і чи не встановлено прилад навпаки.",
            amounts="before after ran_back",
        ),
    ),
    "stuck": FindingWords(
        Text("Register stuck", "Показания стоят", "Показання не змінюються"),
        Sentence(
            "Stands at %(value)s since %(since)s, for %(hours)s; its longest rest before was %(longest_before_hours)s (limit %(limit_hours)s). Is the flat empty, or does the meter no longer count?",
            "Показание %(value)s не меняется с %(since)s, уже %(hours)s; самый долгий перерыв прежде — %(longest_before_hours)s (порог %(limit_hours)s). В квартире никто не живёт или прибор больше не считает?",
            "Показання %(value)s не змінюється з %(since)s, уже %(hours)s; найдовша перерва раніше — %(longest_before_hours)s (поріг %(limit_hours)s). У квартирі ніхто не живе чи прилад більше не рахує?",
            amounts="value",
        ),
    ),
    "zero": FindingWords(
        Text("Nothing used for long", "Долго нет расхода", "Довго немає споживання"),
        Sentence(
            "Nothing was used from %(since)s to %(until)s, for %(hours)s, at %(value)s; the longest rest before was %(longest_before_hours)s (limit %(limit_hours)s). Perhaps nobody is at home; if it goes on, the meter may be stuck.",
            "С %(since)s по %(until)s, %(hours)s подряд, расхода не было (показание %(value)s); самый долгий перерыв прежде — %(longest_before_hours)s (порог %(limit_hours)s). Возможно, никого нет дома; если продолжится, прибор мог остановиться.",
            "З %(since)s по %(until)s, %(hours)s поспіль, споживання не було (показання %(value)s); найдовша перерва раніше — %(longest_before_hours)s (поріг %(limit_hours)s). Можливо, нікого немає вдома; якщо триватиме, прилад міг зупинитися.",
            amounts="value",
        ),
    ),
}
