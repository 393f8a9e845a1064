"""A limit: `cp` and fsync of the same bytes."""

import shutil
import sys

shutil.copyfile(sys.argv[1], f"{sys.argv[2]}/copy")
