"""The optimizers by name. A new one is a file with its `Update`, a line here, and one in `reduced/law.py`."""

from groktime.fullnet.engine.rules.adam import ADAM, ADAM_L2, ADAMW
from groktime.fullnet.engine.rules.lion import LION
from groktime.fullnet.engine.rules.muon import MUON
from groktime.fullnet.engine.rules.sgd import MOMENTUM, SGD, SGDW
from groktime.fullnet.engine.rules.update import Rows, Setting, Update

__all__ = ["UPDATES", "Rows", "Setting", "Update"]

UPDATES: dict[str, Update] = {
    "adamw": ADAMW,
    "adam": ADAM,
    "adam_l2": ADAM_L2,
    "sgd": SGD,
    "momentum": MOMENTUM,
    "sgdw": SGDW,
    "lion": LION,
    "muon": MUON,
}
