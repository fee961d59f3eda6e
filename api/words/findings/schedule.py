"""Words for readings that did not come as expected."""

from api.words.facts import Either, FindingWords, Sentence, Text, known

WORDS = {
    "missing": FindingWords(
        Text("Readings missing", "Нет показаний", "Немає показань"),
        Either(
            known("next"),
            Sentence(
                "Between %(last_before)s and %(next)s readings are missing: %(absent)s in all, %(longest_hours)s at a stretch, where one is due every %(scheduled_minutes)s. A month can be billed if there are readings near both of its ends; the gateway's log says why it got no answer.",
                "Между %(last_before)s и %(next)s не хватает показаний: всего %(absent)s, подряд %(longest_hours)s, хотя ожидается по одному каждые %(scheduled_minutes)s. Месяц можно начислить, если есть показания у обоих его концов; почему не было ответа, сказано в журнале шлюза.",
                "Між %(last_before)s і %(next)s бракує показань: усього %(absent)s, поспіль %(longest_hours)s, хоча очікується по одному кожні %(scheduled_minutes)s. Місяць можна нарахувати, якщо є показання біля обох його кінців; чому не було відповіді, сказано в журналі шлюзу.",
            ),
            Sentence(
                "No reading since %(last_before)s: %(absent)s are missing so far, one is due every %(scheduled_minutes)s. See whether the gateway is online, and whether the meter answers on its line.",
                "Показаний нет с %(last_before)s: уже не хватает %(absent)s, ожидается по одному каждые %(scheduled_minutes)s. Проверьте, на связи ли шлюз и отвечает ли прибор на своей линии.",
                "Показань немає з %(last_before)s: уже бракує %(absent)s, очікується по одному кожні %(scheduled_minutes)s. Перевірте, чи на зв’язку шлюз і чи відповідає прилад на своїй лінії.",
            ),
        ),
    ),
    "interval": FindingWords(
        Text("Another schedule", "Другое расписание", "Інший розклад"),
        Sentence(
            "From %(since)s to %(until)s readings came every %(median_minutes)s instead of every %(scheduled_minutes)s. If that is meant, enter the new schedule; else look at the gateway's configuration.",
            "С %(since)s по %(until)s показания приходили каждые %(median_minutes)s вместо %(scheduled_minutes)s. Если так задумано, внесите новое расписание; иначе проверьте настройки шлюза.",
            "З %(since)s по %(until)s показання надходили кожні %(median_minutes)s замість %(scheduled_minutes)s. Якщо так задумано, внесіть новий розклад; інакше перевірте налаштування шлюзу.",
        ),
    ),
}
