"""Networks that torch.func cannot map, or not fast enough, as torch.nn has them."""
