"""Names of a finding's evidence as people read them, in every language."""

from api.words.facts import Text
from api.words.language import Language
from api.words.presentation import in_words

NAMES = {
    "absent": Text("Readings missing", "Показаний не хватает", "Бракує показань"),
    "after": Text("Value after", "Значение после", "Значення після"),
    "after_at": Text("Time of the value after", "Время значения после", "Час значення після"),
    "allowed_share": Text("Allowed difference", "Допустимая разница", "Допустима різниця"),
    "before": Text("Value before", "Значение до", "Значення до"),
    "before_at": Text("Time of the value before", "Время значения до", "Час значення до"),
    "bit": Text("Status flag", "Признак состояния", "Ознака стану"),
    "busy_days_per_hour": Text(
        "Hourly use on busy days", "Расход в час в загруженные дни", "Споживання за годину в завантажені дні"
    ),
    "capacity": Text("Register range", "Предел регистра", "Межа регістра"),
    "cooling": Text("Cooling of the water", "Остывание воды", "Остигання води"),
    "day_of_use": Text("Use a day", "Расход в сутки", "Споживання на добу"),
    "day_since": Text("Use a day since then", "Расход в сутки с тех пор", "Споживання на добу відтоді"),
    "days": Text("Days", "Дней", "Днів"),
    "difference": Text("Difference", "Разница", "Різниця"),
    "difference_a_day": Text("Difference a day", "Разница в сутки", "Різниця на добу"),
    "difference_share": Text("Difference as a share", "Доля разницы", "Частка різниці"),
    "distances": Text("Intervals", "Промежутки", "Проміжки"),
    "energy": Text("Energy", "Энергия", "Енергія"),
    "estimated_share": Text("Estimated share", "Доля по расчёту", "Частка за розрахунком"),
    "factor": Text("Factor", "Коэффициент", "Коефіцієнт"),
    "fed_in": Text("Fed in", "Отдано в сеть", "Віддано в мережу"),
    "flats": Text("Flats together", "Квартиры вместе", "Квартири разом"),
    "flow_temperature": Text("Flow temperature", "Температура подачи", "Температура подачі"),
    "gaps": Text("Gaps", "Перерывы", "Перерви"),
    "highest": Text("Highest value", "Наибольшее значение", "Найбільше значення"),
    "highest_night_flow_per_hour": Text(
        "Highest night flow an hour", "Наибольший ночной расход в час", "Найбільша нічна витрата за годину"
    ),
    "highest_of_past_per_hour": Text(
        "Highest hour of the past", "Наибольший час в прошлом", "Найбільша година в минулому"
    ),
    "highest_per_hour": Text("Highest hour", "Наибольший час", "Найбільша година"),
    "hours": Text("Hours", "Часов", "Годин"),
    "house": Text("House meter", "Домовой прибор", "Будинковий прилад"),
    "largest": Text("Largest step", "Наибольший шаг", "Найбільший крок"),
    "last_before": Text("Last reading before", "Последнее показание до", "Останнє показання до"),
    "last_used_at": Text("Last use", "Последний расход", "Останнє споживання"),
    "learned_from_days": Text("Days learned from", "Дней для сравнения", "Днів для порівняння"),
    "learned_from_weeks": Text("Weeks learned from", "Недель для сравнения", "Тижнів для порівняння"),
    "limit": Text("Limit", "Порог", "Поріг"),
    "limit_hours": Text("Limit, hours", "Порог, часов", "Поріг, годин"),
    "limit_per_hour": Text("Limit an hour", "Порог в час", "Поріг за годину"),
    "limit_seconds": Text("Limit, seconds", "Порог, секунд", "Поріг, секунд"),
    "longest_before_hours": Text(
        "Longest rest before, hours", "Самый долгий перерыв прежде, часов", "Найдовша перерва раніше, годин"
    ),
    "longest_hours": Text("Longest gap, hours", "Самый долгий перерыв, часов", "Найдовша перерва, годин"),
    "lost": Text("Lost", "Потеряно", "Втрачено"),
    "lowest": Text("Lowest value", "Наименьшее значение", "Найменше значення"),
    "median_minutes": Text(
        "Usual interval, minutes", "Обычный интервал, минут", "Звичайний інтервал, хвилин"
    ),
    "missing": Text("Missing amount", "Недостающий расход", "Споживання, якого бракує"),
    "more": Text("More than usual", "Больше обычного", "Більше за звичайне"),
    "moved": Text("Moved", "Изменение", "Зміна"),
    "next": Text("Next reading", "Следующее показание", "Наступне показання"),
    "night_flow_per_hour": Text("Night flow an hour", "Ночной расход в час", "Нічна витрата за годину"),
    "night_since_per_hour": Text(
        "Night use an hour since then", "Ночной расход в час с тех пор", "Нічне споживання за годину відтоді"
    ),
    "no_contract_since": Text("No contract since", "Без договора с", "Без договору з"),
    "normal": Text("Usual amount", "Обычный расход", "Звичайне споживання"),
    "parts": Text("Parts compared", "Сравниваемые части", "Порівнювані частини"),
    "pattern": Text("Pattern", "Вид изменения", "Вид зміни"),
    "per_hour": Text("Use an hour", "Расход в час", "Споживання за годину"),
    "periods": Text("Periods", "Периоды", "Періоди"),
    "possible_per_hour": Text("Possible an hour", "Возможно в час", "Можливо за годину"),
    "ran": Text("Ran through", "Прошло", "Пройшло"),
    "ran_back": Text("Ran back", "Прошло назад", "Пройшло назад"),
    "readings": Text("Number of readings", "Показаний", "Показань"),
    "register": Text("Register compared", "Сравниваемый регистр", "Порівнюваний регістр"),
    "return_temperature": Text("Return temperature", "Температура обратки", "Температура зворотки"),
    "scheduled_minutes": Text(
        "Scheduled interval, minutes", "Интервал по расписанию, минут", "Інтервал за розкладом, хвилин"
    ),
    "seconds": Text("Seconds", "Секунд", "Секунд"),
    "share_l1": Text("Share of L1", "Доля L1", "Частка L1"),
    "share_l2": Text("Share of L2", "Доля L2", "Частка L2"),
    "share_l3": Text("Share of L3", "Доля L3", "Частка L3"),
    "silent_hours": Text("Hours without readings", "Часов без показаний", "Годин без показань"),
    "since": Text("Since", "С", "З"),
    "steps": Text("Number of steps", "Число шагов", "Кількість кроків"),
    "sum": Text("Sum of the parts", "Сумма частей", "Сума частин"),
    "third_highest_per_hour": Text(
        "Third highest hour", "Третий по величине час", "Третя за величиною година"
    ),
    "total": Text("Total", "Всего", "Усього"),
    "until": Text("Until", "По", "По"),
    "used": Text("Amount used", "Израсходовано", "Спожито"),
    "used_a_day": Text("Amount used a day", "Израсходовано в сутки", "Спожито на добу"),
    "usual_day": Text("Usual use a day", "Обычный расход в сутки", "Звичайне споживання на добу"),
    "usual_night_flow_per_hour": Text(
        "Usual night flow an hour", "Обычный ночной расход в час", "Звичайна нічна витрата за годину"
    ),
    "usual_night_per_hour": Text(
        "Usual night use an hour", "Обычный ночной расход в час", "Звичайне нічне споживання за годину"
    ),
    "usual_share": Text("Usual share", "Обычная доля", "Звичайна частка"),
    "value": Text("Register value", "Показание", "Показання"),
    "verified_until": Text("Verified until", "Поверка до", "Повірка до"),
    "visits": Text("Changes of level", "Смен уровня", "Змін рівня"),
    "volume": Text("Water volume", "Объём воды", "Об’єм води"),
    "well_again_at": Text("In order again", "Снова в порядке", "Знову гаразд"),
    "worst": Text("Worst value", "Худшее значение", "Найгірше значення"),
    "worst_hour": Text("Oddest hour", "Самый необычный час", "Найнезвичніша година"),
    "worst_hour_normal": Text("Usual for that hour", "Обычно для этого часа", "Зазвичай для цієї години"),
    "worst_z": Text(
        "Distance from usual, in standard deviations",
        "Отклонение от обычного, в стандартных отклонениях",
        "Відстань від звичайного, у стандартних відхиленнях",
    ),
}


def evidence_name(name: str, language: Language) -> str:
    """'night_flow_per_hour' -> 'Night flow an hour'; the name in words where it is not listed."""
    return NAMES[name].said_in(language) if name in NAMES else in_words(name)
