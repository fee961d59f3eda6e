"""Words for what goes wrong with electricity."""

from api.words.facts import Either, FindingWords, Sentence, Text, given

WORDS = {
    "theft_like_drop": FindingWords(
        Text("Drop as if past the meter", "Падение, как в обход прибора", "Падіння, ніби в обхід приладу"),
        Sentence(
            "Since %(days)s both nights and days are at a part of what they were: %(day_since)s a day instead of %(usual_day)s, at night %(night_since_per_hour)s an hour instead of %(usual_night_per_hour)s. About %(missing)s went past the meter, if nobody moved out. Have seals and wiring inspected.",
            "Уже %(days)s и ночи, и дни ниже прежнего: %(day_since)s в сутки вместо %(usual_day)s, ночью %(night_since_per_hour)s в час вместо %(usual_night_per_hour)s. Если никто не съехал, мимо прибора прошло около %(missing)s. Осмотрите пломбы и проводку.",
            "Уже %(days)s і ночі, і дні нижчі за попередні: %(day_since)s на добу замість %(usual_day)s, уночі %(night_since_per_hour)s за годину замість %(usual_night_per_hour)s. Якщо ніхто не виїхав, повз прилад пройшло близько %(missing)s. Огляньте пломби й проводку.",
            amounts="day_since usual_day night_since_per_hour usual_night_per_hour missing",
        ),
        lost="missing",
    ),
    "base_load_jump": FindingWords(
        Text("Base load jumped", "Скачок базовой нагрузки", "Стрибок базового навантаження"),
        Sentence(
            "At night %(night_since_per_hour)s an hour instead of %(usual_night_per_hour)s for %(days)s, %(more)s more in all. Something runs that did not: a heater, a pump, a device that is broken. Tell the residents.",
            "Ночью %(night_since_per_hour)s в час вместо %(usual_night_per_hour)s, уже %(days)s, всего на %(more)s больше. Работает что-то новое: обогреватель, насос, неисправное устройство. Сообщите жильцам.",
            "Уночі %(night_since_per_hour)s за годину замість %(usual_night_per_hour)s, уже %(days)s, усього на %(more)s більше. Працює щось нове: обігрівач, насос, несправний пристрій. Повідомте мешканців.",
            amounts="night_since_per_hour usual_night_per_hour more",
        ),
    ),
    "phase_imbalance": FindingWords(
        Text("Phases out of balance", "Перекос фаз", "Перекіс фаз"),
        Sentence(
            "The phases carry %(share_l1)s, %(share_l2)s and %(share_l3)s of the load; more than %(limit)s on one is too much. A phase with nothing may have lost its fuse or its current transformer.",
            "На фазы приходится %(share_l1)s, %(share_l2)s и %(share_l3)s нагрузки; больше %(limit)s на одной — слишком много. На пустой фазе мог сгореть предохранитель или отказать трансформатор тока.",
            "На фази припадає %(share_l1)s, %(share_l2)s і %(share_l3)s навантаження; більше за %(limit)s на одній — забагато. На порожній фазі міг згоріти запобіжник або відмовити трансформатор струму.",
        ),
    ),
    "negative_load": FindingWords(
        Text("Energy fed in", "Отдача в сеть", "Віддача в мережу"),
        Either(
            given("fed_in"),
            Sentence(
                "%(fed_in)s were fed in on %(days)s, where nothing is generated as far as the registry knows. A current transformer is the wrong way round, or somebody has a plant: enter it.",
                "Отдано в сеть %(fed_in)s за %(days)s, хотя по реестру здесь ничего не вырабатывают. Трансформатор тока включён наоборот или появилась генерация: внесите её.",
                "Віддано в мережу %(fed_in)s за %(days)s, хоча за реєстром тут нічого не виробляють. Трансформатор струму ввімкнено навпаки або з’явилася генерація: внесіть її.",
                amounts="fed_in",
            ),
            Sentence(
                "Power below zero up to %(until)s, down to %(lowest)s, in readings: %(readings)s. A current transformer is the wrong way round, or somebody has a plant that nobody told of: enter it.",
                "Мощность ниже нуля до %(until)s, наименьшая %(lowest)s, показаний: %(readings)s. Трансформатор тока включён наоборот или появилась генерация, о которой не сказали: внесите её.",
                "Потужність нижча за нуль до %(until)s, найменша %(lowest)s, показань: %(readings)s. Трансформатор струму ввімкнено навпаки або з’явилася генерація, про яку не сказали: внесіть її.",
                amounts="lowest",
            ),
        ),
    ),
}
