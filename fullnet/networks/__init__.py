"""Networks that torch.func cannot map, or not fast enough, as torch.nn has them."""

WIDEST = 2**14  # layer of a built-in network: so that it fits into memory
