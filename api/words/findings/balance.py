"""Words for buildings whose flats and house differ."""

from api.words.facts import FindingWords, Sentence, Text

WORDS = {
    "balance.drift": FindingWords(
        Text(
            "Building loses more than usual",
            "Дом теряет больше обычного",
            "Будинок втрачає більше за звичайне",
        ),
        Sentence(
            "The house used %(house)s and its flats %(flats)s in %(days)s: %(difference_share)s are missing, where %(usual_share)s are usual. About %(lost)s were lost. Look for a leak before the flats, a tap without a meter, or a meter that counts too little.",
            "Дом израсходовал %(house)s, квартиры %(flats)s за %(days)s: не хватает %(difference_share)s, обычно %(usual_share)s. Потеряно около %(lost)s. Ищите утечку до квартир, кран без прибора или прибор, который недосчитывает.",
            "Будинок спожив %(house)s, квартири %(flats)s за %(days)s: бракує %(difference_share)s, зазвичай %(usual_share)s. Втрачено близько %(lost)s. Шукайте витік до квартир, кран без приладу або прилад, що недораховує.",
            amounts="house flats lost",
        ),
        lost="lost",
    ),
    "balance.negative": FindingWords(
        Text(
            "Flats use more than the house",
            "Квартиры расходуют больше дома",
            "Квартири споживають більше за будинок",
        ),
        Sentence(
            "The flats used %(flats)s and the whole house only %(house)s in %(days)s. The house meter counts too little, or its multiplier is wrong; compare it with its plate before common needs are billed.",
            "Квартиры израсходовали %(flats)s, а весь дом только %(house)s за %(days)s. Домовой прибор недосчитывает или неверен его множитель; сверьте с табличкой прибора до начисления общедомовых нужд.",
            "Квартири спожили %(flats)s, а весь будинок лише %(house)s за %(days)s. Будинковий прилад недораховує або хибний його множник; звірте з табличкою приладу до нарахування загальнобудинкових потреб.",
            amounts="house flats",
        ),
    ),
}
