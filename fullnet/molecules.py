"""Molecules as dense graphs, read by RDKit."""

from __future__ import annotations

import functools
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.errors import InputError

LARGEST = 29  # atoms of the largest molecule of QM9, hydrogens included
FEATURES = 11
BONDS = 4
_ELEMENTS = ("H", "C", "N", "O", "F")
_HYBRIDIZATIONS = ("SP", "SP2", "SP3")
_BOND_TYPES = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")


def need_rdkit() -> None:
    """Raise InputError if RDKit is not installed."""
    if find_spec("rdkit") is None:
        raise InputError("reading molecules needs RDKit: pip install 'groktime[molecules]'")


@functools.cache
def graph_of(smiles: str, atoms: int = LARGEST) -> NDArray[np.uint8] | None:
    """A molecule as an array [atom, 11 + 4 · atoms], padded with zeros.

    First an atom's features (Omnigrok App. A): one-hot H, C, N, O, F; atomic number; aromatic; sp, sp2, sp3;
    number of hydrogens attached. Then its bonds: at 11 + 4 j + b is 1 if one of type b (single, double,
    triple, aromatic) leads to atom j. None if RDKit cannot read the text, or the molecule has another
    element or more atoms.
    """
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():  # what cannot be read is counted by the caller, in one line
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    molecule = Chem.AddHs(molecule)
    if not 1 <= molecule.GetNumAtoms() <= atoms:
        return None
    graph = np.zeros((atoms, FEATURES + BONDS * atoms), np.uint8)
    for k, atom in enumerate(molecule.GetAtoms()):
        if atom.GetSymbol() not in _ELEMENTS:
            return None
        graph[k, _ELEMENTS.index(atom.GetSymbol())] = 1
        graph[k, 5] = atom.GetAtomicNum()
        graph[k, 6] = atom.GetIsAromatic()
        if (kind := str(atom.GetHybridization())) in _HYBRIDIZATIONS:
            graph[k, 7 + _HYBRIDIZATIONS.index(kind)] = 1
        graph[k, 10] = atom.GetTotalNumHs(includeNeighbors=True)
    for bond in molecule.GetBonds():
        if (kind := str(bond.GetBondType())) not in _BOND_TYPES:
            return None
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        for a, b in ((i, j), (j, i)):
            graph[a, FEATURES + BONDS * b + _BOND_TYPES.index(kind)] = 1
    return graph
