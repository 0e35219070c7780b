"""``python -m impose_core`` is ``impose``."""

from impose_core.cli import main

if __name__ == "__main__":
    main()
