"""What optimizer.py and models.py do, in one job; with fewer combinations on 3 or 4 ranks."""

from __future__ import annotations

import models
import optimizer
from common import report

import farandole.torch as hvd

of_optimizers, of_models = optimizer.run(), models.run()
report(hvd.rank(), optimizers=of_optimizers, models=of_models)
