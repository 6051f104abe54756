"""``python -m slidekeeper``."""

from slidekeeper.cli.app import main

if __name__ == "__main__":
    main()
