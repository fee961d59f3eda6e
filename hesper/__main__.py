"""`python -m hesper`: the same as the `hesper` command, for children started by the supervisor."""

from hesper.cli import main

if __name__ == "__main__":
    main()
