"""Words for what goes wrong with heat."""

from api.words.facts import Either, FindingWords, Sentence, Text, known

UNITS = {
    "energy": "kW.h",
    "volume": "m3",
    "cooling": "K",
    "flow_temperature": "Cel",
    "return_temperature": "Cel",
    "lost": "kW.h",
}

WORDS = {
    "heat.return_temperature": FindingWords(
        Text("Return too warm", "Слишком тёплая обратка", "Надто тепла зворотка"),
        Sentence(
            "The water came back at %(return_temperature)s on average, above the limit of %(limit)s, on days: %(days)s (flow %(flow_temperature)s, %(energy)s, %(volume)s). Too much water flows: look at the valves and the hydraulic balance.",
            "Вода возвращалась в среднем при %(return_temperature)s, выше порога %(limit)s: %(days)s (подача %(flow_temperature)s, %(energy)s, %(volume)s). Течёт слишком много воды: проверьте вентили и гидравлическую балансировку.",
            "Вода поверталася в середньому за %(return_temperature)s, вище порога %(limit)s: %(days)s (подача %(flow_temperature)s, %(energy)s, %(volume)s). Тече забагато води: перевірте вентилі та гідравлічне балансування.",
            units=UNITS | {"limit": "Cel"},
        ),
    ),
    "heat.small_difference": FindingWords(
        Text("Small temperature difference", "Малая разность температур", "Мала різниця температур"),
        Sentence(
            "The water was cooled by %(cooling)s only, below the limit of %(limit)s, for %(days)s: %(energy)s from %(volume)s. At such small differences a meter counts badly; look at valves, and at both sensors' seats.",
            "Вода остывала лишь на %(cooling)s, ниже порога %(limit)s: %(days)s, %(energy)s из %(volume)s. При такой малой разности прибор считает плохо; проверьте вентили и посадку обоих датчиков.",
            "Вода остигала лише на %(cooling)s, нижче порога %(limit)s: %(days)s, %(energy)s з %(volume)s. За такої малої різниці прилад рахує погано; перевірте вентилі та посадку обох датчиків.",
            units=UNITS | {"limit": "K"},
        ),
    ),
    "heat.swapped_sensors": FindingWords(
        Text("Sensors swapped", "Датчики перепутаны", "Датчики переплутано"),
        Sentence(
            "The return is warmer than the flow (%(return_temperature)s, %(flow_temperature)s) for %(days)s, while %(volume)s ran: no heat is counted. The sensors are probably swapped; have the mounting inspected.",
            "Обратка теплее подачи (%(return_temperature)s и %(flow_temperature)s): %(days)s, прошло %(volume)s, а тепло не считается. Вероятно, датчики перепутаны; проверьте монтаж.",
            "Зворотка тепліша за подачу (%(return_temperature)s і %(flow_temperature)s): %(days)s, пройшло %(volume)s, а тепло не рахується. Імовірно, датчики переплутано; перевірте монтаж.",
            units=UNITS,
        ),
    ),
    "heat.energy_without_volume": FindingWords(
        Text("Heat without flow", "Тепло без расхода", "Тепло без витрати"),
        Sentence(
            "%(energy)s were counted for %(days)s although hardly any water ran (%(volume)s). The flow sensor or its cable has failed, or the register is another one's; have it inspected before it is billed.",
            "Насчитано %(energy)s за %(days)s, хотя воды почти не было (%(volume)s). Отказал расходомер или его кабель, либо это регистр другого прибора; осмотрите его до начисления.",
            "Прилад налічив %(energy)s за %(days)s, хоча води майже не було (%(volume)s). Відмовив витратомір або його кабель, або це регістр іншого приладу; огляньте його до нарахування.",
            units=UNITS,
        ),
    ),
    "heat.volume_without_energy": FindingWords(
        Text("Flow without heat", "Расход без тепла", "Витрата без тепла"),
        Either(
            known("lost"),
            Sentence(
                "%(volume)s ran for %(days)s and no heat was counted; by the usual cooling about %(lost)s are missing. A temperature sensor has failed or hangs loose; have it inspected.",
                "Прошло %(volume)s за %(days)s, а тепло не считалось; судя по обычному охлаждению, не хватает около %(lost)s. Датчик температуры отказал или выпал; осмотрите его.",
                "Пройшло %(volume)s за %(days)s, а тепло не рахувалося; судячи зі звичайного охолодження, бракує близько %(lost)s. Датчик температури відмовив або випав; огляньте його.",
                units=UNITS,
            ),
            Sentence(
                "%(volume)s ran for %(days)s and no heat was counted. A temperature sensor has failed or hangs loose; have it inspected.",
                "Прошло %(volume)s за %(days)s, а тепло не считалось. Датчик температуры отказал или выпал; осмотрите его.",
                "Пройшло %(volume)s за %(days)s, а тепло не рахувалося. Датчик температури відмовив або випав; огляньте його.",
                units=UNITS,
            ),
        ),
        lost="lost",
        lost_unit="kW.h",
    ),
    "heat.off_season": FindingWords(
        Text("Heating in summer", "Отопление летом", "Опалення влітку"),
        Sentence(
            "%(energy)s were used on %(days)s of summer, when nobody heats. Hot water may be made from it; else look for a valve that does not close.",
            "Израсходовано %(energy)s за %(days)s лета, когда никто не топит. Возможно, из этого делают горячую воду; иначе ищите незакрытый вентиль.",
            "Спожито %(energy)s за %(days)s літа, коли ніхто не опалює. Можливо, з цього роблять гарячу воду; інакше шукайте незакритий вентиль.",
            units=UNITS,
        ),
    ),
}
