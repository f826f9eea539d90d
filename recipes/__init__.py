"""The published figures, and the recipe of each: `groktime figure NAME` runs it.

A recipe is a script, `python recipes/fig2.py`; recipes/common.py says which options all of them have.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What a figure shows. `recipe`: the script that makes it; `minutes` on two cores at its small sizes,
    as measured, None where not; `full`: whether it has the paper's sizes, too;
    `data`: the data set that it needs."""

    line: str
    recipe: str
    minutes: float | None = None
    full: bool = False
    data: str | None = None


# P is the paper, Q the poster; those without a letter are our own.
FIGURES = {
    "fig2": Figure("P Fig. 2: teacher–student, LU landscape and delay against decay", "fig2.py", 7),
    "fig3": Figure("P Fig. 3: MNIST, landscape over N, delays", "fig3.py", 23, full=True, data="MNIST"),
    "fig4": Figure("P Fig. 4: IMDb, LSTM", "fig4.py", 8, full=True, data="IMDb"),
    "fig5": Figure("P Fig. 5: QM9, graph convolution", "fig5.py", 4, full=True, data="QM9"),
    "fig6": Figure(
        "P Fig. 6: toy addition, (w, m) landscape, path, training-set sizes (d: `gradients`, below)",
        "fig6.py",
        0.5,
    ),
    "fig7": Figure(
        "P Fig. 7: transformer, modular addition, norm and constrained training", "fig7.py", 1.5, full=True
    ),
    "fig8": Figure(
        "P Fig. 8: MNIST with interpolated representation, (w, m) landscape and path",
        "fig8.py",
        5,
        full=True,
        data="MNIST",
    ),
    "fig9": Figure("P Fig. 9: transformer, landscape over the train fraction", "fig9.py", 12, full=True),
    "fig10a": Figure("P Fig. 10a: transformer, time against decay", "fig10a.py", 10, full=True),
    "fig10b": Figure("P Fig. 10b: MNIST, time against decay", "fig10b.py", 5, data="MNIST"),
    "fig11": Figure("P Fig. 11: MNIST, cross-entropy, landscape", "fig11_12.py", 17, full=True, data="MNIST"),
    "fig12": Figure("P Fig. 12: MNIST, cross-entropy, curves", "fig11_12.py", 17, full=True, data="MNIST"),
    "band": Figure(
        "Q: division, delay over train size and batch, the comprehension band", "band.py", 60, full=True
    ),
    "attention": Figure(
        "Q: four operations, delays and norm of the attention weights", "operations.py", 8, full=True
    ),
    "contours": Figure("Q: four operations, loss contours around the final weights", "contours.py", 8),
    "remedies": Figure(
        "Q: MNIST, cross-entropy, augmentation and more data against the delay",
        "remedies.py",
        23,
        full=True,
        data="MNIST",
    ),
    "collapse": Figure("networks of all γ and η, and their decay path, in one time ηγt", "collapse.py", 3),
    "decays": Figure(
        "time against decay on every system that decays, and its decay path beside it",
        "decays.py",
        100,
        data="MNIST and IMDb",
    ),
    "path_addition": Figure("toy addition on its decay path", "path_addition.py", 38),
    "path_cross_entropy": Figure(
        "MNIST with cross-entropy from α = 100, on its decay path", "path_cross_entropy.py", 12, data="MNIST"
    ),
    "path_order": Figure("how a decay path converges, against an exact one", "path_order.py", 0.5),
}
