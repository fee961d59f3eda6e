"""Words for times without a contract."""

from api.words.facts import Either, FindingWords, Sentence, Text, says

WORDS = {
    "inactive_consumption": FindingWords(
        Text("Use without a contract", "Расход без договора", "Споживання без договору"),
        Either(
            says("no_contract_since", "ever"),
            Sentence(
                "%(used)s were used although nobody ever had a contract here, the last %(last_used_at)s. Find out who lives there, and enter the contract.",
                "Израсходовано %(used)s, хотя договора здесь никогда не было, последний раз %(last_used_at)s. Выясните, кто там живёт, и внесите договор.",
                "Спожито %(used)s, хоча договору тут ніколи не було, востаннє %(last_used_at)s. З’ясуйте, хто там живе, і внесіть договір.",
                amounts="used",
            ),
            Sentence(
                "%(used)s were used without a contract since %(no_contract_since)s, the last %(last_used_at)s. Find out who lives there, and enter the contract.",
                "Израсходовано %(used)s без договора с %(no_contract_since)s, последний раз %(last_used_at)s. Выясните, кто там живёт, и внесите договор.",
                "Спожито %(used)s без договору з %(no_contract_since)s, востаннє %(last_used_at)s. З’ясуйте, хто там живе, і внесіть договір.",
                amounts="used",
            ),
        ),
    ),
}
