"""A published law as a source: t_grok = t_mem + c/(ηγ), with the times to fit that it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np

from groktime.reduced.flow import Status
from groktime.reduced.source import Lanes, Options, Readings


@dataclass(frozen=True)
class Law:
    """It knows of no seeds, has no interval, and says "never" where there is no decay."""

    c: float
    t_mem: float
    name: str = "law"
    seeds: tuple[int, ...] = ()

    def read(self, lanes: Lanes, detail: bool = False, **options: Unpack[Options]) -> Readings:
        decays = lanes.gamma > 0
        with np.errstate(divide="ignore"):
            t_grok = np.where(decays, self.t_mem + self.c / (lanes.eta_d * lanes.gamma), np.nan)[None]
        none = np.full(t_grok.shape, np.nan)
        return Readings(
            seeds=(0,),
            status=np.where(decays, Status.GENERALIZES, Status.NEVER)[None].astype(object),
            t_grok=t_grok,
            t_mem=np.full(t_grok.shape, self.t_mem),
            low=none,
            high=none,
            threshold=none,
            alone=False,
        )
