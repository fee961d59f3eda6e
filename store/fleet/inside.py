"""A site with all that is below it, for statements that are narrowed to one."""

INSIDE = """
    recursive inside as (
        select s.id from sites s where s.utility_id = %(utility)s and s.code = %(site)s
        union
        select s.id from sites s join inside i on s.parent_id = i.id
    )
"""
"""The first of a statement's `with`: the ids of the site of code `site` (None: none) and of all below it."""
