"""What a process finds that multiprocessing has started from one that serves ``horovod``: it makes
this process serve it, too, and leaves its place to what is served."""

import importlib
import sys

from farandole.horovod import serve

del sys.modules["horovod"]
serve()
importlib.import_module("horovod")
