"""Size of a block: registers that are queued, judged and counted together.

Ids of registers count up, so block `n` is the registers from `n * BLOCK` on. Stored rows name blocks,
and SQL counts them (`block_of`, store/migrations/core/0002): another size needs a migration of both.
"""

BLOCK = 32
