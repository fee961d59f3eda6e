"""The read side: what the API and the pages ask of the store, one statement a function.

Every function takes an open connection and the id of the utility (or of a row that was found through it), and
never returns a row of another utility. Values are micro-units, instants aware and in UTC.
"""
