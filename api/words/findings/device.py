"""Words for what a meter, its clock and the way of a reading say."""

from api.words.facts import FindingWords, Sentence, Text

WORDS = {
    "future": FindingWords(
        Text("Readings from the future", "Показания из будущего", "Показання з майбутнього"),
        Sentence(
            "Readings from %(since)s on are dated up to %(seconds)s after their arrival (allowed: %(limit_seconds)s), %(readings)s in all. They are never billed. Set the clock of the gateway or the meter.",
            "Показания с %(since)s датированы позже своего прихода, вплоть до %(seconds)s (допустимо: %(limit_seconds)s), всего %(readings)s. В начисление они не идут. Установите часы шлюза или прибора.",
            "Показання з %(since)s датовані пізніше свого надходження, аж до %(seconds)s (допустимо: %(limit_seconds)s), усього %(readings)s. До нарахування вони не йдуть. Установіть годинник шлюзу або приладу.",
        ),
    ),
    "too_old": FindingWords(
        Text("Readings that came very late", "Очень поздние показания", "Дуже пізні показання"),
        Sentence(
            "Readings from %(since)s to %(until)s arrived up to %(seconds)s after their date (allowed: %(limit_seconds)s), %(readings)s in all. Find out where they were kept for so long before they are billed.",
            "Показания с %(since)s по %(until)s пришли намного позже своей даты, вплоть до %(seconds)s (допустимо: %(limit_seconds)s), всего %(readings)s. Выясните, где они так долго лежали, прежде чем начислять по ним.",
            "Показання з %(since)s по %(until)s надійшли набагато пізніше своєї дати, аж до %(seconds)s (допустимо: %(limit_seconds)s), усього %(readings)s. З’ясуйте, де вони так довго лежали, перш ніж нараховувати за ними.",
        ),
    ),
    "unsynchronised": FindingWords(
        Text("Clock not synchronised", "Часы не сверены", "Годинник не звірено"),
        Sentence(
            "Readings from %(since)s to %(until)s were taken while the gateway's clock was not synchronised, %(readings)s in all: their instants may be wrong. See whether the gateway reaches its time server.",
            "Показания с %(since)s по %(until)s сняты при несверенных часах шлюза, всего %(readings)s: их время может быть неверным. Проверьте, доступен ли шлюзу сервер времени.",
            "Показання з %(since)s по %(until)s знято при незвіреному годиннику шлюзу, усього %(readings)s: їхній час може бути хибним. Перевірте, чи доступний шлюзу сервер часу.",
        ),
    ),
    "clock_drift": FindingWords(
        Text("Meter's clock off", "Часы прибора расходятся", "Годинник приладу розходиться"),
        Sentence(
            "The meter's clock was off by up to %(seconds)s (allowed: %(limit_seconds)s) from %(since)s to %(until)s. Set it: the values that a meter keeps for the first of a month are by its own clock.",
            "Часы прибора расходились до %(seconds)s (допустимо: %(limit_seconds)s) с %(since)s по %(until)s. Установите их: значения на первое число прибор запоминает по своим часам.",
            "Годинник приладу розходився до %(seconds)s (допустимо: %(limit_seconds)s) з %(since)s по %(until)s. Установіть його: значення на перше число прилад запам’ятовує за своїм годинником.",
        ),
    ),
    "status.permanent_error": FindingWords(
        Text("Meter reports a permanent error", "Постоянная ошибка прибора", "Постійна помилка приладу"),
        Sentence(
            "The meter reports a permanent error, from %(since)s to %(until)s in readings: %(readings)s. Have it inspected; its figures count as questionable.",
            "Прибор сообщает о постоянной ошибке с %(since)s по %(until)s, показаний: %(readings)s. Пусть его осмотрят; его данные считаются сомнительными.",
            "Прилад повідомляє про постійну помилку з %(since)s по %(until)s, показань: %(readings)s. Нехай його оглянуть; його дані вважаються сумнівними.",
        ),
    ),
    "status.temporary_error": FindingWords(
        Text("Meter reported a temporary error", "Временная ошибка прибора", "Тимчасова помилка приладу"),
        Sentence(
            "The meter reported a temporary error from %(since)s to %(until)s, in readings: %(readings)s. Often air in the pipe or a sensor's cable; have it inspected if it comes back.",
            "Прибор сообщал о временной ошибке с %(since)s по %(until)s, показаний: %(readings)s. Часто это воздух в трубе или кабель датчика; если повторится, пусть осмотрят.",
            "Прилад повідомляв про тимчасову помилку з %(since)s по %(until)s, показань: %(readings)s. Часто це повітря в трубі або кабель датчика; якщо повториться, нехай оглянуть.",
        ),
    ),
    "status.application_error": FindingWords(
        Text("Meter could not answer", "Прибор не смог ответить", "Прилад не зміг відповісти"),
        Sentence(
            "The meter could not answer properly from %(since)s to %(until)s, in readings: %(readings)s. Read it anew; if it lasts, its firmware or settings are wrong.",
            "Прибор не мог ответить как следует с %(since)s по %(until)s, показаний: %(readings)s. Опросите его снова; если продолжится, неверны его прошивка или настройки.",
            "Прилад не міг відповісти як слід з %(since)s по %(until)s, показань: %(readings)s. Опитайте його знову; якщо триватиме, хибні його прошивка або налаштування.",
        ),
    ),
    "status.abnormal": FindingWords(
        Text(
            "Meter reports an abnormal state", "Ненормальное состояние прибора", "Ненормальний стан приладу"
        ),
        Sentence(
            "The meter calls its state abnormal from %(since)s to %(until)s, in readings: %(readings)s. What it means by that is in its manual: leakage, dry running and wrong mounting are usual.",
            "Прибор сообщал о ненормальном состоянии с %(since)s по %(until)s, показаний: %(readings)s. Что это значит, сказано в его руководстве: обычно утечка, сухой ход или неверный монтаж.",
            "Прилад повідомляв про ненормальний стан з %(since)s по %(until)s, показань: %(readings)s. Що це означає, сказано в його посібнику: зазвичай витік, сухий хід або хибний монтаж.",
        ),
    ),
    "status.power_low": FindingWords(
        Text("Battery low", "Батарея разряжается", "Батарея розряджається"),
        Sentence(
            "The meter's battery is low from %(since)s to %(until)s, in readings: %(readings)s. Plan the exchange of the battery or the meter before it falls silent.",
            "Батарея прибора разряжается: с %(since)s по %(until)s, показаний: %(readings)s. Запланируйте замену батареи или прибора, пока он не умолк.",
            "Батарея приладу розряджається: з %(since)s по %(until)s, показань: %(readings)s. Заплануйте заміну батареї або приладу, поки він не замовк.",
        ),
    ),
    "tamper": FindingWords(
        Text("Tampering reported", "Сообщено о вмешательстве", "Повідомлено про втручання"),
        Sentence(
            "The meter reports tampering from %(since)s to %(until)s, in readings: %(readings)s. Send somebody to look at its seals; note what was found here.",
            "Прибор сообщает о вмешательстве с %(since)s по %(until)s, показаний: %(readings)s. Пошлите кого-нибудь осмотреть пломбы и запишите здесь, что найдено.",
            "Прилад повідомляє про втручання з %(since)s по %(until)s, показань: %(readings)s. Пошліть когось оглянути пломби й запишіть тут, що виявлено.",
        ),
    ),
    "verification_expired": FindingWords(
        Text("Verification expired", "Поверка истекла", "Строк повірки минув"),
        Sentence(
            "The meter's verification ended %(verified_until)s. Where rules demand a verified meter, readings since then are not billed. Have it verified or exchanged, and enter the new date.",
            "Поверка прибора истекла %(verified_until)s. Где правила требуют поверенного прибора, показания с тех пор в начисление не идут. Поверьте или замените прибор и внесите новую дату.",
            "Строк повірки приладу минув %(verified_until)s. Де правила вимагають повіреного приладу, показання відтоді до нарахування не йдуть. Повірте або замініть прилад і внесіть нову дату.",
        ),
    ),
}
