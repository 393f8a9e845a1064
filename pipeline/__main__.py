"""`python -m pipeline`: the preprocessor's commands alone."""

from pipeline.cli import build_parser, main_with

if __name__ == "__main__":
    main_with(build_parser)
