"""Words for what goes wrong with water and gas."""

from api.words.facts import Either, FindingWords, Sentence, Text, known

WORDS = {
    "leak": FindingWords(
        Text("Leak", "Утечка", "Витік"),
        Sentence(
            "Water or gas has run without a rest for %(hours)s: %(night_flow_per_hour)s an hour more than usual at night (usual: %(usual_night_flow_per_hour)s, at most %(highest_night_flow_per_hour)s). About %(lost)s were lost. Tell the residents: a toilet, a safety valve or a pipe.",
            "Вода или газ течёт без перерыва %(hours)s: ночью на %(night_flow_per_hour)s в час больше обычного (обычно %(usual_night_flow_per_hour)s, самое большее %(highest_night_flow_per_hour)s). Потеряно около %(lost)s. Сообщите жильцам: бачок, предохранительный клапан или труба.",
            "Вода або газ тече без перерви %(hours)s: уночі на %(night_flow_per_hour)s за годину більше за звичайне (зазвичай %(usual_night_flow_per_hour)s, щонайбільше %(highest_night_flow_per_hour)s). Втрачено близько %(lost)s. Повідомте мешканців: бачок, запобіжний клапан або труба.",
            amounts="night_flow_per_hour usual_night_flow_per_hour highest_night_flow_per_hour lost",
        ),
        lost="lost",
    ),
    "burst": FindingWords(
        Text("Burst pipe", "Прорыв трубы", "Прорив труби"),
        Sentence(
            "Up to %(per_hour)s an hour over two hours (limit: %(limit_per_hour)s; the busiest days of the past %(learned_from_days)s reach %(busy_days_per_hour)s), %(ran)s from %(since)s to %(until)s. Call the place at once: a pipe may have burst.",
            "До %(per_hour)s в час за два часа (порог: %(limit_per_hour)s; самые загруженные дни прошлого, %(learned_from_days)s, доходят до %(busy_days_per_hour)s), %(ran)s с %(since)s по %(until)s. Позвоните туда сейчас же: могло прорвать трубу.",
            "До %(per_hour)s за годину протягом двох годин (поріг: %(limit_per_hour)s; найзавантаженіші дні минулого, %(learned_from_days)s, сягають %(busy_days_per_hour)s), %(ran)s з %(since)s по %(until)s. Зателефонуйте туди негайно: могло прорвати трубу.",
            amounts="per_hour limit_per_hour busy_days_per_hour ran",
        ),
    ),
    "catch_up": FindingWords(
        Text("Used during a silence", "Расход за время без показаний", "Споживання за час без показань"),
        Either(
            known("usual_day"),
            Sentence(
                "Silent for %(silent_hours)s, from %(since)s to %(until)s, while %(used)s were used: %(used_a_day)s a day, where %(usual_day)s are usual. It is billed; when in the silence it was used is not known.",
                "Показаний не было %(silent_hours)s, с %(since)s по %(until)s, а израсходовано %(used)s: %(used_a_day)s в сутки, обычно %(usual_day)s. В начисление это входит; когда именно израсходовано, неизвестно.",
                "Показань не було %(silent_hours)s, з %(since)s по %(until)s, а спожито %(used)s: %(used_a_day)s на добу, зазвичай %(usual_day)s. До нарахування це входить; коли саме спожито, невідомо.",
                amounts="used used_a_day usual_day",
            ),
            Sentence(
                "Silent for %(silent_hours)s, from %(since)s to %(until)s, while %(used)s were used: %(used_a_day)s a day. It is billed; when in the silence it was used is not known.",
                "Показаний не было %(silent_hours)s, с %(since)s по %(until)s, а израсходовано %(used)s: %(used_a_day)s в сутки. В начисление это входит; когда именно израсходовано, неизвестно.",
                "Показань не було %(silent_hours)s, з %(since)s по %(until)s, а спожито %(used)s: %(used_a_day)s на добу. До нарахування це входить; коли саме спожито, невідомо.",
                amounts="used used_a_day",
            ),
        ),
    ),
}
