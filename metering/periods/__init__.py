"""Periods: months of the calendar, and the instants at which they begin and end."""
