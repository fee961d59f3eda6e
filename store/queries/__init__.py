"""The read side: what the API and the pages ask of the store, one statement a function.

Every function takes an open connection and the id of the utility (or of a row that was found through it), and
never returns a row of another utility. Values are micro-units, instants aware and in UTC.

They run as hesper_api, for which `readings` is closed: the views of migrations/access/0003_views.sql show
those of the session's utility. `offset 0` in a lateral query on such a view makes it a query of its own for
each register, whose conditions reach the index; joined directly, all the utility's readings would be read.
"""
