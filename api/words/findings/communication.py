"""Words for the health of lines, meters and gateways."""

from api.words.facts import FindingWords, Sentence, Text

WORDS = {
    "communication.missed_polls": FindingWords(
        Text("Polls missed", "Пропущенные опросы", "Пропущені опитування"),
        Sentence(
            "Up to %(worst)s of the polls got no answer (limit: %(limit)s). Look at the line, its power and the meter.",
            "Без ответа осталось до %(worst)s опросов (порог: %(limit)s). Проверьте линию, её питание и прибор.",
            "Без відповіді лишилося до %(worst)s опитувань (поріг: %(limit)s). Перевірте лінію, її живлення та прилад.",
            shares="worst limit",
        ),
    ),
    "communication.crc_errors": FindingWords(
        Text("Damaged answers", "Повреждённые ответы", "Пошкоджені відповіді"),
        Sentence(
            "Up to %(worst)s of the answers arrived damaged (limit: %(limit)s). Look for a loose clamp, a cable that is too long, or a device with the same address.",
            "До %(worst)s ответов пришли повреждёнными (порог: %(limit)s). Ищите ослабленную клемму, слишком длинный кабель или устройство с тем же адресом.",
            "До %(worst)s відповідей надійшли пошкодженими (поріг: %(limit)s). Шукайте ослаблену клему, задовгий кабель або пристрій із тією самою адресою.",
            shares="worst limit",
        ),
    ),
    "communication.retries": FindingWords(
        Text("Many repetitions", "Много повторов", "Багато повторів"),
        Sentence(
            "Up to %(worst)s of the exchanges had to be repeated (limit: %(limit)s). The line is close to failing: look at its wiring and its load.",
            "До %(worst)s обменов пришлось повторять (порог: %(limit)s). Линия близка к отказу: проверьте проводку и нагрузку.",
            "До %(worst)s обмінів довелося повторювати (поріг: %(limit)s). Лінія близька до відмови: перевірте проводку й навантаження.",
            shares="worst limit",
        ),
    ),
    "communication.signal": FindingWords(
        Text("Weak signal", "Слабый сигнал", "Слабкий сигнал"),
        Sentence(
            "The signal fell to %(worst)s dBm (limit: %(limit)s dBm). Move the antenna, or the gateway.",
            "Сигнал упал до %(worst)s дБм (порог: %(limit)s дБм). Перенесите антенну или шлюз.",
            "Сигнал упав до %(worst)s дБм (поріг: %(limit)s дБм). Перенесіть антену або шлюз.",
        ),
    ),
    "communication.battery": FindingWords(
        Text("Device's battery low", "Батарея устройства разряжается", "Батарея пристрою розряджається"),
        Sentence(
            "The battery fell to %(worst)s V (limit: %(limit)s V). Exchange it before the device falls silent.",
            "Напряжение батареи упало до %(worst)s В (порог: %(limit)s В). Замените её, пока устройство не умолкло.",
            "Напруга батареї впала до %(worst)s В (поріг: %(limit)s В). Замініть її, поки пристрій не замовк.",
        ),
    ),
    "communication.temperature": FindingWords(
        Text("Gateway too hot", "Шлюз перегревается", "Шлюз перегрівається"),
        Sentence(
            "The gateway's processor reached %(worst)s °C (limit: %(limit)s °C). Give it air, or a cooler place.",
            "Процессор шлюза нагрелся до %(worst)s °C (порог: %(limit)s °C). Дайте ему воздуха или место попрохладнее.",
            "Процесор шлюзу нагрівся до %(worst)s °C (поріг: %(limit)s °C). Дайте йому повітря або прохолодніше місце.",
        ),
    ),
    "communication.disk": FindingWords(
        Text("Gateway's disk full", "Диск шлюза заполнен", "Диск шлюзу заповнено"),
        Sentence(
            "The gateway's disk is full to %(worst)s (limit: %(limit)s). See why its readings are not taken over; when it is full it keeps no more.",
            "Диск шлюза заполнен на %(worst)s (порог: %(limit)s). Выясните, почему его показания не забирают; полный диск больше ничего не сохранит.",
            "Диск шлюзу заповнено на %(worst)s (поріг: %(limit)s). З’ясуйте, чому його показання не забирають; повний диск більше нічого не збереже.",
            shares="worst limit",
        ),
    ),
    "communication.clock": FindingWords(
        Text("Gateway's clock off", "Часы шлюза расходятся", "Годинник шлюзу розходиться"),
        Sentence(
            "The gateway's clock is off by %(worst)s s (limit: %(limit)s s). See whether it reaches its time server.",
            "Часы шлюза расходятся на %(worst)s с (порог: %(limit)s с). Проверьте, доступен ли ему сервер времени.",
            "Годинник шлюзу розходиться на %(worst)s с (поріг: %(limit)s с). Перевірте, чи доступний йому сервер часу.",
        ),
    ),
    "communication.copies": FindingWords(
        Text("Two gateways under one name", "Два шлюза под одним именем", "Два шлюзи під одним іменем"),
        Sentence(
            "Two gateways took turns up to %(worst)s times an hour: they run from copies of one card. Give each a name of its own, in its configuration and in the registry. No reading is lost meanwhile, but they throw each other off the broker.",
            "Два шлюза сменяли друг друга до %(worst)s раз в час: они работают с копий одной карты. Дайте каждому своё имя в его настройках и в реестре. Показания при этом не теряются, но шлюзы отключают друг друга от брокера.",
            "Два шлюзи змінювали один одного до %(worst)s разів на годину: вони працюють із копій однієї картки. Дайте кожному власне ім’я в його налаштуваннях і в реєстрі. Показання при цьому не губляться, але шлюзи відключають один одного від брокера.",
        ),
    ),
}
