"""Learned rates of a block's registers; what a rate is: `metering/readings/rate.py`."""

from dataclasses import replace

import numpy as np

from anomaly.input.block import Block
from anomaly.input.local_time import local
from metering.readings.rate import EARLIEST_WEEK, LearnedRates, WeeklyRates, rates_of, week_of, weekly


def of_block(block: Block) -> tuple[LearnedRates, WeeklyRates]:
    """The rate of each reading of a block, and the weeks that it was learned from, those settled included."""
    week = week_of(local(block.times, block.zone))
    fresh = weekly(block.rows, block.times, block.values, week)
    over = np.array([EARLIEST_WEEK if past is None else past.week for past in block.past], dtype=np.int64)
    kept = [
        replace(past.weeks, row=np.full(len(past.weeks.row), row, dtype=np.int64))
        for row, past in enumerate(block.past)
        if past is not None
    ]
    weeks = WeeklyRates.joined([*kept, fresh.part(fresh.week >= over[fresh.row])]) if kept else fresh
    settled = np.array([past is not None and len(past.weeks.row) > 0 for past in block.past], dtype=np.bool_)
    most = np.array(
        [np.nan if each.max_rate is None else each.max_rate for each in block.registers], dtype=np.float64
    )
    return rates_of(block.rows, week, weeks, settled, most), weeks
