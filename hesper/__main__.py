"""`python -m hesper`: the same as the `hesper` command."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder: an api.py or a store.py there is not ours
    from hesper.cli import main

    main()
