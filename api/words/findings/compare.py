"""Words for registers that do not agree."""

from api.words.facts import Either, FindingWords, Sentence, Text, says

WORDS = {
    "sibling": FindingWords(
        Text("Parts do not add up", "Части не сходятся с целым", "Частини не сходяться з цілим"),
        Either(
            says("parts", "tariffs"),
            Sentence(
                "The tariffs add up to %(sum)s, the total register says %(total)s: %(difference)s apart in %(days)s (allowed: %(allowed_share)s). See whether all tariffs are read, and at the same time.",
                "Сумма по тарифам %(sum)s, а общий регистр показывает %(total)s: разница %(difference)s за %(days)s (допустимо: %(allowed_share)s). Проверьте, все ли тарифы считываются и в одно ли время.",
                "Сума за тарифами %(sum)s, а загальний регістр показує %(total)s: різниця %(difference)s за %(days)s (допустимо: %(allowed_share)s). Перевірте, чи всі тарифи зчитуються і чи в один час.",
                amounts="sum total difference",
            ),
            Sentence(
                "The three phases add up to %(sum)s, the total register says %(total)s: %(difference)s apart in %(days)s (allowed: %(allowed_share)s). See whether all phases are read, and at the same time.",
                "Сумма по трём фазам %(sum)s, а общий регистр показывает %(total)s: разница %(difference)s за %(days)s (допустимо: %(allowed_share)s). Проверьте, все ли фазы считываются и в одно ли время.",
                "Сума за трьома фазами %(sum)s, а загальний регістр показує %(total)s: різниця %(difference)s за %(days)s (допустимо: %(allowed_share)s). Перевірте, чи всі фази зчитуються і чи в один час.",
                amounts="sum total difference",
            ),
        ),
    ),
    "sum_check": FindingWords(
        Text(
            "Load profile and register differ",
            "Профиль нагрузки и регистр расходятся",
            "Профіль навантаження й регістр розходяться",
        ),
        Sentence(
            "The periods of %(register)s add up to %(sum)s, the register itself moved by %(total)s: %(difference)s apart in %(days)s (allowed: %(allowed_share)s). Bill by the register, and look at the load profile.",
            "Сумма интервалов %(register)s — %(sum)s, а сам регистр прошёл %(total)s: разница %(difference)s за %(days)s (допустимо: %(allowed_share)s). Начисляйте по регистру и проверьте профиль нагрузки.",
            "Сума інтервалів %(register)s — %(sum)s, а сам регістр пройшов %(total)s: різниця %(difference)s за %(days)s (допустимо: %(allowed_share)s). Нараховуйте за регістром і перевірте профіль навантаження.",
            amounts="sum total difference",
        ),
    ),
}
